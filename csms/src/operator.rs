//! Requests that an operator may send to a station by hand, decoded by their names in the version of its connection.

use ocpp_transport::{CallFailure, Peer};
use ocpp_types::{Request, Version, v16, v21, v201};

/// Why an operator's request brought no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OperatorCallError {
    /// The action is not one that an operator may send.
    #[error("{action} of {version} cannot be sent by hand; what can be: {}", actions.join(", "))]
    Action {
        /// The action.
        action: String,
        /// The connection's.
        version: Version,
        /// Those that can.
        actions: &'static [&'static str],
    },
    /// A password that the service does not learn of would lock the station out.
    #[error("a password is changed with `ocpp-csms set-password`, so that this service knows it too")]
    Password,
    /// The payload breaks the action's schema; nothing was sent.
    #[error("the payload of {action} is not valid in {version}")]
    Payload {
        /// The action.
        action: &'static str,
        /// The connection's.
        version: Version,
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

/// The actions that may be sent by hand in one version, each with what a request of it must not ask for.
macro_rules! by_hand {
    ($function:ident, $version:ident: $($request:ident $(unless $forbidden:expr)?),* $(,)?) => {
        async fn $function(peer: &Peer, action: &str, payload: &str) -> Result<String, OperatorCallError> {
            const ACTIONS: &[&str] = &[$($version::$request::ACTION),*];
            match action {
                $($version::$request::ACTION => {
                    let request = decode::<$version::$request>(payload)?;
                    $(if $forbidden(&request) {
                        return Err(OperatorCallError::Password);
                    })?
                    send(peer, request).await
                })*
                _ => Err(OperatorCallError::Action {
                    action: action.to_owned(),
                    version: peer.version(),
                    actions: ACTIONS,
                }),
            }
        }
    };
}

by_hand!(call_v16, v16:
    ExtendedTriggerMessageRequest,
    TriggerMessageRequest,
    InstallCertificateRequest,
    GetInstalledCertificateIdsRequest,
    DeleteCertificateRequest,
    ChangeConfigurationRequest unless |request: &v16::ChangeConfigurationRequest| {
        request.key.eq_ignore_ascii_case("AuthorizationKey")
    },
    GetConfigurationRequest,
    ResetRequest,
);

by_hand!(call_v201, v201:
    TriggerMessageRequest,
    InstallCertificateRequest,
    GetInstalledCertificateIdsRequest,
    DeleteCertificateRequest,
    SetNetworkProfileRequest,
    SetVariablesRequest unless |request: &v201::SetVariablesRequest| {
        request.set_variable_data.iter().any(|data| is_password(&data.variable.name))
    },
    GetVariablesRequest,
    ResetRequest,
);

by_hand!(call_v21, v21:
    TriggerMessageRequest,
    InstallCertificateRequest,
    GetInstalledCertificateIdsRequest,
    DeleteCertificateRequest,
    SetNetworkProfileRequest,
    SetVariablesRequest unless |request: &v21::SetVariablesRequest| {
        request.set_variable_data.iter().any(|data| is_password(&data.variable.name))
    },
    GetVariablesRequest,
    ResetRequest,
);

/// Sends a request, given as JSON, to a station and returns its response as JSON.
///
/// # Errors
/// [`OperatorCallError`].
///
/// # Cancel safety
/// Dropping the future gives up waiting; the request may have been sent.
pub(crate) async fn call(peer: &Peer, action: &str, payload: &str) -> Result<String, OperatorCallError> {
    match peer.version() {
        Version::V16 => call_v16(peer, action, payload).await,
        Version::V21 => call_v21(peer, action, payload).await,
        _ => call_v201(peer, action, payload).await,
    }
}

fn decode<R: Request>(payload: &str) -> Result<R, OperatorCallError> {
    let (action, version) = (R::ACTION, R::VERSION);
    ocpp_types::decode(payload).map_err(|source| OperatorCallError::Payload { action, version, source })
}

async fn send<R: Request>(peer: &Peer, request: R) -> Result<String, OperatorCallError> {
    let action = R::ACTION;
    let response = peer.call(request).await.map_err(|source| OperatorCallError::Call { action, source })?;
    ocpp_types::encode(&response).map_err(|source| OperatorCallError::Response { action, source })
}

/// `identifierString` does not distinguish case.
fn is_password(variable: &str) -> bool {
    variable.eq_ignore_ascii_case("BasicAuthPassword")
}
