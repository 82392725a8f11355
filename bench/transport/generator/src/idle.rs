//! Idle connections: the time to open them, the server's processor time for that, and their memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::server::Server;
use crate::station::{Payload, Station};

/// Options of `generator idle`.
#[derive(clap::Args)]
pub(crate) struct IdleArguments {
    #[command(flatten)]
    server: Server,
    /// How many stations connect, all at once
    #[arg(long)]
    connections: usize,
}

/// Opens the connections, prints the measurements, waits for a line, and prints how many
/// connections still answer.
pub(crate) async fn run(arguments: &IdleArguments) -> Result<serde_json::Value> {
    let server = &arguments.server;
    // The first connections allocate the state that all of them share.
    drop(connect_all(server, WARM_UP).await?);
    settle(server).await?;
    let (bytes, cpu, start) = (server.resident_bytes()?, server.cpu_seconds()?, Instant::now());
    let stations = connect_all(server, arguments.connections).await?;
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), server.cpu_seconds()? - cpu);
    settle(server).await?;
    #[allow(clippy::cast_precision_loss, reason = "memory is smaller than 2^53 bytes")]
    let bytes = (server.resident_bytes()? as f64 - bytes as f64) / stations.len() as f64;
    println!("{}", json!({ "seconds": seconds, "cpu_seconds": cpu, "bytes_per_connection": bytes }));
    BufReader::new(tokio::io::stdin()).read_line(&mut String::new()).await.context("no standard input")?;
    let mut calls = JoinSet::new();
    for mut station in stations {
        let payload = Payload::Heartbeat;
        calls.spawn(async move {
            let call = station.call(payload.action(), payload.text());
            (matches!(timeout(PATIENCE, call).await, Ok(Ok(()))), station)
        });
    }
    // All of them stay open until the last has answered.
    let answered: Vec<_> = calls.join_all().await;
    Ok(json!({ "answered": answered.iter().filter(|(answered, _)| *answered).count() }))
}

/// Connects and boots stations, as many at a time as the server's queue of new connections holds.
pub(crate) async fn connect_all(server: &Server, count: usize) -> Result<Vec<Station>> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut connecting = JoinSet::new();
    for index in 0..count {
        let (server, room) = (server.clone(), Arc::clone(&room));
        connecting.spawn(async move {
            let _permit = room.acquire_owned().await?;
            timeout(PATIENCE, Station::connect(&server, index))
                .await
                .context("no connection within 60 s")?
                .with_context(|| format!("station {index}"))
        });
    }
    let mut stations = Vec::with_capacity(count);
    while let Some(station) = connecting.join_next().await {
        stations.push(station??);
    }
    Ok(stations)
}

/// Waits until the server is idle.
async fn settle(server: &Server) -> Result<()> {
    let mut before = (server.cpu_seconds()?, server.resident_bytes()?);
    for _ in 0..100 {
        sleep(Duration::from_millis(300)).await;
        let now = (server.cpu_seconds()?, server.resident_bytes()?);
        if now == before {
            break;
        }
        before = now;
    }
    Ok(())
}

/// Connections that only warm the server up.
const WARM_UP: usize = 200;

/// Handshakes at a time. Linux queues at most 4096 connections; further ones are repeated after a
/// second, which would measure the kernel.
const AT_ONCE: usize = 4000;

/// How long the slowest server may take for one of all stations.
const PATIENCE: Duration = Duration::from_secs(60);
