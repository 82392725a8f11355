//! What the running service does on an operator's word.

use ocpp_transport::{Password, Peer};
use serde_json::value::RawValue;
use signer_pkcs11::RevocationReason;

use crate::{
    causes::in_one_line,
    control::{ControlRequest, IssuedCertificate, Revoked, Status, WaitingRequest},
    io::{
        admission::serial_number, handlers::Desk, metrics::Metrics, passwords, reload::Reloader,
        sqlite::SqliteLedger, unix_now, upkeep::When,
    },
    ledger::{Delivery, ForwardedRequest, Ledger as _, LedgerEntry},
    operator::{self, OperatorCallError},
};

/// What an operator's commands work on.
#[derive(Debug)]
pub(crate) struct Office {
    pub(crate) reloader: Reloader<SqliteLedger>,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) url: String,
}

/// Carries an operator's command out.
pub(crate) async fn answer(office: &Office, request: ControlRequest) -> Result<Box<RawValue>, String> {
    let Office { reloader, metrics, url } = office;
    let desk = &reloader.desk;
    let ledger = &desk.enrolment.ledger;
    match request {
        ControlRequest::Status => raw(&Status { url: url.clone(), stations: desk.fleet.stations() }),
        ControlRequest::Call { station, action, payload } => {
            brought(operator::call(&connected(desk, &station)?, &action, payload.get()).await)
        }
        ControlRequest::Trigger { station, message } => {
            brought(operator::trigger(&connected(desk, &station)?, &message).await)
        }
        ControlRequest::Install { station, certificate_type, certificate } => {
            brought(operator::install(&connected(desk, &station)?, &certificate_type, &certificate).await)
        }
        ControlRequest::Inventory { station } => {
            brought(operator::inventory(&connected(desk, &station)?).await)
        }
        ControlRequest::Delete { station, hash_data } => {
            brought(operator::delete(&connected(desk, &station)?, &hash_data).await)
        }
        ControlRequest::Certificates => {
            let entries = ledger.certificates(MOST_LISTED).await.map_err(in_one_line)?;
            raw(&entries.into_iter().map(shown).collect::<Vec<_>>())
        }
        ControlRequest::SetPassword { station, password } => {
            let peer = connected(desk, &station)?;
            let password = password.map(|password| Password::from(password.0.as_str()));
            raw(&passwords::change(ledger, &peer, password).await.map_err(in_one_line)?)
        }
        ControlRequest::Metrics => match metrics {
            Some(metrics) => raw(&metrics.text()),
            None => Err("this service counts nothing".to_owned()),
        },
        ControlRequest::Reload => raw(&reloader.reload().await.map_err(in_one_line)?),
        ControlRequest::Release { station } => {
            let config = desk.config.get();
            let record = config.station(&station);
            let record = record
                .ok_or_else(|| format!("{station} is not in the configuration; is it spelled right?"))?;
            ledger.release(&record.identity).await.map_err(in_one_line)?;
            // It was admitted by what has just been forgotten.
            let is_it = |peer: &Peer| peer.identity().as_str() == record.identity;
            reloader.close(is_it, "an operator has released it").await;
            raw(&record.identity)
        }
        ControlRequest::Revoke { serial_number, station, reason } => {
            let identity = station.as_ref().map(|station| config_spelling(desk, station));
            raw(&revoke(reloader, serial_number.as_deref(), identity.as_deref(), reason).await?)
        }
        ControlRequest::SignLists => {
            let config = desk.config.get();
            let lists = reloader.upkeep.sign_lists(&config, When::Now).await;
            // Also where one of several failed: the others are signed.
            reloader.upkeep.serve(reloader).await.map_err(in_one_line)?;
            raw(&lists.map_err(in_one_line)?)
        }
        ControlRequest::IssueServerCertificate => {
            let config = desk.config.get();
            let files = reloader.upkeep.issue_own(&config, When::Now).await;
            reloader.upkeep.serve(reloader).await.map_err(in_one_line)?;
            raw(&files.map_err(in_one_line)?)
        }
        ControlRequest::Requests => {
            let requests = ledger.requests(MOST_LISTED).await.map_err(in_one_line)?;
            raw(&requests.into_iter().map(asked).collect::<Vec<_>>())
        }
    }
}

