//! What the station asks of its CSMS, in OCPP 2.1.

use std::time::{Duration, SystemTime};

use ocpp_transport::{Peer, Registration};
use ocpp_types::{
    BoundedString,
    v21::{
        BootNotificationRequest, BootNotificationResponse, BootReasonEnumType, CertificateHashDataType,
        CertificateSigningUseEnumType, ChargingStationType, GenericStatusEnumType,
        GetCertificateStatusEnumType, GetCertificateStatusRequest, HeartbeatRequest, NotifyReportRequest,
        RegistrationStatusEnumType, SecurityEventNotificationRequest, SignCertificateRequest, StatusInfoType,
    },
    v201,
};
use station_store::{CertificateSigningUse, OcspDue, message::HashDataMessage as _};

use crate::{
    device_model::same,
    io::csms::{AskError, Boot, BootAnswer, BootReason, SignAnswer, SignRequest, StatusAnswer},
    security_events::QueuedEvent,
};

pub(super) async fn boot(
    peer: &Peer,
    boot: &Boot,
    register: impl FnOnce(Registration) + Send + 'static,
) -> Result<BootAnswer, AskError> {
    let mut station =
        ChargingStationType::new(boot.model.as_str().try_into()?, boot.vendor.as_str().try_into()?);
    station.serial_number = Some(boot.serial_number.as_str().try_into()?);
    station.firmware_version = boot.firmware_version.as_deref().map(BoundedString::try_from).transpose()?;
    let reason = match boot.reason {
        BootReason::PowerUp => BootReasonEnumType::PowerUp,
        BootReason::RemoteReset => BootReasonEnumType::RemoteReset,
    };
    let observe = move |answer: &BootNotificationResponse| register(registration(answer.status));
    let answer = peer.call_observed(BootNotificationRequest::new(station, reason), observe).await?;
    Ok(BootAnswer {
        registration: registration(answer.status),
        interval: Duration::from_secs(u64::try_from(answer.interval).unwrap_or(0)),
        time: answer.current_time.into(),
    })
}

pub(super) async fn heartbeat(peer: &Peer) -> Result<SystemTime, AskError> {
    Ok(peer.call(HeartbeatRequest::new()).await?.current_time.into())
}

pub(super) async fn security_event(peer: &Peer, event: &QueuedEvent) -> Result<(), AskError> {
    let mut request = SecurityEventNotificationRequest::new(event.event.name().try_into()?, event.time);
    request.tech_info = event.info.as_deref().map(BoundedString::try_from).transpose()?;
    peer.call(request).await?;
    Ok(())
}

pub(super) async fn notify_report(peer: &Peer, report: &v201::NotifyReportRequest) -> Result<(), AskError> {
    let report: NotifyReportRequest = same(report)?;
    peer.call(report).await?;
    Ok(())
}

pub(super) async fn sign_certificate(peer: &Peer, request: &SignRequest) -> Result<SignAnswer, AskError> {
    let mut message = SignCertificateRequest::new(request.csr.as_str().try_into()?);
    // A02.FR.13; a certificate for both uses is asked for without a type.
    message.certificate_type = match request.use_ {
        CertificateSigningUse::ChargingStation => {
            Some(CertificateSigningUseEnumType::ChargingStationCertificate)
        }
        CertificateSigningUse::V2g => Some(CertificateSigningUseEnumType::V2GCertificate),
        CertificateSigningUse::V2g20 => Some(CertificateSigningUseEnumType::V2G20Certificate),
        _ => None,
    };
    // A02.FR.24, A03.FR.20
    message.request_id = request.request_id;
    // A02.FR.27, A03.FR.23
    message.hash_root_certificate = request.root.as_ref().map(CertificateHashDataType::of_hash_data);
    let answer = peer.call(message).await?;
    Ok(match answer.status {
        GenericStatusEnumType::Accepted => SignAnswer::Accepted,
        GenericStatusEnumType::Rejected => SignAnswer::Rejected { reason: reason(answer.status_info) },
    })
}

pub(super) async fn certificate_status(peer: &Peer, due: OcspDue) -> Result<StatusAnswer, AskError> {
    let answer = peer.call(GetCertificateStatusRequest::new(due.try_into()?)).await?;
    Ok(match (answer.status, answer.ocsp_result) {
        (GetCertificateStatusEnumType::Accepted, Some(result)) => {
            StatusAnswer::Accepted { ocsp_result: result.as_str().to_owned() }
        }
        _ => StatusAnswer::Failed { reason: reason(answer.status_info) },
    })
}

fn registration(status: RegistrationStatusEnumType) -> Registration {
    match status {
        RegistrationStatusEnumType::Accepted => Registration::Accepted,
        RegistrationStatusEnumType::Pending => Registration::Pending,
        RegistrationStatusEnumType::Rejected => Registration::Rejected,
    }
}

fn reason(info: Option<StatusInfoType>) -> Option<String> {
    info.map(|info| info.reason_code.as_str().to_owned())
}
