//! What the CSMS does when a station calls, and what it asks of one: one logic, in the words of
//! each version of OCPP.

mod v16;
mod v2;
mod v201;
mod v21;

use std::{sync::Arc, time::SystemTime};

use certificates::{HashData, HashDataError};
use ocpp_transport::{CallError, CallFailure, Close, Peer, Reply, Router, SecurityProfile};
use ocpp_types::{Timestamp, Version};
use program::causes;
use signer_pkcs11::Applicant;

use crate::{
    config::live::LiveConfig,
    fleet::Fleet,
    ledger::{Delivery, Ledger, LedgerEntry, PasswordAnswer},
    service::io::clock::unix_now,
    signing::{
        io::ocsp::{Inquiries, NoOcsp, Source},
        revocation::Verdict,
    },
    stations::io::{
        admission::{Terms, serial_number},
        enrolment::Enrolment,
    },
};

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Desk<L> {
    pub(crate) config: Arc<LiveConfig>,
    pub(crate) enrolment: Arc<Enrolment<L>>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) inquiries: Inquiries,
}

/// The answer to BootNotification, in the words of no version.
#[derive(Clone, Copy, Debug)]
struct Boot {
    status: BootStatus,
    /// Until the next heartbeat, or the next BootNotification, in seconds.
    interval_s: i64,
}

#[derive(Clone, Copy, Debug)]
enum BootStatus {
    Accepted,
    Pending,
    Rejected,
}

impl<L: Ledger> Desk<L> {
    /// Answers BootNotification; `told` is the serial number that the station says to have.
    async fn boot(self: Arc<Self>, peer: Peer, told: Option<&str>) -> Result<Reply<Boot>, CallError> {
        let station = self.station(&peer)?;
        // B01.FR.11, B01.FR.12: under profile 3 the serial number is the certificate's CN, which
        // admission has compared with the record. OCPP 1.6 has no such rule; what it would let pass
        // is the same fraud.
        if peer.profile() == SecurityProfile::TlsWithClientCertificate
            && told.is_some_and(|told| told != station.serial_number)
        {
            tracing::warn!(
                station = %station.identity,
                ?told,
                "the serial number is not that of its certificate (B01.FR.12)"
            );
            let refusal = Boot { status: BootStatus::Rejected, interval_s: 0 };
            return Ok(Reply::new(refusal).then(async move {
                peer.close(Close::PolicyViolation).await;
            }));
        }
        if has_expired_certificate(&peer) {
            // A00.FR.429: nothing but the renewal before it has a valid certificate.
            self.fleet.handle_pending(&station.identity);
            let pending = Boot { status: BootStatus::Pending, interval_s: RENEWAL_INTERVAL_S };
            return Ok(Reply::new(pending).then(async move { self.see_to(&peer).await }));
        }
        let noted = self.enrolment.ledger.register(&station.identity, unix_now()).await;
        if let Err(error) = noted {
            tracing::error!(station = %station.identity, error = %causes(&error), "the registration cannot be recorded");
            return Err(CallError::internal("the registration cannot be recorded"));
        }
        self.fleet.handle_booted(&station.identity);
        let accepted = Boot { status: BootStatus::Accepted, interval_s: HEARTBEAT_INTERVAL_S };
        Ok(Reply::new(accepted).then(async move { self.see_to(&peer).await }))
    }

    /// Sends a station what is due to it: certificates that wait for it, and, where its own has
    /// expired, the request to have it renewed (A02).
    pub(crate) async fn see_to(&self, peer: &Peer) {
        // A revocation that came while the station was being connected has not seen this connection
        // (A00.FR.705).
        if self.is_revoked(peer).await {
            tracing::warn!(station = %peer.identity(), "its certificate is revoked; its connection is closed");
            peer.close(Close::PolicyViolation).await;
            return;
        }
        self.enrolment.deliver(peer).await;
        if has_expired_certificate(peer) {
            match ask_to_renew(peer).await {
                Ok(status) => {
                    tracing::info!(station = %peer.identity(), status, "asked to renew its certificate");
                }
                Err(error) => {
                    tracing::warn!(station = %peer.identity(), error = %causes(&error), "the station was not asked to renew its certificate");
                }
            }
        }
    }

    async fn is_revoked(&self, peer: &Peer) -> bool {
        let station = peer.identity();
        let leaf = peer.client_certificate().and_then(|chain| chain.first());
        let Some(serial) = leaf.and_then(|leaf| serial_number(leaf)) else { return false };
        self.enrolment.ledger.is_revoked(station, serial).await.unwrap_or_else(|error| {
            tracing::error!(%station, error = %causes(&error), "whether its certificate is revoked is not known");
            false
        })
    }

    /// Asks an OCSP responder what a station wants to know of a certificate (M06.FR.01).
    async fn ocsp_result(
        &self,
        peer: &Peer,
        hash: Result<HashData, HashDataError>,
        url: &str,
        longest: usize,
    ) -> Result<String, NoOcsp> {
        let config = self.config.get();
        let result = self.inquiries.ocsp_result(&config.ocsp, hash, url, longest).await;
        if let Err(error) = &result {
            tracing::warn!(station = %peer.identity(), url, error = %causes(error), "no OCSP answer for the station");
        }
        result
    }

