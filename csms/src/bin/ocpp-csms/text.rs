//! What an operator's command brings, as text for people.

use csms::control::{IssuedCertificate, Revoked, Status, WaitingRequest};
use serde_json::Value;

pub(crate) fn status(status: &Status) -> Vec<String> {
    let mut lines = vec![format!("listening on {}", status.url)];
    for station in &status.stations {
        let certificate = match &station.certificate_serial_number {
            Some(serial_number) => format!("certificate {serial_number}"),
            None => "password".to_owned(),
        };
        let booted = if station.booted { "booted" } else { "not booted" };
        lines.push(format!(
            "{:<24} {:<9}  profile {}  {certificate}  {booted}",
            station.identity, station.subprotocol, station.security_profile
        ));
    }
    lines.push(format!("{} connected", status.stations.len()));
    lines
}

pub(crate) fn certificates(certificates: &[IssuedCertificate]) -> Vec<String> {
    let mut lines = Vec::new();
    for certificate in certificates {
        let (state, reason) = match &certificate.revocation_reason {
            Some(reason) => ("Revoked", reason.as_str()),
            None => (certificate.state.as_str(), certificate.reason.as_deref().unwrap_or_default()),
        };
        lines.push(format!(
            "{:<40}  {:<24}  {state} {reason}",
            certificate.serial_number, certificate.station
        ));
    }
    lines.push(format!("{} issued", certificates.len()));
    lines
}

pub(crate) fn revoked(revoked: &Revoked) -> Vec<String> {
    let mut lines = Vec::new();
    for serial_number in &revoked.serial_numbers {
        lines.push(format!("revoked {serial_number}"));
    }
    if revoked.serial_numbers.is_empty() {
        lines.push("there is nothing to revoke that is not revoked already".to_owned());
    }
    for list in &revoked.lists {
        lines.push(format!("signed {}: number {}, {} revoked", list.file, list.number, list.revoked));
    }
    lines.push(format!("connections closed: {}", revoked.closed.join(", ")));
    if let Some(problem) = &revoked.problem {
        lines.push(format!("the list is not in force: {problem}"));
    }
    lines
}

pub(crate) fn requests(requests: &[WaitingRequest]) -> Vec<String> {
    let mut lines = Vec::new();
    for request in requests {
        let certificate_type = request.certificate_type.as_deref().unwrap_or("for all connections");
        let state = request.failure.as_deref().unwrap_or("waits");
        lines.push(format!(
            "{:<24}  {certificate_type:<28}  since {}  {state}",
            request.station, request.asked_at
        ));
    }
    lines.push(format!("{} without a certificate", requests.len()));
    lines
}

pub(crate) fn inventory(inventory: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let text = |value: &Value, pointer: &str| {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    for chain in inventory["certificateHashDataChain"].as_array().into_iter().flatten() {
        let serial_number = text(chain, "/certificateHashData/serialNumber");
        lines.push(format!("{:<28} serial number {serial_number}", text(chain, "/certificateType")));
    }
    lines.push(text(inventory, "/status"));
    lines
}

pub(crate) fn answer(answer: &Value) -> Vec<String> {
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
    let reason = text("/statusInfo/reasonCode").map(|code| format!(" ({code})")).unwrap_or_default();
    vec![format!("{}{reason}", text("/status").unwrap_or("answered"))]
}
