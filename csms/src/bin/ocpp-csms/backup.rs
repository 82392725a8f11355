//! Backups of the ledger, and their restoration.

use std::path::{Path, PathBuf};

use anyhow::Result;
use csms::{
    Config,
    io::{Restoration, back_up},
};
use program::Output;
use serde_json::json;

/// The replacement of the ledger.
#[derive(clap::Args)]
pub(crate) struct RestoreArguments {
    /// The backup
    #[arg(required_unless_present = "empty")]
    file: Option<PathBuf>,
    /// Begin with an empty ledger, because there is no backup
    #[arg(long, conflicts_with = "file")]
    empty: bool,
    /// Restore it although later promises are lost; without this option the command reports what
    /// would be lost
    #[arg(long)]
    accept_loss: bool,
    /// Accept the passwords of stations for which the backup records no use of a certificate,
    /// although the lost entries may record one; without this option each of these stations needs
    /// `ocpp-csms release`
    #[arg(long, requires = "accept_loss")]
    keep_passwords: bool,
}

pub(crate) async fn backup(config: &Config, file: &Path, as_json: bool) -> Result<()> {
    let mut out = Output::new();
    let report = back_up(config, file).await?;
    let (entries, head, certificates) = (report.entries, report.head.to_string(), report.certificates);
    if as_json {
        let report = json!({
            "file": file, "entries": entries, "head": head, "certificates": certificates,
            "revoked": report.revoked, "findings": report.findings.len()
        });
        out.json(report)?;
        return Ok(out.finish()?);
    }
    out.line(format!(
        "{}: {entries} entries, {certificates} certificates, {} revoked",
        file.display(),
        report.revoked
    ))?;
    out.line(format!("head {head}"))?;
    if !report.findings.is_empty() {
        out.line("some certificates differ from what was signed: see `ocpp-csms audit verify`")?;
    }
    Ok(out.finish()?)
}

pub(crate) async fn restore(config: &Config, arguments: RestoreArguments, as_json: bool) -> Result<()> {
    let mut restoration = Restoration::new(arguments.file);
    restoration.accept_loss = arguments.accept_loss;
    restoration.keep_passwords = arguments.keep_passwords;
    let mut out = Output::new();
    let loss = restoration.run(config).await?;
    if as_json {
        out.json(serde_json::to_string(&loss)?)?;
        return Ok(out.finish()?);
    }
    out.line(format!("restored up to entry {}", loss.entries))?;
    if loss.is_some() {
        out.line(format!("lost and recorded: {loss}"))?;
        if !arguments.keep_passwords {
            out.line(
                "any station may have used a certificate since: passwords are refused until `ocpp-csms release STATION` or `ocpp-csms accept-passwords`",
            )?;
        }
    }
    if let Some(path) = &loss.set_aside {
        out.line(format!("the ledger that was replaced is {}", path.display()))?;
    }
    Ok(out.finish()?)
}
