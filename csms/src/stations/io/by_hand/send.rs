//! Decodes a request by its name, and sends it.

use ocpp_transport::{CallFailure, Peer};
use ocpp_types::{Request, Version};

/// Why an operator's request has no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OperatorCallError {
    /// An operator may not send this action.
    #[error("{action} of {version} cannot be sent by hand; send one of: {}", actions.join(", "))]
    Action {
        /// The action.
        action: String,
        /// The version of the connection.
        version: Version,
        /// The actions that an operator may send.
        actions: &'static [&'static str],
    },
    /// The service does not know a password that is set this way. The station would be locked out.
    #[error("a password is changed with `ocpp-csms set-password`, so that this service knows it too")]
    Password,
    /// The payload breaks the action's schema; nothing was sent.
    #[error("the payload of {action} is not valid in {version}")]
    Payload {
        /// The action.
        action: &'static str,
        /// The version of the connection.
        version: Version,
        /// The pointer to the field, and the broken rule.
        source: ocpp_types::DecodeError,
    },
    /// The version of the connection is not known.
    #[error(transparent)]
    Version(CallFailure),
    /// The station did not answer with a response.
    #[error("there is no response to {action}")]
    Call {
        /// The action.
        action: &'static str,
        /// The failure of the call.
        source: CallFailure,
    },
    /// The station's response cannot be encoded.
    #[error("the response to {action} cannot be written")]
    Response {
        /// The action.
        action: &'static str,
        /// The cause.
        source: ocpp_types::EncodeError,
    },
}

/// Decodes a payload and checks it against its schema.
pub(super) fn decode<R: Request>(payload: &str) -> Result<R, OperatorCallError> {
    let (action, version) = (R::ACTION, R::VERSION);
    ocpp_types::decode(payload).map_err(|source| OperatorCallError::Payload { action, version, source })
}

/// Sends a request and returns the response as JSON.
pub(super) async fn send<R: Request>(peer: &Peer, request: R) -> Result<String, OperatorCallError> {
    let action = R::ACTION;
    let response = peer.call(request).await.map_err(|source| OperatorCallError::Call { action, source })?;
    ocpp_types::encode(&response).map_err(|source| OperatorCallError::Response { action, source })
}

/// The actions that may be sent by hand in one version, each with the values that a request of it
/// must not contain.
macro_rules! by_hand {
    ($version:ident: $($request:ident $(unless $forbidden:expr)?),* $(,)?) => {
        /// Sends a request, given as JSON, and returns the response as JSON.
        pub(super) async fn call(
            peer: &Peer,
            action: &str,
            payload: &str,
        ) -> Result<String, OperatorCallError> {
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

pub(super) use by_hand;
