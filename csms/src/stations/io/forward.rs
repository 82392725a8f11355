//! Requests that are passed on to another authority, until its certificate is in the ledger
//! (A02.FR.04).

use std::{collections::HashSet, convert::Infallible, sync::Arc, time::Duration};

use certificates::SerialNumber;
use program::{causes, in_one_line};
use signer_pkcs11::{Applicant, CertificateUse, ForwardingAuthority, IssueError};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    ledger::{ForwardedRequest, SerialNumberTaken},
    signing::io::authority::Authority,
    stations::{io::registry::StationRegistry, registry::Station},
};

/// Passes the waiting requests of the ledger on to the other authority, also those from before a
/// restart, until the future is dropped.
///
/// # Cancel safety
/// What was not answered waits in the ledger.
pub(crate) async fn forward(registry: Arc<StationRegistry>) -> Infallible {
    if matches!(*registry.enrolment.authority, Authority::Own(_)) {
        return std::future::pending().await;
    }
    let mut asked = HashSet::new();
    let mut running = JoinSet::new();
    loop {
        match registry.ledger.waiting().await {
            Ok(waiting) => {
                for request in waiting {
                    if asked.insert(request.id) {
                        let registry = Arc::clone(&registry);
                        running.spawn(async move {
                            let id = request.id;
                            complete(&registry, request).await;
                            id
                        });
                    }
                }
            }
            Err(error) => {
                tracing::error!(error = %causes(&error), "cannot read the waiting requests");
            }
        }
        // A request that fails without a change in the ledger is found again at the next check.
        let look = timeout(LOOK, registry.enrolment.asked.notified());
        tokio::select! {
            _ = look => {}
            Some(ended) = running.join_next() => {
                if let Ok(id) = ended {
                    asked.remove(&id);
                }
            }
        }
    }
}

async fn complete(registry: &StationRegistry, request: ForwardedRequest) {
    let station = &request.station;
    match ask(registry, &request).await {
        Ok(serial_number) => {
            tracing::info!(%station, %serial_number, "the other authority has issued a certificate");
            if let Some(peer) = registry.fleet.peer(station) {
                registry.deliveries.deliver(&peer).await;
            }
        }
        // The ledger has no failure for it, so it still waits.
        Err(NotIssued::Later(reason)) => {
            tracing::error!(%station, error = reason, "a waiting request was not passed on");
            sleep(LOOK).await;
        }
        Err(NotIssued::Failed(reason)) => {
            tracing::error!(%station, reason, "the other authority has issued no certificate");
            if let Err(error) = registry.ledger.request_failed(&request, &reason).await {
                tracing::error!(%station, error = %causes(&error), "the failure cannot be recorded");
                sleep(LOOK).await;
            }
        }
    }
}

/// Why a request that was passed on led to no certificate.
enum NotIssued {
    /// The ledger cannot be read or written.
    Later(String),
    /// An operator has to look at it. The station may ask again.
    Failed(String),
}

async fn ask(registry: &StationRegistry, request: &ForwardedRequest) -> Result<SerialNumber, NotIssued> {
    let failed = |reason: &str| NotIssued::Failed(reason.to_owned());
    let authority = match &*registry.enrolment.authority {
        Authority::Forwarding(authority) => authority,
        Authority::Own(_) => return Err(failed("no other authority is configured any more")),
    };
    // The key may have been compromised since the station sent the request.
    let compromised = registry.ledger.is_compromised(request.spki_sha256).await;
    if compromised.map_err(|error| NotIssued::Later(in_one_line(error)))? {
        return Err(failed("a certificate for this key was revoked because others have the key"));
    }
    let found = registry.stations.station(&request.station).await;
    let found = found.map_err(|error| NotIssued::Later(in_one_line(error)))?;
    let Station { identity, serial_number, .. } =
        found.ok_or_else(|| failed("the station is no longer in the configuration or the ledger"))?;
    let station = Applicant { identity, serial_number };
    issue(authority, request, &station).await
}

async fn issue(
    authority: &ForwardingAuthority,
    request: &ForwardedRequest,
    station: &Applicant,
) -> Result<SerialNumber, NotIssued> {
    let certificate_use = request.certificate_type.as_deref().map(str::parse::<CertificateUse>).transpose();
    let certificate_use = certificate_use.map_err(|error| NotIssued::Failed(error.to_string()))?;
    let pending = authority.resume(&request.csr, certificate_use, request.request_id, station);
    let pending = pending.map_err(|refused| NotIssued::Failed(refused.to_string()))?;
    match authority.issue(&pending).await {
        Ok(issued) => Ok(issued.certificate.serial),
        Err(error @ IssueError::Record(_)) if !is_final(&error) => Err(NotIssued::Later(in_one_line(error))),
        Err(error) => Err(NotIssued::Failed(in_one_line(error))),
    }
}

/// Whether the ledger would refuse the certificate also at the next attempt.
fn is_final(error: &IssueError) -> bool {
    let error: &dyn std::error::Error = error;
    std::iter::successors(error.source(), |error| error.source()).any(|error| error.is::<SerialNumberTaken>())
}

/// The interval of the checks for waiting requests, if no notification comes.
const LOOK: Duration = Duration::from_secs(30);
