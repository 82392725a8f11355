//! Measures what the project promises, beside what others do, and says which promises hold.

mod cost;
mod report;
mod signer;
mod store;
mod transport;
mod types;

use anyhow::Result;

/// What can be measured.
#[derive(clap::Subcommand)]
pub(crate) enum BenchCommand {
    /// Decoding, encoding and building the types, beside other crates and hand-written structs
    Types(types::TypesArguments),
    /// Signing, certifying and shaking hands with the key in a token, beside the bare module and
    /// other authorities
    Signer(signer::SignerArguments),
    /// Opening, listing, installing and deleting, beside a bare write with fsync and a directory of
    /// PEM files
    Store(store::StoreArguments),
    /// Connections and calls, beside a Python and a Node server and a bare echo
    Transport(transport::TransportArguments),
}

/// `cargo xtask bench`.
pub(crate) fn run_command(command: &BenchCommand) -> Result<()> {
    match command {
        BenchCommand::Types(arguments) => types::run_command(arguments),
        BenchCommand::Signer(arguments) => signer::run_command(arguments),
        BenchCommand::Store(arguments) => store::run_command(arguments),
        BenchCommand::Transport(arguments) => transport::run_command(arguments),
    }
}
