//! Carries out operators' commands in the running service.

use std::{sync::Arc, time::Duration};

use certificates::StationIdentity;
use ocpp_transport::{CallFailure, Password, Peer};
use program::in_one_line;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use crate::{
    ledger::{Delivery, ForwardedRequest, ListedCertificate, MAX_ATTEMPTS},
    service::{
        certificate_file::certificate_to_install,
        control::{ControlReply, ControlRequest, IssuedCertificate, Listed, Status, WaitingRequest},
        io::{
            clock::unix_now,
            control::{Answer, Rows},
            metrics::Metrics,
            reload::Reloader,
            revoke::revoke,
            station_commands::carry_out,
        },
    },
    signing::serving::When,
    stations::{
        connection::version_of,
        io::{
            by_hand::{self, OperatorCallError},
            login::logins::Logins,
            password_change::{self, ChangePasswordError},
            registry::StationRegistry,
            stations::Stations,
        },
        words::is_last_csms_root,
    },
};

/// The state that operators' commands use.
#[derive(Debug)]
pub(crate) struct OperatorApi {
    pub(crate) reloader: Reloader,
    pub(crate) stations: Stations,
    pub(crate) logins: Arc<Logins>,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) url: String,
}

impl Answer for OperatorApi {
    async fn answer(&self, request: ControlRequest, rows: &mut Rows) -> ControlReply {
        match answer(self, request, rows).await {
            Ok(value) => ControlReply::Done(value),
            Err(NotDone::Failed(reason)) => ControlReply::Failed(reason),
            Err(NotDone::Refused(reason)) => ControlReply::Refused(reason),
            Err(NotDone::NotConnected(reason)) => ControlReply::NotConnected(reason),
        }
    }
}

/// Why a command was not carried out, as text for people.
#[derive(Debug)]
enum NotDone {
    /// The station answered with a CALLERROR.
    Refused(String),
    /// The station is not connected.
    NotConnected(String),
    /// Any other reason.
    Failed(String),
}

impl From<String> for NotDone {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

/// Carries out an operator's command.
async fn answer(
    api: &OperatorApi,
    request: ControlRequest,
    rows: &mut Rows,
) -> Result<Box<RawValue>, NotDone> {
    let OperatorApi { reloader, stations, logins, metrics, url } = api;
    let registry = &reloader.registry;
    let ledger = &registry.ledger;
    match request {
        ControlRequest::Status => {
            let stations = registry.fleet.stations();
            for station in &stations {
                rows.send(station).await?;
            }
            let mut problems = reloader.upkeep.problems();
            let given_up = ledger.given_up(unix_now()).await.map_err(in_one_line)?;
            if given_up > 0 {
                problems.push(format!(
                    "{given_up} certificates were sent {MAX_ATTEMPTS} times without an answer and are not sent again; \
                     `ocpp-csms certificates --state issued` lists them, `ocpp-csms trigger STATION \
                     SignChargingStationCertificate` starts again"
                ));
            }
            done(&Status {
                url: url.clone(),
                connected: stations.len() as u64,
                logins: logins.status(),
                clock: reloader.upkeep.clock().status(),
                problems,
                ledger: ledger.status(),
            })
        }
        ControlRequest::Call { station, action, payload } => {
            station_response(by_hand::call(&connected(registry, &station)?, &action, payload.get()).await)
        }
        ControlRequest::Trigger { station, message } => {
            station_response(by_hand::trigger(&connected(registry, &station)?, &message).await)
        }
        ControlRequest::Install { station, certificate_type, certificate } => {
            // This is the last check that prevents a secret from being sent by mistake.
            let certificate = certificate_to_install(certificate.as_bytes()).map_err(in_one_line)?;
            station_response(
                by_hand::install(&connected(registry, &station)?, &certificate_type, &certificate).await,
            )
        }
        ControlRequest::Inventory { station } => {
            station_response(by_hand::inventory(&connected(registry, &station)?).await)
        }
        ControlRequest::Delete { station, hash_data } => {
            let peer = connected(registry, &station)?;
            // If the station does not answer this request, the next request will show its state.
            let listed = timeout(LONGEST_LOOK, by_hand::inventory(&peer)).await;
            let listed = listed.ok().and_then(Result::ok).unwrap_or_default();
            if version_of(&peer).is_ok_and(|version| is_last_csms_root(version, &listed, &hash_data)) {
                tracing::warn!(%station, "the last CSMS root of a station is to be deleted");
                rows.warn(format!("{station}: {LAST_CSMS_ROOT}")).await?;
            }
            station_response(by_hand::delete(&peer, &hash_data).await)
        }
        ControlRequest::Certificates { filter, limit } => {
            let (mut list, mut before) = (List { rows, limit, sent: 0 }, i64::MAX);
            loop {
                let page = ledger.certificates(&filter, before, ROWS_AT_ONCE).await.map_err(in_one_line)?;
                before = page.last().map_or(before, |entry| entry.number);
                if let Some(listed) = list.send(page.into_iter().map(issued_certificate)).await? {
                    return Ok(raw(&listed)?);
                }
            }
        }
        ControlRequest::SetPassword { station, password } => {
            let peer = connected(registry, &station)?;
            let password = password.map(|password| Password::from(password.0.as_str()));
            let changed = password_change::change(ledger, logins, &peer, password).await;
            done(&changed.map_err(|error| match error {
                ChangePasswordError::Refused { .. } => NotDone::Refused(in_one_line(error)),
                error => NotDone::Failed(in_one_line(error)),
            })?)
        }
        ControlRequest::Metrics => match metrics {
            Some(metrics) => done(&metrics.text()),
            None => Err("this service collects no metrics".to_owned().into()),
        },
        ControlRequest::Reload => done(&reloader.reload().await.map_err(in_one_line)?),
        ControlRequest::Release { station } => {
            let record = registry.stations.station(&station).await.map_err(in_one_line)?;
            let record = record.ok_or_else(|| {
                format!("{station} is not in the configuration or the ledger; is it spelled right?")
            })?;
            ledger.release(&record.identity).await.map_err(in_one_line)?;
            // The admission of this connection depended on the deleted data.
            let is_it = |peer: &Peer| *peer.identity() == record.identity;
            reloader.close(is_it, "an operator has released it").await;
            done(&record.identity)
        }
        ControlRequest::AcceptPasswords => {
            ledger.accept_passwords().await.map_err(in_one_line)?;
            done(&())
        }
        ControlRequest::Revoke { serial_number, station, reason } => {
            done(&revoke(reloader, serial_number, station.as_ref(), reason).await?)
        }
        ControlRequest::SignLists => {
            let config = registry.config.get();
            let lists = reloader.upkeep.sign_lists(&config, When::Now).await;
            // This is done also if one of several lists failed: the others are signed.
            reloader.serve().await.map_err(in_one_line)?;
            done(&lists.map_err(in_one_line)?)
        }
        ControlRequest::IssueServerCertificate => {
            let config = registry.config.get();
            // With this command the operator confirms that the clock is right.
            reloader.upkeep.clock().believe();
            let files = reloader.upkeep.issue_own(&config, When::Now).await;
            reloader.serve().await.map_err(in_one_line)?;
            done(&files.map_err(in_one_line)?)
        }
        ControlRequest::Stations(command) => {
            Ok(Box::pin(carry_out(reloader, stations, command, rows)).await?)
        }
        ControlRequest::Requests { limit } => {
            let (mut list, mut before) = (List { rows, limit, sent: 0 }, i64::MAX);
            loop {
                let page = ledger.requests(before, ROWS_AT_ONCE).await.map_err(in_one_line)?;
                before = page.last().map_or(before, |request| request.id);
                if let Some(listed) = list.send(page.into_iter().map(waiting_request)).await? {
                    return Ok(raw(&listed)?);
                }
            }
        }
    }
}

/// A list of any length, page by page. The ledger is not locked while a row is sent.
struct List<'a> {
    rows: &'a mut Rows,
    limit: Option<u64>,
    sent: u64,
}