/// Revokes certificates: on record first, then on the connections, and meanwhile on the lists.
async fn revoke(
    reloader: &Reloader<SqliteLedger>,
    serial: Option<&str>,
    station: Option<&str>,
    reason: RevocationReason,
) -> Result<Revoked, String> {
    let desk = &reloader.desk;
    let ledger = &desk.enrolment.ledger;
    // As people copy it from other programs.
    let serial = serial.map(|text| {
        let digits = text.to_ascii_lowercase().replace([':', ' '], "");
        digits.trim_start_matches("0x").trim_start_matches('0').to_owned()
    });
    let found = ledger.revocable(serial.as_deref(), station, unix_now()).await.map_err(in_one_line)?;
    if let (Some(serial), true) = (&serial, found.is_empty()) {
        return Err(format!(
            "no certificate has the serial number {serial}; `ocpp-csms certificates` lists them"
        ));
    }
    let shown = |peer: &Peer| {
        let leaf = peer.client_certificate().and_then(|chain| chain.first());
        leaf.and_then(|leaf| serial_number(leaf))
    };
    // A station that is cut off may also be connected with a certificate that was revoked before.
    let mut ended = found.clone();
    if let Some(station) = station
        && let Some(serial) = desk.fleet.peer(station).as_ref().and_then(shown)
        && ledger.is_revoked(station, &serial).await.map_err(in_one_line)?
    {
        ended.push(serial);
    }
    let serial_numbers = ledger.revoke(&found, reason).await.map_err(in_one_line)?;
    tracing::warn!(?serial_numbers, reason = reason.as_str(), "revoked");
    let revoked = |peer: &Peer| shown(peer).is_some_and(|serial| ended.contains(&serial));
    let config = desk.config.get();
    let list = async {
        let lists = reloader.upkeep.sign_lists(&config, When::Now).await;
        (lists, reloader.upkeep.serve(reloader).await)
    };
    // Whatever becomes of the lists, the revocation is on record, and admission asks the record: no connection waits for a
    // signature to be closed.
    let (mut closed, (lists, refreshed)) =
        tokio::join!(biased; reloader.close(revoked, "its certificate is revoked"), list);
    for other in refreshed.as_ref().into_iter().flatten() {
        if !closed.contains(other) {
            closed.push(other.clone());
        }
    }
    let problem = lists.as_ref().err().map(in_one_line).or(refreshed.as_ref().err().map(in_one_line));
    Ok(Revoked { serial_numbers, closed, lists: lists.unwrap_or_default(), problem })
}

/// An identity as the configuration writes it.
fn config_spelling<L>(desk: &Desk<L>, station: &str) -> String {
    let config = desk.config.get();
    config.station(station).map_or_else(|| station.to_owned(), |record| record.identity.clone())
}

/// The connection of a station that an operator names.
fn connected<L>(desk: &Desk<L>, station: &str) -> Result<Peer, String> {
    let peer = desk.fleet.peer(&config_spelling(desk, station));
    peer.ok_or_else(|| format!("{station} is not connected; `ocpp-csms status` shows who is"))
}

fn shown(entry: LedgerEntry) -> IssuedCertificate {
    let (state, reason) = match entry.state {
        Delivery::Issued => ("Issued", None),
        Delivery::Accepted => ("Accepted", None),
        Delivery::Rejected { reason } => ("Rejected", reason),
    };
    IssuedCertificate {
        serial_number: entry.serial_number,
        station: entry.station,
        state: state.to_owned(),
        reason,
        not_after: entry.not_after,
        revoked_at: entry.revoked.as_ref().map(|revoked| revoked.at),
        revocation_reason: entry.revoked.map(|revoked| revoked.reason),
    }
}

/// A station's response.
fn brought(response: Result<String, OperatorCallError>) -> Result<Box<RawValue>, String> {
    RawValue::from_string(response.map_err(in_one_line)?).map_err(in_one_line)
}

fn raw(value: &impl serde::Serialize) -> Result<Box<RawValue>, String> {
    serde_json::value::to_raw_value(value).map_err(in_one_line)
}

fn asked(request: ForwardedRequest) -> WaitingRequest {
    WaitingRequest {
        station: request.station,
        certificate_type: request.certificate_type,
        asked_at: request.asked_at,
        failure: request.failure,
    }
}

/// Certificates that one command lists.
const MOST_LISTED: u32 = 1000;
