//! The handlers of OCPP 2.1: what it says, in terms of no version or of 2.0.1, and back.

use std::sync::Arc;

use ocpp_transport::{CallError, Peer, Reply, Router};
use ocpp_types::v21::{
    CertificateSignedRequest, DeleteCertificateRequest, GetBaseReportRequest,
    GetInstalledCertificateIdsRequest, GetReportRequest, GetVariablesRequest, InstallCertificateRequest,
    MessageTriggerEnumType, ResetRequest, ResetResponse, ResetStatusEnumType, SetNetworkProfileRequest,
    SetVariablesRequest, TriggerMessageRequest, TriggerMessageResponse, TriggerMessageStatusEnumType,
};
use program::causes;
use serde::{Serialize, de::DeserializeOwned};
use station_store::CertificateSigningUse;

use crate::{
    device_model::{DeviceModel, NotTheSame, same, set_variables},
    io::handlers::{
        parts::Handlers,
        station::{ResetAnswer, ResetOf, Trigger, TriggerAnswer},
    },
};

/// Adds the handlers of this version.
pub(super) fn with_handlers(router: Router, handlers: &Handlers) -> Router {
    let trigger = Arc::clone(&handlers.station);
    let [signed, install, list, delete] = [&handlers.certificates; 4].map(Arc::clone);
    with_model(router, handlers)
        .handle(move |peer, request: TriggerMessageRequest| {
            let handlers = Arc::clone(&trigger);
            async move {
                handlers.permit()?;
                let wanted = wanted(&request);
                Ok::<_, CallError>(handlers.trigger(peer, wanted).await.map(triggered))
            }
        })
        .handle(move |_, request: CertificateSignedRequest| {
            let handlers = Arc::clone(&signed);
            async move { handlers.certificate_signed(request).await }
        })
        .handle(move |_, request: InstallCertificateRequest| {
            let handlers = Arc::clone(&install);
            async move { handlers.install(request).await }
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

/// Adds the handlers of the device model.
fn with_model(router: Router, handlers: &Handlers) -> Router {
    let [get, set, profile, report, chosen] = [&handlers.model; 5].map(Arc::clone);
    let reset = Arc::clone(&handlers.station);
    router
        .handle(move |_, request: ResetRequest| {
            let handlers = Arc::clone(&reset);
            async move {
                handlers.permit()?;
                Ok::<_, CallError>(handlers.reset(reset_of(&request)).map(reset_response))
            }
        })
        .handle(move |peer: Peer, request: GetVariablesRequest| {
            let handlers = Arc::clone(&get);
            async move {
                handlers.permit()?;
                let request = of_21(&request)?;
                let (model, situation) = handlers.model(&peer);
                in_21(Reply::new(model.get_variables(&request, &situation)))
            }
        })
        .handle(move |peer, request: SetVariablesRequest| {
            let handlers = Arc::clone(&set);
            async move {
                handlers.permit()?;
                let request = set_variables(request).map_err(not_the_same)?;
                in_21(handlers.set_variables(peer, request).await?)
            }
        })
        .handle(move |peer: Peer, request: SetNetworkProfileRequest| {
            let handlers = Arc::clone(&profile);
            async move {
                handlers.permit()?;
                let (slot, situation) = (request.configuration_slot, handlers.situation(&peer));
                let plan = move |model: &DeviceModel| model.set_network_profile_21(&request, &situation);
                in_21(Reply::new(handlers.change_network(slot, plan).await?))
            }
        })
        .handle(move |peer, request: GetBaseReportRequest| {
            let handlers = Arc::clone(&report);
            async move {
                handlers.permit()?;
                in_21(handlers.base_report(peer, &of_21(&request)?))
            }
        })
        .handle(move |peer, request: GetReportRequest| {
            let handlers = Arc::clone(&chosen);
            async move {
                handlers.permit()?;
                in_21(handlers.report(peer, &of_21(&request)?))
            }
        })
}

/// A request of 2.1 in the words of 2.0.1.
fn of_21<New: Serialize, Old: DeserializeOwned>(request: &New) -> Result<Old, CallError> {
    same(request).map_err(not_the_same)
}

/// A response of 2.0.1 in the words of 2.1; what follows it stays.
fn in_21<Old: Serialize, New: DeserializeOwned>(reply: Reply<Old>) -> Result<Reply<New>, CallError> {
    let response = same(reply.response()).map_err(not_the_same)?;
    Ok(reply.map(|_| response))
}

fn not_the_same(error: NotTheSame) -> CallError {
    tracing::error!(error = %causes(&error), "a message of OCPP 2.1 was not answered");
    CallError::internal("the station could not say this in OCPP 2.1")
}

/// There is no transaction that could be resumed after the reset.
fn reset_of(request: &ResetRequest) -> ResetOf {
    if request.evse_id.is_some() { ResetOf::Evse } else { ResetOf::Station }
}

fn reset_response(answer: ResetAnswer) -> ResetResponse {
    ResetResponse::new(match answer {
        ResetAnswer::Accepted => ResetStatusEnumType::Accepted,
        ResetAnswer::Rejected => ResetStatusEnumType::Rejected,
    })
}

fn wanted(request: &TriggerMessageRequest) -> Trigger {
    let evse = request.evse.as_ref().map(|evse| evse.id.get());
    let sign = |use_| Trigger::Sign { use_, evse };
    match request.requested_message {
        MessageTriggerEnumType::BootNotification => Trigger::BootNotification,
        MessageTriggerEnumType::Heartbeat => Trigger::Heartbeat,
        MessageTriggerEnumType::SignChargingStationCertificate => {
            sign(CertificateSigningUse::ChargingStation)
        }
        // A02.FR.22, A02.FR.23
        MessageTriggerEnumType::SignV2GCertificate => sign(CertificateSigningUse::V2g),
        MessageTriggerEnumType::SignV2G20Certificate => sign(CertificateSigningUse::V2g20),
        MessageTriggerEnumType::SignCombinedCertificate => sign(CertificateSigningUse::Combined),
        _ => Trigger::Other,
    }
}

fn triggered(answer: TriggerAnswer) -> TriggerMessageResponse {
    TriggerMessageResponse::new(match answer {
        TriggerAnswer::Accepted => TriggerMessageStatusEnumType::Accepted,
        TriggerAnswer::Rejected => TriggerMessageStatusEnumType::Rejected,
        TriggerAnswer::NotImplemented => TriggerMessageStatusEnumType::NotImplemented,
    })
}
