//! The actions of the CSMS for the requests of stations, independent of the version of OCPP.

use std::{sync::Arc, time::SystemTime};

use certificates::{HashData, HashDataError};
use ocpp_transport::{CallError, Close, Peer, Reply, SecurityProfile};
use ocpp_types::Timestamp;
use program::causes;
use signer_pkcs11::{Applicant, ReasonCode, Refused, SignCertificate};

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
        io::{delivery::Deliveries, enrolment::Enrolment, lookup::StationLookup, requests::ask_to_renew},
        registry::{EnrolmentRule, Learnt, Station},
    },
};

/// The state that the handlers of all versions share: the stations, and the actions for their
/// requests.
#[derive(Debug)]
pub(crate) struct StationRegistry {
    pub(crate) config: Arc<LiveConfig>,
    pub(crate) stations: StationLookup,
    pub(crate) ledger: Ledger,
    pub(crate) enrolment: Arc<Enrolment>,
    pub(crate) deliveries: Arc<Deliveries>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) inquiries: Inquiries,
}

/// What a BootNotification reports of a station. The schema bounds the lengths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product<'a> {
    pub(crate) vendor: &'a str,
    pub(crate) model: &'a str,
    pub(crate) firmware: Option<&'a str>,
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
        product: Product<'_>,
    ) -> Result<Reply<Boot>, CallError> {
        let station = self.station(&peer).await?;
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
        let noted = match self.stations.in_file(&station.identity) {
            Some(_) => self.ledger.register(&station.identity, unix_now()).await,
            None => {
                let learnt = product.learnt(&peer);
                self.ledger.register_boot(&station.identity, unix_now(), learnt).await
            }
        };
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

    /// Answers SignCertificate of any version.
    pub(crate) async fn sign<R: SignCertificate>(
        &self,
        peer: &Peer,
        request: &R,
    ) -> Result<Reply<R::Response>, CallError> {
        let station = self.station(peer).await?;
        let renews = peer.profile() == SecurityProfile::TlsWithClientCertificate;
        match station.enrolment {
            EnrolmentRule::Closed if !renews => {
                tracing::warn!(
                    station = %station.identity,
                    "a certificate request was refused, because the enrolment of the station is closed"
                );
                let info = "its enrolment is closed".to_owned();
                Ok(Reply::new(R::rejected(&Refused::ByPolicy { code: ReasonCode::InternalError, info })))
            }
            EnrolmentRule::Open | EnrolmentRule::Closed => {
                // In the spelling of the configuration or the ledger.
                let Station { identity, serial_number, .. } = station;
                let applicant = Applicant { identity, serial_number };
                Ok(self.enrolment.answer(peer, request, &applicant).await)
            }
        }
    }

    /// The station at the other end, which admission has found.
    async fn station(&self, peer: &Peer) -> Result<Station, CallError> {
        let found = self.stations.station(peer.identity()).await.map_err(|error| {
            tracing::error!(station = %peer.identity(), error = %causes(&error), "the station cannot be looked up");
            CallError::internal("the station cannot be looked up now; ask again later")
        })?;
        found.ok_or_else(|| CallError::security("the station is not known any more"))
    }
}

impl Product<'_> {
    /// What is remembered of the station, except the times.
    fn learnt(&self, peer: &Peer) -> Learnt {
        Learnt {
            ocpp_version: Some(peer.version().subprotocol().to_owned()),
            security_profile: Some(peer.profile().number()),
            vendor: Some(self.vendor.to_owned()),
            model: Some(self.model.to_owned()),
            firmware: self.firmware.map(str::to_owned),
            ..Learnt::default()
        }
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
