//! Measures what the project promises, beside what others do, and says which promises hold.

mod cost;
mod report;
mod transport;
mod types;

use anyhow::Result;

/// What can be measured.
#[derive(clap::Subcommand)]
pub(crate) enum BenchCommand {
    /// Decoding, encoding and building the types, beside other crates and hand-written structs
    Types(types::TypesArguments),
    /// Connections and calls, beside a Python and a Node server and a bare echo
    Transport(transport::TransportArguments),
}

/// `cargo xtask bench`.
pub(crate) fn run_command(command: &BenchCommand) -> Result<()> {
    match command {
        BenchCommand::Types(arguments) => types::run_command(arguments),
        BenchCommand::Transport(arguments) => transport::run_command(arguments),
    }
}
