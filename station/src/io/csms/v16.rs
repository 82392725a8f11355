//! The station's requests to its central system, in OCPP 1.6 with the security whitepaper.

use std::time::{Duration, SystemTime};

use ocpp_transport::{Peer, Registration};
use ocpp_types::{
    BoundedString,
    v16::{
        BootNotificationRequest, BootNotificationResponse, GenericStatusEnumType, HeartbeatRequest,
        RegistrationStatus, SecurityEventNotificationRequest, SignCertificateRequest,
    },
};
use station_store::CertificateSigningUse;

use crate::{
    io::csms::message::{AskError, Boot, BootAnswer, Reporting, SignAnswer, SignRequest, StatusAnswer},
    security_events::{QueuedEvent, SecurityEvent},
};

/// 1.6 has no member for the reason of the boot.
pub(super) async fn boot(
    peer: &Peer,
    boot: &Boot,
    register: impl FnOnce(Registration) + Send + 'static,
) -> Result<BootAnswer, AskError> {
    // chargePointModel and chargePointVendor have 20 characters; the vendor's name in 2.x has 50.
    let vendor: String = boot.vendor.chars().take(20).collect();
    let mut request = BootNotificationRequest::new(vendor.try_into()?, boot.model.as_str().try_into()?);
    request.charge_point_serial_number = Some(boot.serial_number.as_str().try_into()?);
    request.firmware_version = boot.firmware_version.as_deref().map(BoundedString::try_from).transpose()?;
    let observe = move |answer: &BootNotificationResponse| register(registration(answer.status));
    let answer = peer.call_observed(request, observe).await?;
    Ok(BootAnswer {
        registration: registration(answer.status),
        interval: Duration::from_secs(u64::try_from(answer.interval).unwrap_or(0)),
        time: answer.current_time.into(),
    })
}

pub(super) async fn heartbeat(peer: &Peer) -> Result<SystemTime, AskError> {
    Ok(peer.call(HeartbeatRequest::new()).await?.current_time.into())
}

/// An event that 1.6 does not report stays in the security log (A04.FR.04).
pub(super) async fn security_event(peer: &Peer, event: &QueuedEvent) -> Result<Reporting, AskError> {
    let Some(name) = name(event.event) else { return Ok(Reporting::LogOnly) };
    let mut request = SecurityEventNotificationRequest::new(name.try_into()?, event.time);
    request.tech_info = event.info.as_deref().map(BoundedString::try_from).transpose()?;
    peer.call(request).await?;
    Ok(Reporting::Reported)
}

/// 1.6 has certificates for the connection only.
pub(super) async fn sign_certificate(peer: &Peer, request: &SignRequest) -> Result<SignAnswer, AskError> {
    if request.use_ != CertificateSigningUse::ChargingStation {
        return Err(AskError::NoSuchMessage {
            message: "certificateType in SignCertificate",
            version: peer.version(),
        });
    }
    let answer = peer.call(SignCertificateRequest::new(request.csr.as_str().try_into()?)).await?;
    Ok(match answer.status {
        GenericStatusEnumType::Accepted => SignAnswer::Accepted,
        GenericStatusEnumType::Rejected => SignAnswer::Rejected { reason: None },
    })
}

/// 1.6 cannot ask for the status of a certificate.
pub(super) fn certificate_status(peer: &Peer) -> Result<StatusAnswer, AskError> {
    Err(AskError::NoSuchMessage { message: "GetCertificateStatus", version: peer.version() })
}

fn registration(status: RegistrationStatus) -> Registration {
    match status {
        RegistrationStatus::Accepted => Registration::Accepted,
        RegistrationStatus::Pending => Registration::Pending,
        RegistrationStatus::Rejected => Registration::Rejected,
    }
}

/// The name in the whitepaper's list. `None`: the event is not critical there, and is only logged.
///
/// The two events about invalid certificates are not critical there either, but TC_077 and TC_078
/// require a report. An event that is not in the list keeps its name.
fn name(event: SecurityEvent) -> Option<&'static str> {
    match event {
        SecurityEvent::InvalidChargingStationCertificate => Some("InvalidChargePointCertificate"),
        SecurityEvent::InvalidCsmsCertificate => Some("InvalidCentralSystemCertificate"),
        SecurityEvent::InvalidTlsVersion | SecurityEvent::InvalidTlsCipherSuite => None,
        _ => Some(event.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a04_names_and_criticality_of_the_whitepaper() {
        for (event, expected) in [
            (SecurityEvent::StartupOfTheDevice, Some("StartupOfTheDevice")),
            (SecurityEvent::InvalidChargingStationCertificate, Some("InvalidChargePointCertificate")),
            (SecurityEvent::InvalidCsmsCertificate, Some("InvalidCentralSystemCertificate")),
            (SecurityEvent::InvalidTlsVersion, None),
            (SecurityEvent::InvalidTlsCipherSuite, None),
            (SecurityEvent::DiscardedRenewedClientCertificate, Some("DiscardedRenewedClientCertificate")),
        ] {
            assert_eq!(name(event), expected);
        }
    }
}
