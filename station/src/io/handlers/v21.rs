//! The handlers of OCPP 2.1: what it says, in terms of no version or of 2.0.1, and back.

use std::sync::Arc;

use ocpp_transport::{CallError, Peer, Reply, Router};
use ocpp_types::{
    v21::{
        CertificateSignedRequest, DeleteCertificateRequest, GetBaseReportRequest,
        GetInstalledCertificateIdsRequest, GetReportRequest, GetVariablesRequest, InstallCertificateRequest,
        MessageTriggerEnumType, ResetEnumType, ResetRequest, SetNetworkProfileRequest, SetVariablesRequest,
        TriggerMessageRequest, TriggerMessageResponse, TriggerMessageStatusEnumType,
    },
    v201,
};
use program::causes;
use serde::{Serialize, de::DeserializeOwned};
use station_store::CertificateSigningUse;

use crate::{
    device_model::{DeviceModel, NotTheSame, same, set_variables},
    io::handlers::{Shared, Trigger, TriggerAnswer},
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

/// Adds the handlers of the device model.
fn with_model(router: Router, shared: &Arc<Shared>) -> Router {
    let [get, set, profile, report, chosen, reset] = [shared; 6].map(Arc::clone);
    router
        .handle(move |_, request: ResetRequest| {
            let shared = Arc::clone(&reset);
            async move {
                shared.permit()?;
                in_21(shared.reset(&reset_of_201(&request)))
            }
        })
        .handle(move |peer: Peer, request: GetVariablesRequest| {
            let shared = Arc::clone(&get);
            async move {
                shared.permit()?;
                let request = of_21(&request)?;
                in_21(Reply::new(shared.model.current().get_variables(&request, &shared.situation(&peer))))
            }
        })
        .handle(move |peer, request: SetVariablesRequest| {
            let shared = Arc::clone(&set);
            async move {
                shared.permit()?;
                let request = set_variables(request).map_err(not_the_same)?;
                in_21(shared.set_variables(peer, request).await?)
            }
        })
        .handle(move |peer: Peer, request: SetNetworkProfileRequest| {
            let shared = Arc::clone(&profile);
            async move {
                shared.permit()?;
                let (slot, situation) = (request.configuration_slot, shared.situation(&peer));
                let plan = move |model: &DeviceModel| model.set_network_profile_21(&request, &situation);
                in_21(Reply::new(shared.change_network(slot, plan).await?))
            }
        })
        .handle(move |peer, request: GetBaseReportRequest| {
            let shared = Arc::clone(&report);
            async move {
                shared.permit()?;
                in_21(shared.base_report(peer, &of_21(&request)?))
            }
        })
        .handle(move |peer, request: GetReportRequest| {
            let shared = Arc::clone(&chosen);
            async move {
                shared.permit()?;
                in_21(shared.report(peer, &of_21(&request)?))
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
fn reset_of_201(request: &ResetRequest) -> v201::ResetRequest {
    let mut reset = v201::ResetRequest::new(match request.type_ {
        ResetEnumType::OnIdle => v201::ResetEnumType::OnIdle,
        ResetEnumType::Immediate | ResetEnumType::ImmediateAndResume => v201::ResetEnumType::Immediate,
    });
    reset.evse_id = request.evse_id.map(|evse| evse.get());
    reset
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
