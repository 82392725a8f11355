//! The handlers of OCPP 1.6 with the security whitepaper: translate its messages to and from types
//! that no version owns.

use std::sync::Arc;

use ocpp_transport::{CallError, Peer, Reply, Router};
use ocpp_types::v16::{
    CertificateSignedRequest, ChangeConfigurationRequest, ChangeConfigurationResponse, ConfigurationStatus,
    DeleteCertificateRequest, ExtendedTriggerMessageRequest, ExtendedTriggerMessageResponse,
    GetConfigurationRequest, GetInstalledCertificateIdsRequest, InstallCertificateRequest,
    InstallCertificateResponse, MessageTrigger, MessageTriggerEnumType, ResetRequest, ResetResponse,
    ResetStatus, TriggerMessageRequest, TriggerMessageResponse, TriggerMessageStatus,
    TriggerMessageStatusEnumType,
};
use station_store::{
    CertificateSigningUse, RootUse,
    message::{InstallAnswer, InstallMessage, Refusal},
};

use crate::{
    device_model::DeviceModel,
    io::{
        certificates::handlers::CertificateHandlers,
        device_model::handlers::{Change, ModelHandlers},
        handlers::{
            parts::Handlers,
            station::{ResetAnswer, ResetOf, Trigger, TriggerAnswer},
        },
    },
    security_events::SecurityEvent,
};

/// Adds the handlers of this version.
pub(super) fn with_handlers(router: Router, handlers: &Handlers) -> Router {
    let [extended, trigger] = [&handlers.station; 2].map(Arc::clone);
    let [signed, install, list, delete] = [&handlers.certificates; 4].map(Arc::clone);
    with_configuration(router, handlers)
        .handle(move |peer, request: ExtendedTriggerMessageRequest| {
            let handlers = Arc::clone(&extended);
            async move {
                handlers.permit()?;
                let wanted = wanted(request.requested_message);
                Ok::<_, CallError>(handlers.trigger(peer, wanted).await.map(triggered))
            }
        })
        .handle(move |peer, request: TriggerMessageRequest| {
            let handlers = Arc::clone(&trigger);
            async move {
                handlers.permit()?;
                let wanted = core_wanted(request.requested_message);
                Ok::<_, CallError>(handlers.trigger(peer, wanted).await.map(core_triggered))
            }
        })
        .handle(move |_, request: CertificateSignedRequest| {
            let handlers = Arc::clone(&signed);
            async move { handlers.certificate_signed(request).await }
        })
        .handle(move |_, request: InstallCertificateRequest| {
            let handlers = Arc::clone(&install);
            async move { install_root(handlers, request).await }
        })
        .handle(move |_, request: GetInstalledCertificateIdsRequest| {
            let handlers = Arc::clone(&list);
            async move { handlers.list(request).await }
        })
        .handle(move |_, request: DeleteCertificateRequest| {
            let handlers = Arc::clone(&delete);
            async move { handlers.delete(request).await }
        })
}

/// Adds the handlers that concern the station as a whole.
fn with_configuration(router: Router, handlers: &Handlers) -> Router {
    let [get, change] = [&handlers.model; 2].map(Arc::clone);
    let reset = Arc::clone(&handlers.station);
    router
        .handle(move |peer: Peer, request: GetConfigurationRequest| {
            let handlers = Arc::clone(&get);
            async move {
                handlers.permit()?;
                let (model, situation) = handlers.model(&peer);
                Ok::<_, CallError>(model.get_configuration(&request, &situation))
            }
        })
        .handle(move |peer: Peer, request: ChangeConfigurationRequest| {
            let handlers = Arc::clone(&change);
            async move {
                handlers.permit()?;
                change_configuration(handlers, peer, request).await
            }
        })
        .handle(move |_, _: ResetRequest| {
            let handlers = Arc::clone(&reset);
            async move {
                handlers.permit()?;
                // Soft or hard: there is no transaction to end first.
                Ok::<_, CallError>(handlers.reset(ResetOf::Station).map(reset_response))
            }
        })
}