    /// Finds out whether a certificate is revoked (M07).
    async fn verdict(
        &self,
        peer: &Peer,
        hash: Result<HashData, HashDataError>,
        source: Source,
        urls: impl IntoIterator<Item = &str>,
    ) -> Option<Verdict> {
        let config = self.config.get();
        match self.inquiries.verdict(&config.ocsp, hash, source, urls).await {
            Ok(verdict) => Some(verdict),
            Err(error) => {
                tracing::warn!(station = %peer.identity(), ?source, error = %causes(&error), "no verdict for the station");
                None
            }
        }
    }

    /// The record of the station at the other end, which admission has found.
    fn station(&self, peer: &Peer) -> Result<Applicant, CallError> {
        let config = self.config.get();
        let record = config.station(peer.identity().as_str());
        let record = record.ok_or_else(|| CallError::security("the station is not known any more"))?;
        // As the configuration spells it.
        Ok(Applicant { identity: record.identity.clone(), serial_number: record.serial_number.clone() })
    }
}

/// The router of the CSMS's handlers, for these versions, of which there is at least one.
pub(crate) fn router<L: Ledger>(desk: &Arc<Desk<L>>, versions: &[Version]) -> Router {
    let mut versions = versions.iter().copied();
    let router = Router::new(versions.next().unwrap_or(Version::V201));
    let router = versions.fold(router, Router::and);
    let spoken = router.versions().to_vec();
    spoken.into_iter().fold(router, |router, version| match version {
        Version::V16 => v16::handlers(router, desk),
        Version::V21 => v21::handlers(router, desk),
        // The configuration names no other one.
        _ => v201::handlers(router, desk),
    })
}

/// Asks a station to have its certificate renewed (A02), and returns its answer.
async fn ask_to_renew(peer: &Peer) -> Result<&'static str, CallFailure> {
    match peer.version() {
        Version::V16 => v16::ask_to_renew(peer).await,
        Version::V21 => v21::ask_to_renew(peer).await,
        _ => v201::ask_to_renew(peer).await,
    }
}

/// Sends a certificate in the version of this connection, which need not be the one that it was
/// asked for in.
pub(crate) async fn send_certificate(peer: &Peer, entry: &LedgerEntry) -> Result<Delivery, NotSent> {
    match peer.version() {
        Version::V16 => v16::send_certificate(peer, entry).await,
        Version::V21 => v21::send_certificate(peer, entry).await,
        _ => v201::send_certificate(peer, entry).await,
    }
}

/// How long a chain the station takes, in characters (A02.FR.16); `None` where it does not tell.
pub(crate) async fn longest_chain(peer: &Peer) -> Result<Option<usize>, CallFailure> {
    let told = match peer.version() {
        Version::V16 => v16::longest_chain(peer).await,
        Version::V21 => v21::longest_chain(peer).await,
        _ => v201::longest_chain(peer).await,
    };
    match told {
        Ok(told) => Ok(told.and_then(|text| text.trim().parse().ok())),
        // It has no such variable, and says so in its own way.
        Err(CallFailure::CallError { .. } | CallFailure::InvalidResponse(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Sends a new password (A01.FR.02), and returns what the station has done with it, also in its own
/// word; `None`: it will have it after its next reboot.
pub(crate) async fn send_password(
    peer: &Peer,
    password: &str,
) -> Result<(Option<PasswordAnswer>, &'static str), CallFailure> {
    let answer = match peer.version() {
        Version::V16 => v16::send_password(peer, password).await,
        Version::V21 => v21::send_password(peer, password).await,
        _ => v201::send_password(peer, password).await,
    };
    match answer {
        // Refused by an error of the protocol is refused.
        Err(CallFailure::CallError { .. }) => Ok((Some(PasswordAnswer::Refused), "CALLERROR")),
        answer => answer,
    }
}

/// Why a certificate was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSent {
    /// The version of the connection has no word for what it is for; another one may have.
    #[error("{version} cannot carry a certificate of type {certificate_type}")]
    Version {
        /// The connection's.
        version: Version,
        /// The certificate's.
        certificate_type: String,
    },
    /// The ledger holds a chain that no message can carry.
    #[error("the chain is too long for CertificateSigned")]
    Chain,
    /// There was no answer.
    #[error(transparent)]
    Call(#[from] CallFailure),
}

impl NotSent {
    /// Whether the station may have the certificate all the same.
    pub(crate) fn was_sent(&self) -> bool {
        matches!(
            self,
            Self::Call(
                CallFailure::CallError { .. }
                    | CallFailure::Timeout
                    | CallFailure::Disconnected
                    | CallFailure::InvalidResponse(_)
                    | CallFailure::Unreadable(_)
            )
        )
    }

    fn version(peer: &Peer, entry: &LedgerEntry) -> Self {
        let certificate_type = entry.certificate_type.clone().unwrap_or_default();
        Self::Version { version: peer.version(), certificate_type }
    }
}

/// A04.FR.03. A CSMS that keeps its stations' security events writes them there; here it is the
/// log.
fn note_security_event(peer: &Peer, event: &str, info: Option<&str>) {
    tracing::warn!(station = %peer.identity(), event, info, "security event");
}

fn has_expired_certificate(peer: &Peer) -> bool {
    peer.context::<Terms>().is_some_and(|terms| terms.certificate_expired)
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now()).to_milliseconds()
}

/// Between two heartbeats of a station, in seconds. The clock of a station needs one a day
/// (G02.FR.07); ten minutes show an operator soon that one is gone.
const HEARTBEAT_INTERVAL_S: i64 = 600;

/// Before a station whose certificate is being renewed asks again, in seconds: a signature and a
/// reconnect fit well.
const RENEWAL_INTERVAL_S: i64 = 60;
