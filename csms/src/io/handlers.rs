//! What the CSMS does when a station calls.

use std::{sync::Arc, time::SystemTime};

use ocpp_transport::{CallError, Close, Peer, Reply, Router, SecurityProfile};
use ocpp_types::{
    Timestamp, Version,
    v201::{
        BootNotificationRequest, BootNotificationResponse, HeartbeatRequest, HeartbeatResponse,
        MessageTriggerEnumType, RegistrationStatusEnumType, SecurityEventNotificationRequest,
        SecurityEventNotificationResponse, SignCertificateRequest, TriggerMessageRequest,
    },
};
use signer_pkcs11::StationIdentity;

use crate::{
    fleet::Fleet,
    io::{admission::Terms, enrolment::Enrolment, unix_now},
    ledger::Ledger,
    live::LiveConfig,
};

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Desk<L> {
    pub(crate) config: Arc<LiveConfig>,
    pub(crate) enrolment: Arc<Enrolment<L>>,
    pub(crate) fleet: Arc<Fleet>,
}

impl<L: Ledger> Desk<L> {
    async fn boot(
        self: Arc<Self>,
        peer: Peer,
        request: BootNotificationRequest,
    ) -> Result<Reply<BootNotificationResponse>, CallError> {
        let station = self.station(&peer)?;
        let told = request.charging_station.serial_number.as_deref();
        // B01.FR.11, B01.FR.12: under profile 3 the serial number is the certificate's CN, which admission has
        // compared with the record.
        if peer.profile() == SecurityProfile::TlsWithClientCertificate
            && told.is_some_and(|told| told != station.serial_number)
        {
            tracing::warn!(
                station = station.identity,
                ?told,
                "the serial number is not that of its certificate (B01.FR.12)"
            );
            let refusal = BootNotificationResponse::new(now(), 0, RegistrationStatusEnumType::Rejected);
            return Ok(Reply::new(refusal).then(async move {
                peer.close(Close::PolicyViolation).await;
            }));
        }
        if has_expired_certificate(&peer) {
            // A00.FR.429: nothing but the renewal before it has a valid certificate.
            self.fleet.handle_pending(&station.identity);
            let pending =
                BootNotificationResponse::new(now(), RENEWAL_INTERVAL_S, RegistrationStatusEnumType::Pending);
            return Ok(Reply::new(pending).then(async move { self.see_to(&peer).await }));
        }
        let noted = self.enrolment.ledger.register(&station.identity, unix_now()).await;
        if let Err(error) = noted {
            tracing::error!(station = station.identity, %error, "the registration cannot be recorded");
            return Err(CallError::internal("the registration cannot be recorded"));
        }
        self.fleet.handle_booted(&station.identity);
        let accepted =
            BootNotificationResponse::new(now(), HEARTBEAT_INTERVAL_S, RegistrationStatusEnumType::Accepted);
        Ok(Reply::new(accepted).then(async move { self.enrolment.deliver(&peer).await }))
    }

    /// Sends a station what is due to it: certificates that wait for it, and, where its own has expired, the request to
    /// have it renewed (A02).
    pub(crate) async fn see_to(&self, peer: &Peer) {
        self.enrolment.deliver(peer).await;
        if has_expired_certificate(peer) {
            let trigger = MessageTriggerEnumType::SignChargingStationCertificate;
            match peer.call(TriggerMessageRequest::new(trigger)).await {
                Ok(answer) => {
                    tracing::info!(station = %peer.identity(), status = %answer.status, "asked to renew its certificate");
                }
                Err(error) => {
                    tracing::warn!(station = %peer.identity(), %error, "the station was not asked to renew its certificate");
                }
            }
        }
    }

    /// The record of the station at the other end, which admission has found.
    fn station(&self, peer: &Peer) -> Result<StationIdentity, CallError> {
        let config = self.config.get();
        let record = config.station(peer.identity().as_str());
        let record = record.ok_or_else(|| CallError::security("the station is not known any more"))?;
        Ok(StationIdentity { identity: record.identity.clone(), serial_number: record.serial_number.clone() })
    }
}

/// The router of the CSMS's handlers.
pub(crate) fn router<L: Ledger>(desk: &Arc<Desk<L>>) -> Router {
    let [boot, sign] = [desk; 2].map(Arc::clone);
    Router::new(Version::V201)
        .handle(move |peer, request: BootNotificationRequest| Arc::clone(&boot).boot(peer, request))
        .handle(|_, _: HeartbeatRequest| async { Ok::<_, CallError>(HeartbeatResponse::new(now())) })
        .handle(move |peer: Peer, request: SignCertificateRequest| {
            let desk = Arc::clone(&sign);
            async move {
                let station = desk.station(&peer)?;
                Ok::<_, CallError>(desk.enrolment.answer(&peer, &request, &station).await)
            }
        })
        .handle(|peer: Peer, request: SecurityEventNotificationRequest| async move {
            let info = request.tech_info.as_deref();
            tracing::warn!(station = %peer.identity(), event = request.type_.as_str(), info, "security event");
            Ok::<_, CallError>(SecurityEventNotificationResponse::new())
        })
}

fn has_expired_certificate(peer: &Peer) -> bool {
    peer.context::<Terms>().is_some_and(|terms| terms.certificate_expired)
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now()).to_milliseconds()
}

/// Between two heartbeats of a station, in seconds. The clock of a station needs one a day (G02.FR.07); ten minutes show
/// an operator soon that one is gone.
const HEARTBEAT_INTERVAL_S: i64 = 600;

/// Before a station whose certificate is being renewed asks again, in seconds: a signature and a reconnect fit well.
const RENEWAL_INTERVAL_S: i64 = 60;
