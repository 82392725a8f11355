//! The handlers of OCPP 2.0.1: what it says, in terms of no version, and back.

use std::sync::Arc;

use ocpp_transport::{CallError, Peer, Router};
use ocpp_types::v201::{
    CertificateSignedRequest, DeleteCertificateRequest, GetBaseReportRequest,
    GetInstalledCertificateIdsRequest, GetReportRequest, GetVariablesRequest, InstallCertificateRequest,
    MessageTriggerEnumType, ResetRequest, ResetResponse, ResetStatusEnumType, SetNetworkProfileRequest,
    SetVariablesRequest, TriggerMessageRequest, TriggerMessageResponse, TriggerMessageStatusEnumType,
};
use station_store::CertificateSigningUse;

use crate::io::handlers::{
    parts::Handlers,
    station::{ResetAnswer, ResetOf, Trigger, TriggerAnswer},
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
    let [get, set, profile, base, report] = [&handlers.model; 5].map(Arc::clone);
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
                let (model, situation) = handlers.model(&peer);
                Ok::<_, CallError>(model.get_variables(&request, &situation))
            }
        })
        .handle(move |peer, request: SetVariablesRequest| {
            let handlers = Arc::clone(&set);
            async move {
                handlers.permit()?;
                handlers.set_variables(peer, request).await
            }
        })
        .handle(move |peer, request: SetNetworkProfileRequest| {
            let handlers = Arc::clone(&profile);
            async move {
                handlers.permit()?;
                handlers.set_network_profile(peer, request).await
            }
        })
        .handle(move |peer, request: GetBaseReportRequest| {
            let handlers = Arc::clone(&base);
            async move {
                handlers.permit()?;
                Ok::<_, CallError>(handlers.base_report(peer, &request))
            }
        })
        .handle(move |peer, request: GetReportRequest| {
            let handlers = Arc::clone(&report);
            async move {
                handlers.permit()?;
                Ok::<_, CallError>(handlers.report(peer, &request))
            }
        })
}

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
    let evse = request.evse.as_ref().map(|evse| evse.id);
    let sign = |use_| Trigger::Sign { use_, evse };
    match request.requested_message {
        MessageTriggerEnumType::BootNotification => Trigger::BootNotification,
        MessageTriggerEnumType::Heartbeat => Trigger::Heartbeat,
        MessageTriggerEnumType::SignChargingStationCertificate => {
            sign(CertificateSigningUse::ChargingStation)
        }
        MessageTriggerEnumType::SignV2GCertificate => sign(CertificateSigningUse::V2g),
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
