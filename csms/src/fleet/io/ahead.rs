//! Stations' certificates that were issued while the clock was ahead. They are not valid yet, and
//! only this service accepts them. The service asks connected stations to renew them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use certificates::SerialNumber;
use metrics::gauge;
use ocpp_transport::Peer;
use program::causes;
use signer_pkcs11::Present;
use tokio::task::JoinSet;

use crate::{
    fleet::Fleet,
    ledger::{Ledger, LedgerEntry, LedgerError, leaf},
    service::io::metrics as names,
    stations::io::by_hand,
};

/// The certificates that were issued while the clock was ahead, and the stations that were asked to
/// renew them.
#[derive(Debug, Default)]
pub(crate) struct IssuedAhead(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    found: Vec<LedgerEntry>,
    /// By serial number: when its station was asked.
    asked: HashMap<SerialNumber, Instant>,
}

impl IssuedAhead {
    /// Looks for them in the ledger.
    pub(crate) async fn look(&self, ledger: &Ledger, present: Present) -> Result<(), LedgerError> {
        let mut found = ledger.issued_after(present.latest, MAX_FOUND).await?;
        found.retain(|entry| is_early(entry, present));
        gauge!(names::NOT_YET_VALID).set(u32::try_from(found.len()).unwrap_or(u32::MAX));
        let mut state = self.state();
        if found.len() > state.found.len() {
            tracing::error!(
                certificates = found.len(),
                "certificates of stations were issued while the clock was ahead; their stations are asked to renew them"
            );
        }
        state.asked.retain(|serial, _| found.iter().any(|entry| entry.serial_number == *serial));
        state.found = found;
        Ok(())
    }

    /// Whether there are no such certificates.
    pub(crate) fn is_empty(&self) -> bool {
        self.state().found.is_empty()
    }

    /// Their serial numbers. Certificates with these numbers are accepted until they are renewed.
    pub(crate) fn serial_numbers(&self) -> BTreeSet<SerialNumber> {
        self.state().found.iter().map(|entry| entry.serial_number).collect()
    }

    /// The problem as an operator sees it, if there are such certificates.
    pub(crate) fn problem(&self) -> Option<String> {
        let state = self.state();
        let first = state.found.first()?;
        Some(format!(
            "{} certificates of stations were issued while the clock was ahead and are not valid yet, the first one for {}; \
             each station is asked to renew its certificate when it is connected",
            state.found.len(),
            first.station
        ))
    }

    /// Asks connected stations to renew such certificates, a bounded number at the same time.
    pub(crate) fn ask(&self, fleet: &Fleet, asking: &mut JoinSet<()>) {
        while asking.try_join_next().is_some() {}
        let mut state = self.state();
        let State { found, asked } = &mut *state;
        for entry in found {
            if asking.len() >= MAX_ASKED_AT_ONCE {
                return;
            }
            if asked.get(&entry.serial_number).is_some_and(|at| at.elapsed() < ASK_AGAIN) {
                continue;
            }
            let Some(peer) = fleet.peer(&entry.station) else { continue };
            asked.insert(entry.serial_number, Instant::now());
            asking.spawn(ask_to_renew(peer, message(entry.certificate_type.as_deref())));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No holder of the lock can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a certificate is not valid yet, and will not be in the few minutes by which clocks
/// differ.
pub(crate) fn is_early(entry: &LedgerEntry, present: Present) -> bool {
    leaf(&entry.chain).is_some_and(|leaf| leaf.not_before() > (present.latest + SKEW).into())
}

async fn ask_to_renew(peer: Peer, message: &'static str) {
    let station = peer.identity().as_str();
    match by_hand::trigger(&peer, message).await {
        Ok(answer) => {
            tracing::info!(station, message, answer, "asked to renew a certificate that is not valid yet");
        }
        Err(error) => {
            tracing::warn!(station, message, error = %causes(&error), "was not asked to renew a certificate");
        }
    }
}

/// The message that a station is asked to send, by the `certificateType` of its certificate.
fn message(certificate_type: Option<&str>) -> &'static str {
    match certificate_type {
        None => "SignCombinedCertificate",
        Some("V2GCertificate") => "SignV2GCertificate",
        Some("V2G20Certificate") => "SignV2G20Certificate",
        Some(_) => "SignChargingStationCertificate",
    }
}

/// The number of certificates that are checked. The next ones follow after these are renewed.
const MAX_FOUND: u32 = 10_000;

/// Stations that are asked at the same time; one token signs all of the requests that follow.
const MAX_ASKED_AT_ONCE: usize = 32;

/// A station that has not renewed its certificate after this time is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(60 * 60);

/// The largest difference of a station's clock.
const SKEW: Duration = Duration::from_secs(300);