async fn change_configuration(
    handlers: Arc<ModelHandlers>,
    peer: Peer,
    request: ChangeConfigurationRequest,
) -> Result<Reply<ChangeConfigurationResponse>, CallError> {
    let situation = handlers.situation(&peer);
    let plan = move |model: &DeviceModel| {
        let outcome = model.change_configuration(&request, &situation);
        if let Some(reason) = outcome.refused {
            tracing::warn!(key = request.key.as_str(), reason, "a configuration key was not changed");
        }
        Change {
            answer: outcome.response,
            model: outcome.model,
            changed: outcome.changed,
            refuse: |_| ChangeConfigurationResponse::new(ConfigurationStatus::Rejected),
        }
    };
    handlers.change_variables(peer, plan).await
}

/// Installs a root. An invalid root for the connection raises an event (TC_078), which OCPP 2.x
/// does not require.
async fn install_root(
    handlers: Arc<CertificateHandlers>,
    request: InstallCertificateRequest,
) -> Result<InstallCertificateResponse, CallError> {
    let root_use = request.root_use();
    let (response, refusal) = Arc::clone(&handlers).install(Install(request)).await?;
    if let Some(refusal) = refusal
        && root_use == RootUse::Csms
        && INVALID.contains(&refusal.reason_code)
    {
        handlers.events.raise(SecurityEvent::InvalidCsmsCertificate, refusal.additional_info).await;
    }
    Ok(response)
}

/// InstallCertificate with the reason of a refusal; the response of 1.6 has no member for it.
struct Install(InstallCertificateRequest);

impl InstallMessage for Install {
    type Response = (InstallCertificateResponse, Option<Refusal>);

    fn root_use(&self) -> RootUse {
        self.0.root_use()
    }

    fn pem(&self) -> &str {
        self.0.pem()
    }

    fn response(answer: InstallAnswer) -> Self::Response {
        let refusal = match &answer {
            InstallAnswer::Rejected(refusal) => Some(refusal.clone()),
            InstallAnswer::Accepted | InstallAnswer::Failed(_) => None,
        };
        (InstallCertificateRequest::response(answer), refusal)
    }
}

/// F06. The connector does not matter for the messages that this station sends.
fn wanted(message: MessageTriggerEnumType) -> Trigger {
    match message {
        MessageTriggerEnumType::BootNotification => Trigger::BootNotification,
        MessageTriggerEnumType::Heartbeat => Trigger::Heartbeat,
        MessageTriggerEnumType::SignChargePointCertificate => {
            Trigger::Sign { use_: CertificateSigningUse::ChargingStation, evse: None }
        }
        _ => Trigger::Other,
    }
}

/// The same for TriggerMessage of the core profile, which does not cover certificates.
fn core_wanted(message: MessageTrigger) -> Trigger {
    match message {
        MessageTrigger::BootNotification => Trigger::BootNotification,
        MessageTrigger::Heartbeat => Trigger::Heartbeat,
        _ => Trigger::Other,
    }
}

fn reset_response(answer: ResetAnswer) -> ResetResponse {
    ResetResponse::new(match answer {
        ResetAnswer::Accepted => ResetStatus::Accepted,
        ResetAnswer::Rejected => ResetStatus::Rejected,
    })
}

fn triggered(answer: TriggerAnswer) -> ExtendedTriggerMessageResponse {
    ExtendedTriggerMessageResponse::new(match answer {
        TriggerAnswer::Accepted => TriggerMessageStatusEnumType::Accepted,
        TriggerAnswer::Rejected => TriggerMessageStatusEnumType::Rejected,
        TriggerAnswer::NotImplemented => TriggerMessageStatusEnumType::NotImplemented,
    })
}

fn core_triggered(answer: TriggerAnswer) -> TriggerMessageResponse {
    TriggerMessageResponse::new(match answer {
        TriggerAnswer::Accepted => TriggerMessageStatus::Accepted,
        TriggerAnswer::Rejected => TriggerMessageStatus::Rejected,
        TriggerAnswer::NotImplemented => TriggerMessageStatus::NotImplemented,
    })
}

/// Reasons for a refusal of the root itself, as opposed to a lack of room.
const INVALID: [&str; 2] = ["InvalidCertificate", "TooLargeElement"];
