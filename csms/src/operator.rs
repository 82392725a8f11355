//! Requests that an operator may send to a station by hand, decoded by their names.

use ocpp_transport::{CallFailure, Peer};
use ocpp_types::{
    Request,
    v201::{
        DeleteCertificateRequest, GetInstalledCertificateIdsRequest, GetVariablesRequest,
        InstallCertificateRequest, ResetRequest, SetNetworkProfileRequest, SetVariablesRequest,
        TriggerMessageRequest,
    },
};

/// Why an operator's request brought no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OperatorCallError {
    /// The action is not one that an operator may send.
    #[error("{action} cannot be sent by hand; what can be: {}", ACTIONS.join(", "))]
    Action {
        /// The action.
        action: String,
    },
    /// The payload breaks the action's schema; nothing was sent.
    #[error("the payload of {action} is not valid")]
    Payload {
        /// The action.
        action: &'static str,
        /// Pointer and rule.
        source: ocpp_types::DecodeError,
    },
    /// The station did not answer with a response.
    #[error("{action} brought no response")]
    Call {
        /// The action.
        action: &'static str,
        /// What came instead.
        source: CallFailure,
    },
    /// The station's response cannot be written.
    #[error("the response to {action} cannot be written")]
    Response {
        /// The action.
        action: &'static str,
        /// Why.
        source: ocpp_types::EncodeError,
    },
}

/// Sends a request, given as JSON, to a station and returns its response as JSON.
///
/// # Errors
/// [`OperatorCallError`].
///
/// # Cancel safety
/// Dropping the future gives up waiting; the request may have been sent.
pub(crate) async fn call(peer: &Peer, action: &str, payload: &str) -> Result<String, OperatorCallError> {
    match action {
        TriggerMessageRequest::ACTION => send::<TriggerMessageRequest>(peer, payload).await,
        InstallCertificateRequest::ACTION => send::<InstallCertificateRequest>(peer, payload).await,
        GetInstalledCertificateIdsRequest::ACTION => {
            send::<GetInstalledCertificateIdsRequest>(peer, payload).await
        }
        DeleteCertificateRequest::ACTION => send::<DeleteCertificateRequest>(peer, payload).await,
        SetNetworkProfileRequest::ACTION => send::<SetNetworkProfileRequest>(peer, payload).await,
        SetVariablesRequest::ACTION => send::<SetVariablesRequest>(peer, payload).await,
        GetVariablesRequest::ACTION => send::<GetVariablesRequest>(peer, payload).await,
        ResetRequest::ACTION => send::<ResetRequest>(peer, payload).await,
        _ => Err(OperatorCallError::Action { action: action.to_owned() }),
    }
}

async fn send<R: Request>(peer: &Peer, payload: &str) -> Result<String, OperatorCallError> {
    let action = R::ACTION;
    let request: R =
        ocpp_types::decode(payload).map_err(|source| OperatorCallError::Payload { action, source })?;
    let response = peer.call(request).await.map_err(|source| OperatorCallError::Call { action, source })?;
    ocpp_types::encode(&response).map_err(|source| OperatorCallError::Response { action, source })
}

const ACTIONS: [&str; 8] = [
    TriggerMessageRequest::ACTION,
    InstallCertificateRequest::ACTION,
    GetInstalledCertificateIdsRequest::ACTION,
    DeleteCertificateRequest::ACTION,
    SetNetworkProfileRequest::ACTION,
    SetVariablesRequest::ACTION,
    GetVariablesRequest::ACTION,
    ResetRequest::ACTION,
];