impl List<'_> {
    /// Sends a page of at most [`ROWS_AT_ONCE`] rows. Returns the reply if it was the last page.
    async fn send<R: Serialize>(
        &mut self,
        page: impl ExactSizeIterator<Item = R>,
    ) -> Result<Option<Listed>, String> {
        let is_last = page.len() < ROWS_AT_ONCE as usize;
        for row in page {
            if self.limit.is_some_and(|limit| self.sent >= limit) {
                return Ok(Some(Listed { rows: self.sent, whole: false }));
            }
            self.rows.send(&row).await?;
            self.sent += 1;
        }
        Ok(is_last.then_some(Listed { rows: self.sent, whole: true }))
    }
}

/// The connection of a station that an operator names.
fn connected(registry: &StationRegistry, station: &StationIdentity) -> Result<Peer, NotDone> {
    let peer = registry.fleet.peer(station);
    let why = || format!("{station} is not connected; `ocpp-csms status` shows who is");
    peer.ok_or_else(|| NotDone::NotConnected(why()))
}

fn issued_certificate(entry: ListedCertificate) -> IssuedCertificate {
    let (state, reason) = match entry.state {
        Delivery::Issued => {
            let problem = entry.problem.filter(|_| entry.attempts > 0);
            let attempts = entry.attempts;
            let said = problem.map(|problem| {
                format!("sent {attempts} of {MAX_ATTEMPTS} times without an answer: {problem}")
            });
            ("Issued", said)
        }
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
fn station_response(response: Result<String, OperatorCallError>) -> Result<Box<RawValue>, NotDone> {
    let response = response.map_err(|error| match error {
        OperatorCallError::Call { source: CallFailure::CallError { .. }, .. } => {
            NotDone::Refused(in_one_line(error))
        }
        error => NotDone::Failed(in_one_line(error)),
    })?;
    Ok(RawValue::from_string(response).map_err(in_one_line)?)
}

fn done(value: &impl serde::Serialize) -> Result<Box<RawValue>, NotDone> {
    Ok(raw(value)?)
}

fn raw(value: &impl serde::Serialize) -> Result<Box<RawValue>, String> {
    serde_json::value::to_raw_value(value).map_err(in_one_line)
}

fn waiting_request(request: ForwardedRequest) -> WaitingRequest {
    WaitingRequest {
        station: request.station,
        certificate_type: request.certificate_type,
        asked_at: request.asked_at,
        failure: request.failure,
    }
}

/// How long a station may take to list its certificates before it is asked to delete one of them.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// The warning for an operator before a station is asked to delete its only root.
const LAST_CSMS_ROOT: &str = "this is its last CSMSRootCertificate; a station that deletes it cannot verify this service \
    any more, and connects again only after a root was installed on the spot";

/// The number of rows that are read from the ledger at once.
const ROWS_AT_ONCE: u32 = 500;
