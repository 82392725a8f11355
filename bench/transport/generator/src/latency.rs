//! How long stations wait for their answers at a low load.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at};

use crate::idle::connect_all;
use crate::server::Server;
use crate::station::{Payload, Station};

/// Options of `generator latency`.
#[derive(clap::Args)]
pub(crate) struct LatencyArguments {
    #[command(flatten)]
    server: Server,
    /// How many stations call, ten times a second each
    #[arg(long)]
    connections: usize,
    /// For how long, in seconds
    #[arg(long)]
    seconds: f64,
}

/// Measures the time from writing a CALL to reading its answer.
pub(crate) async fn run(arguments: &LatencyArguments) -> Result<serde_json::Value> {
    let stations = connect_all(&arguments.server, arguments.connections).await?;
    let count = u32::try_from(stations.len()).context("too many stations")?;
    let start = Instant::now() + PERIOD;
    let end = start + Duration::from_secs_f64(arguments.seconds);
    let mut running = JoinSet::new();
    for (index, station) in (0..).zip(stations) {
        // Evenly over the period, so that they do not queue behind each other.
        running.spawn(calls(station, start + PERIOD / count * index, end));
    }
    let mut latencies = Vec::new();
    while let Some(result) = running.join_next().await {
        latencies.extend(result??);
    }
    latencies.sort();
    let quantile = |percent: usize| {
        let index = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        latencies.get(index).map_or(f64::NAN, |latency: &Duration| latency.as_secs_f64() * 1e6)
    };
    Ok(json!({ "calls": latencies.len(), "p50_us": quantile(50), "p99_us": quantile(99) }))
}

async fn calls(mut station: Station, start: Instant, end: Instant) -> Result<Vec<Duration>> {
    let mut ticks = interval_at(start.into(), PERIOD);
    // The other stations do not wait for a late answer, and its missed ticks are not repeated.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut latencies = Vec::new();
    let payload = Payload::Heartbeat;
    while Instant::now() < end {
        ticks.tick().await;
        let sent = Instant::now();
        station.call(payload.action(), payload.text()).await?;
        latencies.push(sent.elapsed());
    }
    Ok(latencies)
}

/// The time between two calls of a station.
const PERIOD: Duration = Duration::from_millis(100);
