//! Measures what the project promises, compares it with other software, and reports which promises
//! hold.

mod cost;
mod csms;
mod report;
mod signer;
mod store;
mod transport;
mod types;

use anyhow::Result;

/// The measurements.
#[derive(clap::Subcommand)]
pub(crate) enum BenchCommand {
    /// Decoding, encoding and building the types, compared with other crates and hand-written
    /// structs
    Types(types::TypesArguments),
    /// Signatures, certificates and handshakes with the key in a token, compared with the bare
    /// module and other authorities
    Signer(signer::SignerArguments),
    /// Certificates with the durable record on SQLite and PostgreSQL, compared with certificates
    /// without a record
    Csms(csms::CsmsArguments),
    /// Opening, listing, installing and deleting, compared with a bare write with fsync and a
    /// directory of PEM files
    Store(store::StoreArguments),
    /// Connections and calls, compared with a Python and a Node server and a bare echo
    Transport(transport::TransportArguments),
}

/// `cargo xtask bench`.
pub(crate) fn run_command(command: &BenchCommand) -> Result<()> {
    match command {
        BenchCommand::Types(arguments) => types::run_command(arguments),
        BenchCommand::Csms(arguments) => csms::run_command(arguments),
        BenchCommand::Signer(arguments) => signer::run_command(arguments),
        BenchCommand::Store(arguments) => store::run_command(arguments),
        BenchCommand::Transport(arguments) => transport::run_command(arguments),
    }
}
