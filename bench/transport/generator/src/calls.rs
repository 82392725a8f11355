//! The cost of a call for the server, and the number of calls that it answers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use crate::idle::connect_all;
use crate::server::Server;
use crate::station::{Payload, Station};

/// Options of `generator calls`.
#[derive(clap::Args)]
pub(crate) struct CallsArguments {
    #[command(flatten)]
    server: Server,
    /// How many stations call
    #[arg(long)]
    connections: usize,
    /// How long each payload is measured, in seconds
    #[arg(long)]
    seconds: f64,
    /// How long each payload is sent before that, in seconds
    #[arg(long)]
    warm_up: f64,
}

/// Measures both payloads on the same connections.
pub(crate) async fn run(arguments: &CallsArguments) -> Result<serde_json::Value> {
    let mut stations = connect_all(&arguments.server, arguments.connections).await?;
    let mut results = serde_json::Map::new();
    for payload in [Payload::Heartbeat, Payload::TransactionEvent] {
        let (result, back) = measure(arguments, stations, payload).await?;
        results.insert(payload.action().to_owned(), result);
        stations = back;
    }
    Ok(results.into())
}

async fn measure(
    arguments: &CallsArguments,
    stations: Vec<Station>,
    payload: Payload,
) -> Result<(serde_json::Value, Vec<Station>)> {
    let count = stations.len();
    let (answered, stop) = (Rc::new(Cell::new(0_u64)), Rc::new(Cell::new(false)));
    let back = Rc::new(RefCell::new(Vec::with_capacity(count)));
    let failure = Rc::new(RefCell::new(None));
    let local = LocalSet::new();
    for mut station in stations {
        let (answered, stop) = (Rc::clone(&answered), Rc::clone(&stop));
        let (back, failure) = (Rc::clone(&back), Rc::clone(&failure));
        local.spawn_local(async move {
            while !stop.get() {
                if let Err(error) = station.call(payload.action(), payload.text()).await {
                    failure.borrow_mut().get_or_insert(error);
                    return;
                }
                answered.set(answered.get() + 1);
            }
            back.borrow_mut().push(station);
        });
    }
    let measured = local
        .run_until(async {
            sleep(Duration::from_secs_f64(arguments.warm_up)).await;
            let (start, calls, cpu) = (Instant::now(), answered.get(), arguments.server.cpu_seconds()?);
            sleep(Duration::from_secs_f64(arguments.seconds)).await;
            // A slow server reads from all stations before it answers the first one. A part of such
            // a round shows nothing.
            while answered.get() - calls < count as u64 && start.elapsed() < LONGEST {
                sleep(Duration::from_millis(100)).await;
            }
            let (calls, cpu) = (answered.get() - calls, arguments.server.cpu_seconds()? - cpu);
            anyhow::Ok((start.elapsed().as_secs_f64(), calls, cpu))
        })
        .await;
    stop.set(true);
    timeout(Duration::from_secs(120), local)
        .await
        .context("the last calls were not answered within two minutes")?;
    if let Some(error) = failure.take() {
        return Err(error.context("a station failed"));
    }
    let (seconds, calls, cpu) = measured?;
    ensure!(calls > 0, "no call was answered");
    #[allow(clippy::cast_precision_loss, reason = "a run has fewer than 2^53 calls")]
    let calls = calls as f64;
    let result = json!({ "cpu_us": cpu * 1e6 / calls, "per_second": calls / seconds });
    Ok((result, back.take()))
}

/// How long a measurement may take until each station has an answer.
const LONGEST: Duration = Duration::from_secs(60);
