//! One peer that misbehaves.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;

use crate::server::Server;
use crate::station::{Payload, Station, TEXT, encode};

/// Options of `generator attack`.
#[derive(clap::Args)]
pub(crate) struct AttackArguments {
    #[command(flatten)]
    server: Server,
    /// What the peer does
    #[arg(long)]
    kind: Kind,
    /// Length of the largest frame that the server accepts, in bytes
    #[arg(long, default_value_t = 128 * 1024)]
    largest: usize,
}

/// What the peer does.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Calls without waiting for answers, as fast as its socket takes them
    Flood,
    /// Sends its frames byte by byte
    SlowBytes,
    /// Sends the largest frame that is accepted, again and again
    LargestFrame,
}

/// Continues until it is killed. A connection that the server closes is opened again.
pub(crate) async fn run(arguments: &AttackArguments) -> Result<serde_json::Value> {
    println!("{}", json!({ "attacking": true }));
    loop {
        let Ok(station) = Station::connect(&arguments.server, ATTACKER).await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        // Ends when the server closes the connection.
        let _ = match arguments.kind {
            Kind::Flood => flood(station, Payload::Heartbeat.action(), Payload::Heartbeat.text()).await,
            Kind::LargestFrame => {
                let head = r#"{"vendorId":"bench","data":""#;
                let text =
                    format!(r#"{head}{}"}}"#, "x".repeat(arguments.largest - FRAME_OVERHEAD - head.len()));
                flood(station, "DataTransfer", &text).await
            }
            Kind::SlowBytes => slow_bytes(station).await,
        };
    }
}

/// Writes as fast as the socket accepts, and reads the answers meanwhile.
async fn flood(mut station: Station, action: &str, payload: &str) -> Result<()> {
    let frame = station.next_call(action, payload);
    // Several frames in one write, if they are short.
    let bytes = frame.repeat((64 * 1024 / frame.len()).max(1));
    let (mut reader, mut writer) = tokio::io::split(station.into_stream());
    let mut buffer = vec![0; 64 * 1024];
    let reading = async {
        while reader.read(&mut buffer).await? > 0 {}
        anyhow::Ok(())
    };
    let writing = async {
        loop {
            writer.write_all(&bytes).await?;
        }
    };
    tokio::select! { ended = reading => ended, ended = writing => ended }
}

async fn slow_bytes(mut station: Station) -> Result<()> {
    let mut frame = Vec::new();
    let text = format!(r#"[2,"slow","TransactionEvent",{}]"#, Payload::TransactionEvent.text());
    encode(&mut frame, TEXT, text.as_bytes());
    loop {
        for byte in &frame {
            station.write(&[*byte]).await?;
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Its number, which no other station has.
const ATTACKER: usize = 99_999;

/// The bytes of a DataTransfer CALL beside its text, and a little more.
const FRAME_OVERHEAD: usize = 64;
