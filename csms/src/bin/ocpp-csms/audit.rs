//! The record of what the authority has signed. It is read from the ledger's file, whether the
//! service runs or not.

use anyhow::{Context as _, Result, bail};
use csms::{Ledger, LedgerError, LedgerLocation};
use program::{Output, OutputError};
use serde_json::json;
use signer_pkcs11::EntryHash;

#[derive(clap::Subcommand)]
pub(crate) enum AuditCommand {
    /// Prove that no entry was changed or removed, that each certificate is the one that was
    /// signed, and that no page of the file is damaged
    Verify {
        /// A head that was kept elsewhere earlier: only it shows that the end of the record was not
        /// removed
        #[arg(long)]
        head: Option<EntryHash>,
    },
    /// Print the record, one line per entry, in the format of `hsm audit verify`
    Export,
}

/// Carries the command out on a ledger.
pub(crate) async fn run(location: &LedgerLocation, command: AuditCommand, json: bool) -> Result<()> {
    let ledger = Ledger::open_to_read(location).await.with_context(|| location.to_string())?;
    match command {
        AuditCommand::Verify { head } => {
            verify(&ledger, head, json).await.with_context(|| location.to_string())?;
        }
        AuditCommand::Export => {
            let mut out = Output::new();
            let failed =
                |error: OutputError| LedgerError { action: "print its record", source: error.into() };
            // The line is not escaped: each entry's hash is over these bytes.
            ledger.lines(async |line| out.verbatim(&line).map_err(failed)).await?;
            out.finish()?;
        }
    }
    Ok(())
}

async fn verify(ledger: &Ledger, head: Option<EntryHash>, json: bool) -> Result<()> {
    let report = ledger.verify(head).await?;
    let findings = report.findings.len();
    let mut out = Output::new();
    if json {
        let found = report.findings.iter().map(|finding| {
            json!({
                "serial_number": finding.serial_number, "station": finding.station,
                "reason": finding.mismatch.to_string()
            })
        });
        let report = json!({
            "entries": report.entries, "head": report.head.to_string(), "certificates": report.certificates,
            "revoked": report.revoked, "unfinished": report.unfinished, "findings": found.collect::<Vec<_>>()
        });
        out.json(report)?;
    } else {
        out.line(format!("The record is whole: {} entries, none changed, none removed.", report.entries))?;
        out.line(format!("certificates  {}", report.certificates))?;
        out.line(format!("revoked       {}", report.revoked))?;
        out.line(format!("head          {}", report.head))?;
        if report.unfinished > 0 {
            out.line(format!(
                "{} certificates may or may not have been signed: the service stopped in between",
                report.unfinished
            ))?;
        }
        out.line("keep the head elsewhere, and pass it as --head next time")?;
        for finding in &report.findings {
            out.line(finding)?;
        }
    }
    out.finish()?;
    match findings {
        0 => Ok(()),
        _ => bail!(
            "{findings} certificates in the ledger are not what was signed; none of them is sent; restore the newest backup with `ocpp-csms restore`"
        ),
    }
}
