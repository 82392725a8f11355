//! The handlers of OCPP 2.0.1: what it says, in terms of no version, and back.

use std::sync::Arc;

use ocpp_transport::{CallError, Router};
use ocpp_types::v201::{
    CertificateSignedRequest, DeleteCertificateRequest, GetInstalledCertificateIdsRequest,
    InstallCertificateRequest, MessageTriggerEnumType, TriggerMessageRequest, TriggerMessageResponse,
    TriggerMessageStatusEnumType,
};
use station_store::CertificateSigningUse;

use crate::io::{
    handlers::{Shared, Trigger, TriggerAnswer},
    model_handlers::with_model,
};

/// Adds the handlers of this version.
pub(super) fn with_handlers(router: Router, shared: &Arc<Shared>) -> Router {
    let [trigger, signed, install, list, delete] = [shared; 5].map(Arc::clone);
    with_model(router, shared)
        .handle(move |peer, request: TriggerMessageRequest| {
            let shared = Arc::clone(&trigger);
            async move {
                shared.permit()?;
                let wanted = wanted(&request);
                Ok::<_, CallError>(shared.trigger(peer, wanted).await.map(triggered))
            }
        })
        .handle(move |_, request: CertificateSignedRequest| {
            let shared = Arc::clone(&signed);
            async move { shared.certificate_signed(request).await }
        })
        .handle(move |_, request: InstallCertificateRequest| {
            let shared = Arc::clone(&install);
            async move { shared.install(request).await }
        })
        .handle(move |_, request: GetInstalledCertificateIdsRequest| {
            let shared = Arc::clone(&list);
            async move { shared.list(request).await }
        })
        .handle(move |_, request: DeleteCertificateRequest| {
            let shared = Arc::clone(&delete);
            async move { shared.delete(request).await }
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
