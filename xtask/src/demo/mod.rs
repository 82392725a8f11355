//! `cargo xtask demo`: the whole road on real tokens, as separate processes.

use anyhow::Result;

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct DemoArguments {
    /// Run the checks by OpenSSL and pkcs11-tool too, and fail if one fails
    #[arg(long)]
    check: bool,
}

/// Runs the demo.
pub(crate) fn run_command(_arguments: &DemoArguments) -> Result<()> {
    Ok(())
}
