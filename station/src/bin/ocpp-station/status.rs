//! `status`: how the running agent is.

use anyhow::Result;
use station::{
    Config,
    control::{ControlRequest, Link, Status},
};

use crate::{
    agent::{ask, runtime},
    text::{counted, minute, print_rows, printable, validity},
};

pub(crate) fn run(config: &Config, json: bool) -> Result<()> {
    let status: Status = runtime()?.block_on(ask(config, &ControlRequest::Status))?;
    if json {
        println!("{}", serde_json::to_string(&status)?);
    } else {
        print(&status);
    }
    Ok(())
}

fn print(status: &Status) {
    println!(
        "{}: ocpp-station {}, process {}",
        printable(&status.identity),
        status.program_version,
        status.pid
    );
    match &status.link {
        Link::Up { slot, url, ocpp_version, security_profile, since, registration, certificate } => {
            let registration = registration.as_deref().unwrap_or("not booted yet");
            let line = format!(
                "connected to {url} (slot {slot}) since {}, OCPP {ocpp_version}, security profile {security_profile}, \
                 {registration}",
                minute(*since),
            );
            println!("{}", printable(&line));
            match certificate {
                Some(own) => println!("with {}, {}", printable(&own.subject), validity(own)),
                None => println!("with its password"),
            }
        }
        Link::Down { slot, error } => {
            let slot = slot.map(|slot| format!(" on slot {slot}")).unwrap_or_default();
            let error = error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
            println!("{}", printable(&format!("not connected, and tries again{slot}{error}")));
        }
        _ => println!("connected in a way that this version does not know"),
    }
    if !status.renewals.is_empty() {
        println!("Renewal");
        let rows = status.renewals.iter().map(|renewal| {
            let next = renewal.next.map(|next| format!("next {}", minute(next))).unwrap_or_default();
            vec![renewal.subject.clone(), renewal.state.clone(), next]
        });
        print_rows(&rows.collect::<Vec<_>>());
    }
    let events = counted(status.events_waiting, "security event waits", "security events wait");
    println!("{events} to be reported");
}
