//! Many charging stations in one process: the load of `cargo xtask bench transport`.
//!
//! It knows only the server's port and process id. Every server gets the same bytes, and the cost
//! is read from `/proc`. Each command measures one thing and prints one line of JSON.

mod attack;
mod calls;
mod herd;
mod idle;
mod latency;
mod server;
mod station;

use anyhow::{Context as _, Result};
use clap::Parser as _;

/// Loads a server with charging stations.
#[derive(clap::Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Every station calls, waits for the answer, and calls again
    Calls(calls::CallsArguments),
    /// Open many connections at once, and hold them until a line comes on the standard input
    Idle(idle::IdleArguments),
    /// Stations that call at a steady pace; how long they wait
    Latency(latency::LatencyArguments),
    /// Stations that connect at the same time, and retry until they are booted
    Herd(herd::HerdArguments),
    /// Make the root of the certificates that the stations of a herd log in with
    Root(herd::RootArguments),
    /// One peer that misbehaves until it is killed
    Attack(attack::AttackArguments),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the limit of open files")?;
    // A station does so little that one thread is faster than every server, which gets the other
    // core. TLS handshakes cost both ends the same.
    let runtime = match arguments.command {
        Command::Idle(_) | Command::Herd(_) => {
            tokio::runtime::Builder::new_multi_thread().enable_all().build()
        }
        _ => tokio::runtime::Builder::new_current_thread().enable_all().build(),
    };
    let result = runtime.context("cannot start the runtime")?.block_on(async {
        match arguments.command {
            Command::Calls(arguments) => calls::run(&arguments).await,
            Command::Idle(arguments) => idle::run(&arguments).await,
            Command::Latency(arguments) => latency::run(&arguments).await,
            Command::Herd(arguments) => herd::run(&arguments).await,
            Command::Root(arguments) => herd::make_root(&arguments),
            Command::Attack(arguments) => attack::run(&arguments).await,
        }
    })?;
    println!("{result}");
    Ok(())
}
