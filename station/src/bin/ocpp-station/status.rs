//! `status`: the state of the running agent.

use anyhow::Result;
use program::{Output, OutputError};
use station::{
    Config,
    control::{ControlRequest, Link, Status},
};

use crate::{
    agent::{ask, runtime},
    text::{counted, minute, print_rows, validity},
};

pub(crate) fn run(config: &Config, json: bool) -> Result<()> {
    let status: Status = runtime()?.block_on(ask(config, &ControlRequest::Status))?;
    let mut out = Output::new();
    match json {
        true => out.json(serde_json::to_string(&status)?)?,
        false => print(&mut out, &status)?,
    }
    Ok(out.finish()?)
}

fn print(out: &mut Output, status: &Status) -> Result<(), OutputError> {
    let Status { identity, program_version, pid, .. } = status;
    out.line(format_args!("{identity}: ocpp-station {program_version}, process {pid}"))?;
    match &status.link {
        Link::Up { slot, url, ocpp_version, security_profile, since, registration, certificate } => {
            let registration = registration.as_deref().unwrap_or("not booted yet");
            let line = format!(
                "connected to {url} (slot {slot}) since {}, {ocpp_version}, security profile {security_profile}, \
                 {registration}",
                minute(*since),
            );
            out.line(line)?;
            match certificate {
                Some(own) => out.line(format_args!("with {}, {}", own.subject, validity(own)))?,
                None => out.line("with its password")?,
            }
        }
        Link::Down { slot, error } => {
            let slot = slot.map(|slot| format!(" on slot {slot}")).unwrap_or_default();
            let error = error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
            out.line(format_args!("not connected, and tries again{slot}{error}"))?;
        }
        _ => out.line("connected in a way that this version does not know")?,
    }
    for fault in &status.disk_faults {
        let line = format!("cannot write {} since {}: {}", fault.file, minute(fault.since), fault.reason);
        out.line(line)?;
        out.line(format_args!("  {}", fault.remedy))?;
    }
    if !status.renewals.is_empty() {
        out.line("Renewal")?;
        let rows = status.renewals.iter().map(|renewal| {
            let next = renewal.next.map(|next| format!("next {}", minute(next))).unwrap_or_default();
            vec![renewal.subject.clone(), renewal.state.clone(), next]
        });
        print_rows(out, &rows.collect::<Vec<_>>())?;
    }
    let events = counted(status.events_waiting, "security event waits", "security events wait");
    out.line(format_args!("{events} to be reported"))
}
