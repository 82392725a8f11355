//! The result of an operator's command, as text for people.

use certificates::{StationIdentity, UnixSeconds};
use csms::{
    ShownStation, StationPlace,
    control::{ConnectedStation, IssuedCertificate, Revoked, Status, WaitingRequest},
};
use ocpp_types::Timestamp;
use program::escaped;
use serde_json::Value;

pub(crate) fn station(station: &ConnectedStation) -> String {
    let certificate = match &station.certificate_serial_number {
        Some(serial_number) => format!("certificate {serial_number}"),
        None => "password".to_owned(),
    };
    let booted = if station.booted { "booted" } else { "not booted" };
    format!(
        "{:<24} {:<9}  profile {}  {certificate}  {booted}",
        escaped(station.identity.as_str()),
        station.subprotocol,
        station.security_profile
    )
}

/// The text about the service that follows its stations.
pub(crate) fn status(status: &Status) -> Vec<String> {
    let mark = |entry: Option<u64>| entry.map_or("not kept".to_owned(), |entry| entry.to_string());
    let ledger = &status.ledger;
    let mut lines = vec![
        format!("listening on {}", status.url),
        format!("{} connected", status.connected),
        format!(
            "ledger: {} entries; high-water mark in the file {}, in the token {}",
            ledger.entries,
            mark(ledger.mark_in_file),
            mark(ledger.mark_in_token)
        ),
    ];
    let not_sent = |found: &String| format!("not sent, because it is not what was signed: {found}");
    lines.extend(ledger.not_as_signed.iter().map(not_sent));
    if let Some(overload) = status.logins.overload {
        lines.push(format!(
            "overloaded for {} s: {} logins wait, {} served, {} refused, {} gone",
            overload.seconds, status.logins.waiting, overload.served, overload.refused, overload.gone
        ));
    }
    let clock = &status.clock;
    if let (Some(left), Some(step)) = (clock.doubted_for_seconds, clock.last_step_seconds) {
        lines.push(format!(
            "the clock was moved by {step} s and is not trusted for another {left} s; set it if it is wrong, or run \
             `ocpp-csms issue-server-certificate` if it is right"
        ));
    } else if let Some(step) = clock.last_step_seconds {
        lines.push(format!("the clock was moved {} times, by {step} s the last time", clock.steps));
    }
    lines.extend(status.problems.iter().map(|problem| format!("problem: {}", escaped(problem))));
    lines
}

pub(crate) fn certificate(certificate: &IssuedCertificate) -> String {
    let (state, reason) = match &certificate.revocation_reason {
        Some(reason) => ("Revoked", reason.as_str()),
        None => (certificate.state.as_str(), certificate.reason.as_deref().unwrap_or_default()),
    };
    format!(
        "{:<40}  {:<24}  {state} {reason}",
        certificate.serial_number,
        escaped(certificate.station.as_str())
    )
}

pub(crate) fn revoked(revoked: &Revoked) -> Vec<String> {
    let mut lines = Vec::new();
    for serial_number in &revoked.serial_numbers {
        lines.push(format!("revoked {serial_number}"));
    }
    if revoked.serial_numbers.is_empty() {
        lines.push("there is no certificate left to revoke".to_owned());
    }
    for list in &revoked.lists {
        lines.push(format!("signed {}: number {}, {} revoked", list.file, list.number, list.revoked));
    }
    lines.push(format!("connections closed: {}", stations(&revoked.closed)));
    if let Some(problem) = &revoked.problem {
        lines.push(format!("the list is not in use: {problem}"));
    }
    lines
}

/// Stations, separated by commas.
pub(crate) fn stations(identities: &[StationIdentity]) -> String {
    identities.iter().map(StationIdentity::as_str).collect::<Vec<_>>().join(", ")
}

pub(crate) fn request(request: &WaitingRequest) -> String {
    let certificate_type = request.certificate_type.as_deref().unwrap_or("for all connections");
    let state = request.failure.as_deref().unwrap_or("waits");
    let (station, certificate_type) = (escaped(request.station.as_str()), escaped(certificate_type));
    format!("{station:<24}  {certificate_type:<28}  since {}  {state}", request.asked_at)
}

pub(crate) fn inventory(inventory: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let text = |value: &Value, pointer: &str| {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    for chain in inventory["certificateHashDataChain"].as_array().into_iter().flatten() {
        let serial_number = text(chain, "/certificateHashData/serialNumber");
        let certificate_type = text(chain, "/certificateType");
        lines.push(format!("{:<28} serial number {serial_number}", escaped(certificate_type)));
    }
    lines.push(text(inventory, "/status"));
    lines
}

pub(crate) fn answer(answer: &Value) -> Vec<String> {
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
    let reason = text("/statusInfo/reasonCode").map(|code| format!(" ({code})")).unwrap_or_default();
    let info = text("/statusInfo/additionalInfo").map(|info| format!(": {info}")).unwrap_or_default();
    vec![format!("{}{reason}{info}", text("/status").unwrap_or("answered"))]
}

/// A station of the ledger in a list.
pub(crate) fn registered(station: &ShownStation) -> String {
    let seen = station.learnt.last_seen.map_or("never seen".to_owned(), |at| format!("seen {}", when(at)));
    let fields = &station.fields;
    let group = fields.group.as_deref().unwrap_or("-");
    format!("{:<24} {:<25} {:<12} {seen}", fields.identity, fields.serial_number, group)
}

/// All that is known of a station.
pub(crate) fn registered_in_full(station: &ShownStation) -> Vec<String> {
    let ShownStation { fields, learnt, .. } = station;
    let place = match station.place {
        StationPlace::File => "the configuration file",
        _ => "the ledger",
    };
    let time = |at: Option<UnixSeconds>| at.map(when);
    let labels = fields.labels.iter().map(|(name, text)| format!("{name}={text}"));
    let labels = labels.collect::<Vec<_>>().join(";");
    let profile = |profile: Option<u8>| profile.map(|profile| profile.to_string());
    let lines = [
        ("identity", Some(fields.identity.clone())),
        ("serial number", Some(fields.serial_number.clone())),
        ("registered in", Some(place.to_owned())),
        ("group", fields.group.clone()),
        ("labels", Some(labels).filter(|labels| !labels.is_empty())),
        ("password", Some(if station.has_password { "yes" } else { "no" }.to_owned())),
        ("lowest profile", profile(fields.lowest_security_profile)),
        ("enrolment", fields.enrolment.clone()),
        ("first seen", time(learnt.first_seen)),
        ("last seen", time(learnt.last_seen)),
        ("version", learnt.ocpp_version.clone()),
        ("profile", profile(learnt.security_profile)),
        ("vendor", learnt.vendor.clone()),
        ("model", learnt.model.clone()),
        ("firmware", learnt.firmware.clone()),
    ];
    let line = |(name, text): (&str, Option<String>)| Some(format!("{name:<15} {}", text?));
    lines.into_iter().filter_map(line).collect()
}

fn when(at: UnixSeconds) -> String {
    Timestamp::from(at.to_system_time()).to_string()
}
