//! The messages of OCPP 1.6 with its security extension.

use std::sync::Arc;

use ocpp_transport::{CallError, CallFailure, Peer, Router};
use ocpp_types::{
    BoundedString,
    v16::{
        BootNotificationRequest, BootNotificationResponse, CertificateSignedRequest,
        CertificateSignedStatusEnumType, ChangeConfigurationRequest, ConfigurationStatus,
        ExtendedTriggerMessageRequest, GetConfigurationRequest, HeartbeatRequest, HeartbeatResponse,
        MessageTriggerEnumType, RegistrationStatus, SecurityEventNotificationRequest,
        SecurityEventNotificationResponse, SignCertificateRequest,
    },
};
use signer_pkcs11::CertificateUse;

use super::{Boot, BootStatus, Desk, NotSent, note_security_event, now};
use crate::ledger::{Delivery, Ledger, LedgerEntry, PasswordAnswer};

pub(super) fn handlers<L: Ledger>(router: Router, desk: &Arc<Desk<L>>) -> Router {
    let [boot, sign] = [desk; 2].map(Arc::clone);
    router
        .handle(move |peer: Peer, request: BootNotificationRequest| {
            let desk = Arc::clone(&boot);
            async move {
                // The charge box is a part of the charge point, and its number only stands in for
                // the other.
                let point = request.charge_point_serial_number.as_deref();
                let told = point.or(request.charge_box_serial_number.as_deref());
                Ok::<_, CallError>(desk.boot(peer, told).await?.map(boot_response))
            }
        })
        .handle(|_, _: HeartbeatRequest| async { Ok::<_, CallError>(HeartbeatResponse::new(now())) })
        .handle(move |peer: Peer, request: SignCertificateRequest| {
            let desk = Arc::clone(&sign);
            async move {
                let station = desk.station(&peer)?;
                Ok::<_, CallError>(desk.enrolment.answer(&peer, &request, &station).await)
            }
        })
        .handle(|peer: Peer, request: SecurityEventNotificationRequest| async move {
            note_security_event(&peer, &request.type_, request.tech_info.as_deref());
            Ok::<_, CallError>(SecurityEventNotificationResponse::new())
        })
}

fn boot_response(boot: Boot) -> BootNotificationResponse {
    let status = match boot.status {
        BootStatus::Accepted => RegistrationStatus::Accepted,
        BootStatus::Pending => RegistrationStatus::Pending,
        BootStatus::Rejected => RegistrationStatus::Rejected,
    };
    BootNotificationResponse::new(status, now(), boot.interval_s)
}

pub(super) async fn ask_to_renew(peer: &Peer) -> Result<&'static str, CallFailure> {
    // Without a connector: the certificate is the whole charge point's.
    let trigger = MessageTriggerEnumType::SignChargePointCertificate;
    Ok(peer.call(ExtendedTriggerMessageRequest::new(trigger)).await?.status.as_str())
}

pub(super) async fn send_certificate(peer: &Peer, entry: &LedgerEntry) -> Result<Delivery, NotSent> {
    // This version knows no other certificate than the one for its own connection.
    let own = CertificateUse::ChargingStation.as_str();
    if entry.certificate_type.as_deref().is_some_and(|certificate_type| certificate_type != own) {
        return Err(NotSent::version(peer, entry));
    }
    let chain = BoundedString::try_from(entry.chain.as_str()).map_err(|_| NotSent::Chain)?;
    let answer = peer.call(CertificateSignedRequest::new(chain)).await?;
    Ok(match answer.status {
        CertificateSignedStatusEnumType::Accepted => Delivery::Accepted,
        // The response has no place for a reason; a SecurityEventNotification may follow.
        CertificateSignedStatusEnumType::Rejected => Delivery::Rejected { reason: None },
    })
}

pub(super) async fn longest_chain(peer: &Peer) -> Result<Option<String>, CallFailure> {
    let mut request = GetConfigurationRequest::new();
    request.key = Some(vec![name("CertificateSignedMaxChainSize")]);
    let answer = peer.call(request).await?;
    let keys = answer.configuration_key.unwrap_or_default();
    let told = keys.into_iter().find(|entry| entry.key.eq_ignore_ascii_case("CertificateSignedMaxChainSize"));
    Ok(told.and_then(|entry| entry.value).map(BoundedString::into_string))
}

pub(super) async fn send_password(
    peer: &Peer,
    password: &str,
) -> Result<(Option<PasswordAnswer>, &'static str), CallFailure> {
    // 40 digits at most.
    let request =
        ChangeConfigurationRequest::new(name("AuthorizationKey"), BoundedString::truncated(password));
    let status = peer.call(request).await?.status;
    let answer = match status {
        ConfigurationStatus::Accepted => Some(PasswordAnswer::Taken),
        // Until it has rebooted it has the old one.
        ConfigurationStatus::RebootRequired => None,
        // A01.FR.04 of the security whitepaper names both.
        ConfigurationStatus::Rejected | ConfigurationStatus::NotSupported => Some(PasswordAnswer::Refused),
    };
    Ok((answer, status.as_str()))
}

fn name<const N: usize>(text: &'static str) -> BoundedString<N> {
    BoundedString::try_from(text).expect("all names are short")
}
