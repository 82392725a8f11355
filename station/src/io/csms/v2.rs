//! The station's requests to its CSMS that OCPP 2.0.1 and 2.1 define alike, with separate types.

/// Writes the translation for the version whose module of types is given. The calling file adds the
/// members that only its version has.
macro_rules! words_of_v2 {
    ($version:ident) => {
        use std::time::{Duration, SystemTime};

        use ocpp_transport::{Peer, Registration};
        use ocpp_types::{
            BoundedString,
            $version::{
                BootNotificationRequest, BootNotificationResponse, BootReasonEnumType,
                CertificateSigningUseEnumType, ChargingStationType, GenericStatusEnumType,
                GetCertificateStatusEnumType, GetCertificateStatusRequest, HeartbeatRequest,
                RegistrationStatusEnumType, SecurityEventNotificationRequest, SignCertificateRequest,
                StatusInfoType,
            },
        };
        use station_store::{CertificateSigningUse, OcspDue};

        use crate::{
            io::csms::message::{
                AskError, Boot, BootAnswer, BootReason, Reporting, SignAnswer, SignRequest, StatusAnswer,
            },
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
            station.firmware_version =
                boot.firmware_version.as_deref().map(BoundedString::try_from).transpose()?;
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

        pub(super) async fn security_event(peer: &Peer, event: &QueuedEvent) -> Result<Reporting, AskError> {
            let name = event.event.name().try_into()?;
            let mut request = SecurityEventNotificationRequest::new(name, event.time);
            request.tech_info = event.info.as_deref().map(BoundedString::try_from).transpose()?;
            peer.call(request).await?;
            Ok(Reporting::Reported)
        }

        /// Sends SignCertificate; `complete` adds the members that only one version has.
        async fn send_sign_certificate(
            peer: &Peer,
            request: &SignRequest,
            certificate_type: Option<CertificateSigningUseEnumType>,
            complete: impl FnOnce(&mut SignCertificateRequest),
        ) -> Result<SignAnswer, AskError> {
            let mut message = SignCertificateRequest::new(request.csr.as_str().try_into()?);
            message.certificate_type = certificate_type;
            complete(&mut message);
            let answer = peer.call(message).await?;
            Ok(match answer.status {
                GenericStatusEnumType::Accepted => SignAnswer::Accepted,
                GenericStatusEnumType::Rejected => {
                    SignAnswer::Rejected { reason: reason(answer.status_info) }
                }
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
    };
}

pub(super) use words_of_v2;
