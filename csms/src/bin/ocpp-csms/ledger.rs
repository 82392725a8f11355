//! The ledger's database: its schema, and the way from SQLite to PostgreSQL.

use anyhow::{Context as _, Result};
use csms::{Config, Ledger, io::copy_to_postgres};
use program::Output;
use serde_json::json;

#[derive(clap::Subcommand)]
pub(crate) enum LedgerCommand {
    /// Copy the ledger from the SQLite file in the folder of the configuration into the PostgreSQL
    /// that `ledger.url` names, and verify it, while no service runs
    Copy,
}

pub(crate) async fn migrate(config: &Config, as_json: bool) -> Result<()> {
    let location = config.ledger.location(&config.directory);
    Ledger::migrate(&location).await.with_context(|| location.to_string())?;
    let mut out = Output::new();
    match as_json {
        true => out.json(json!({ "ledger": location.to_string() }))?,
        false => {
            out.line(format!("{location}: the schema is up to date; start the service with `ocpp-csms run`"))?
        }
    }
    Ok(out.finish()?)
}

pub(crate) async fn run(config: &Config, command: LedgerCommand, as_json: bool) -> Result<()> {
    let LedgerCommand::Copy = command;
    let report = copy_to_postgres(config, |table, rows| {
        if !as_json && rows % PROGRESS == 0 {
            eprintln!("{table}: {rows} rows");
        }
    });
    let report = report.await?;
    let location = config.ledger.location(&config.directory);
    let mut out = Output::new();
    if as_json {
        out.json(json!({
            "ledger": location.to_string(), "entries": report.entries, "head": report.head.to_string(),
            "certificates": report.certificates, "revoked": report.revoked, "findings": report.findings.len()
        }))?;
    } else {
        out.line(format!(
            "{location}: {} entries, {} certificates, {} revoked; the record is whole",
            report.entries, report.certificates, report.revoked
        ))?;
        out.line("keep the SQLite file as a backup, and start the service with `ocpp-csms run`")?;
    }
    Ok(out.finish()?)
}

/// Rows between two lines of progress.
const PROGRESS: u64 = 10_000;
