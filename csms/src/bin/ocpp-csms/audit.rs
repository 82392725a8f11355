//! The record of what the authority has signed, read from the ledger's file, whether the service runs or not.

use std::{
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result};
use csms::{LedgerError, SqliteLedger};
use serde_json::json;
use signer_pkcs11::EntryHash;

#[derive(clap::Subcommand)]
pub(crate) enum AuditCommand {
    /// Prove that no entry was changed or removed
    Verify {
        /// The head that was kept elsewhere the last time: only it shows that the end was not taken away
        #[arg(long)]
        head: Option<EntryHash>,
    },
    /// Print the record, one line per entry, as `hsm audit verify` reads it
    Export,
}

/// Carries the command out on the ledger at `path`.
pub(crate) async fn run(path: &Path, command: AuditCommand, json: bool) -> Result<()> {
    let ledger = SqliteLedger::open_to_read(path).await.with_context(|| path.display().to_string())?;
    match command {
        AuditCommand::Verify { head } => {
            let chain = ledger.verify_record(head).await?;
            let (index, head) = (chain.index(), chain.head().to_string());
            let (certificates, revoked) = (index.signed().count(), index.revoked().len());
            let (entries, unfinished) = (chain.entries(), index.unfinished());
            if json {
                let report = json!({
                    "entries": entries, "head": head, "certificates": certificates, "revoked": revoked,
                    "unfinished": unfinished
                });
                println!("{report}");
                return Ok(());
            }
            println!("The record is whole: {entries} entries, none changed, none removed.");
            println!("certificates  {certificates}\nrevoked       {revoked}\nhead          {head}");
            if unfinished > 0 {
                println!(
                    "of {unfinished} certificates it is not known whether they were signed: the service stopped in between"
                );
            }
            println!("keep the head elsewhere, and give it as --head the next time");
        }
        AuditCommand::Export => {
            let mut out = BufWriter::new(std::io::stdout());
            let written =
                |error: std::io::Error| LedgerError { action: "print its record", source: error.into() };
            ledger.lines(async |line| writeln!(out, "{line}").map_err(written)).await?;
            out.flush().context("cannot print the record")?;
        }
    }
    Ok(())
}
