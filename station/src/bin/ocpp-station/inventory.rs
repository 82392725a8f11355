//! `inventory`: what is installed.

use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use program::{Output, OutputError};
use station::{
    Config,
    control::ControlRequest,
    inventory::{CertificateEntry, Inventory, OwnEntry, PendingEntry, Sends},
    io::OpenStoreError,
};
use station_store::OpenError;

use crate::{
    agent::{ask_for_rows, runtime},
    text::{counted, minute, print_rows, validity},
};

pub(crate) const EXAMPLES: &str = "\
Asks the running agent. If no agent is running, reads the store.

Examples:
  ocpp-station inventory
  ocpp-station inventory --json | jq '.own[] | {subject: .certificate.subject, left: .certificate.days_left}'
  ocpp-station inventory --json | jq '.roots[].certificate.hash_data'";

pub(crate) fn run(config: &Config, json: bool) -> Result<()> {
    let inventory = runtime()?.block_on(read(config))?;
    let mut out = Output::new();
    match json {
        true => out.json(serde_json::to_string(&inventory)?)?,
        false => print(&mut out, &inventory)?,
    }
    Ok(out.finish()?)
}

/// Reads the inventory from the running agent, or else from the store itself. An agent that is just
/// starting has the store open, but does not listen yet.
async fn read(config: &Config) -> Result<Inventory> {
    let deadline = Instant::now() + START;
    loop {
        match ask_for_rows(config, &ControlRequest::Inventory, Inventory::push).await {
            Err(error) if error.is_not_running() => {}
            answered => return Ok(answered?),
        }
        match station::io::open_store(config) {
            Err(OpenStoreError::Store(OpenError::Locked { .. })) if Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            opened => {
                let max_roots = config.certificates.max_entries.into();
                return Ok(Inventory::of(&opened?, max_roots, SystemTime::now()));
            }
        }
    }
}

fn print(out: &mut Output, inventory: &Inventory) -> Result<(), OutputError> {
    let Inventory { roots, max_roots, own, vehicle, pending, condemned_keys, damaged } = inventory;
    section(out, &format!("Roots, {} of at most {max_roots}", roots.len()), || {
        let rows = roots.iter().map(|root| {
            let fallback = if root.fallback { "fallback" } else { "" };
            row(&root.certificate_type, fallback, "", &root.certificate)
        });
        rows.collect()
    })?;
    section(out, "Certificates for the connection to the CSMS", || own.iter().flat_map(own_rows).collect())?;
    if !vehicle.is_empty() {
        section(out, "Certificates for vehicles", || vehicle.iter().flat_map(own_rows).collect())?;
    }
    if !pending.is_empty() {
        section(out, "Requests that wait for a certificate", || pending.iter().map(pending_row).collect())?;
    }
    if !condemned_keys.is_empty() {
        section(out, "Keys that are yet to be destroyed in the token", || {
            condemned_keys.iter().map(|key| vec![key.clone()]).collect()
        })?;
    }
    for record in damaged {
        out.line(format_args!("Damaged: {record}"))?;
    }
    Ok(())
}

fn section(
    out: &mut Output,
    title: &str,
    rows: impl FnOnce() -> Vec<Vec<String>>,
) -> Result<(), OutputError> {
    out.line(title)?;
    match rows() {
        rows if rows.is_empty() => out.line("  none"),
        rows => print_rows(out, &rows),
    }
}

fn row(kind: &str, state: &str, indent: &str, certificate: &CertificateEntry) -> Vec<String> {
    let serial_number = certificate.serial_number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    vec![
        kind.to_owned(),
        state.to_owned(),
        format!("{indent}{}", certificate.subject),
        validity(certificate),
        format!("serial number {serial_number}"),
    ]
}

/// The leaf with its key, and its sub-CAs indented below it.
fn own_rows(own: &OwnEntry) -> Vec<Vec<String>> {
    let state = if own.in_use { "in use" } else { "renewed" };
    let mut leaf = row(&own.certificate_type, state, "", &own.certificate);
    leaf.push(own.key_uri.clone());
    let children = own.children.iter().map(|child| row("", "", "└ ", child));
    [leaf].into_iter().chain(children).collect()
}

fn pending_row(pending: &PendingEntry) -> Vec<String> {
    let sends = match pending.sends {
        Sends::Sent { times, next } => {
            let next = next.map_or("not again by itself".to_owned(), |next| format!("next {}", minute(next)));
            format!("accepted {}, {next}", counted(times.try_into().unwrap_or(usize::MAX), "time", "times"))
        }
        Sends::Stopped => "waits for a trigger".to_owned(),
        _ if pending.ready => "never sent".to_owned(),
        _ => "the key is being made".to_owned(),
    };
    let name = pending.common_name.clone().unwrap_or_default();
    vec![pending.certificate_type.clone(), name, sends, pending.key_uri.clone()]
}

/// How long an agent that waits for its token takes to start.
const START: Duration = Duration::from_secs(5);

const PAUSE: Duration = Duration::from_millis(50);
