//! The actions of the CSMS for the requests of stations, independent of the version of OCPP.

use std::{sync::Arc, time::SystemTime};

use certificates::{HashData, HashDataError};
use ocpp_transport::{CallError, Close, Peer, Reply, SecurityProfile};
use ocpp_types::Timestamp;
use program::causes;
use signer_pkcs11::Applicant;

use crate::{
    config::live::LiveConfig,
    fleet::Fleet,
    ledger::Ledger,
    service::io::clock::unix_now,
    signing::{
        io::ocsp::{Inquiries, NoOcsp, Source},
        revocation::Verdict,
    },
    stations::{
        connection::{has_expired_certificate, presented_serial_number},
        io::{delivery::Deliveries, enrolment::Enrolment, requests::ask_to_renew},
    },
};

/// The state that the handlers of all versions share: the stations, and the actions for their
/// requests.
#[derive(Debug)]
pub(crate) struct StationRegistry {
    pub(crate) config: Arc<LiveConfig>,
    pub(crate) ledger: Ledger,
    pub(crate) enrolment: Arc<Enrolment>,
    pub(crate) deliveries: Arc<Deliveries>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) inquiries: Inquiries,
}

/// The answer to BootNotification, independent of the version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Boot {
    pub(crate) status: BootStatus,
    /// The time until the next heartbeat, or the next BootNotification, in seconds.
    pub(crate) interval_s: i64,
}

/// The result of a BootNotification.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BootStatus {
    Accepted,
    Pending,
    Rejected,
}

impl StationRegistry {
    /// Answers BootNotification; `reported` is the serial number that the station says to have.
    pub(crate) async fn boot(
        self: Arc<Self>,
        peer: Peer,
        reported: Option<&str>,
    ) -> Result<Reply<Boot>, CallError> {
        let station = self.station(&peer)?;
        // B01.FR.11, B01.FR.12: under profile 3 the serial number is the certificate's CN, which
        // admission has compared with the configuration. OCPP 1.6 has no such rule, but a different
        // serial number is the same fraud there.
        if peer.profile() == SecurityProfile::TlsWithClientCertificate
            && reported.is_some_and(|reported| reported != station.serial_number)
        {
            tracing::warn!(
                station = %station.identity,
                ?reported,
                "the serial number is not that of its certificate (B01.FR.12)"
            );
            let refusal = Boot { status: BootStatus::Rejected, interval_s: 0 };
            return Ok(Reply::new(refusal).then(async move {
                peer.close(Close::PolicyViolation).await;
            }));
        }
        if has_expired_certificate(&peer) {
            // A00.FR.429: only the renewal is permitted until the station has a valid certificate.
            self.fleet.handle_pending(&station.identity);
            let pending = Boot { status: BootStatus::Pending, interval_s: RENEWAL_INTERVAL_S };
            return Ok(Reply::new(pending).then(async move { self.send_due(&peer).await }));
        }
        let noted = self.ledger.register(&station.identity, unix_now()).await;
        if let Err(error) = noted {
            tracing::error!(station = %station.identity, error = %causes(&error), "the registration cannot be recorded");
            return Err(CallError::internal("the registration cannot be recorded"));
        }
        self.fleet.handle_booted(&station.identity);
        let accepted = Boot { status: BootStatus::Accepted, interval_s: HEARTBEAT_INTERVAL_S };
        Ok(Reply::new(accepted).then(async move { self.send_due(&peer).await }))
    }

    /// Sends a station the certificates that are due to it. If its own certificate has expired,
    /// asks it to request a new one (A02).
    pub(crate) async fn send_due(&self, peer: &Peer) {
        // A revocation during the handshake did not close this connection (A00.FR.705).
        if self.is_revoked(peer).await {
            tracing::warn!(station = %peer.identity(), "its certificate is revoked; its connection is closed");
            peer.close(Close::PolicyViolation).await;
            return;
        }
        self.deliveries.deliver(peer).await;
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
        let Some(serial) = presented_serial_number(peer) else { return false };
        self.ledger.is_revoked(station, serial).await.unwrap_or_else(|error| {
            tracing::error!(%station, error = %causes(&error), "cannot find out whether its certificate is revoked");
            false
        })
    }

    /// Asks an OCSP responder about a certificate for a station (M06.FR.01).
    pub(crate) async fn ocsp_result(
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

    /// Finds out for a station whether a certificate is revoked (M07).
    pub(crate) async fn verdict(
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

    /// The configured station at the other end, which admission has found.
    pub(crate) fn station(&self, peer: &Peer) -> Result<Applicant, CallError> {
        let config = self.config.get();
        let record = config.station(peer.identity().as_str());
        let record = record.ok_or_else(|| CallError::security("the station is not known any more"))?;
        // In the spelling of the configuration.
        Ok(Applicant { identity: record.identity.clone(), serial_number: record.serial_number.clone() })
    }
}

/// A04.FR.03. A CSMS with its own log of security events writes the event to it; this service
/// writes it to the program log.
pub(crate) fn note_security_event(peer: &Peer, event: &str, info: Option<&str>) {
    tracing::warn!(station = %peer.identity(), event, info, "security event");
}

/// The current time, in the type of messages.
pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now()).to_milliseconds()
}

/// The interval of a station's heartbeats, in seconds. The clock of a station needs one a day
/// (G02.FR.07). With ten minutes an operator soon sees that a station is not reachable.
const HEARTBEAT_INTERVAL_S: i64 = 600;

/// The time in seconds after which a station asks again while its certificate is being renewed. A
/// signature and a reconnect take less.
const RENEWAL_INTERVAL_S: i64 = 60;
