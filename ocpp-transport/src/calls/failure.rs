//! Why calls fail, in both directions.

use ocpp_types::{DecodeError, EncodeError, RpcErrorCode, Version};

use crate::frame::{FrameError, PayloadError};

/// The CALLERROR with which a handler refuses a CALL.
///
/// It reports failures of transport, format or software. A request that was understood and is
/// refused gets a normal response with a status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code:?}: {description}")]
pub struct CallError {
    /// What went wrong.
    pub code: RpcErrorCode,
    /// For people; cut to 255 characters on the wire.
    pub description: String,
}

impl CallError {
    /// A CALLERROR.
    #[must_use]
    pub fn new(code: RpcErrorCode, description: impl Into<String>) -> Self {
        Self { code, description: description.into() }
    }

    /// InternalError: this side failed. The description should help the peer's operator and reveal
    /// nothing else.
    #[must_use]
    pub fn internal(description: impl Into<String>) -> Self {
        Self::new(RpcErrorCode::InternalError, description)
    }

    /// SecurityError: the peer may not do this, or not yet (FR.03, FR.04).
    #[must_use]
    pub fn security(description: impl Into<String>) -> Self {
        Self::new(RpcErrorCode::SecurityError, description)
    }
}

/// Why [`Peer::call`](crate::Peer::call) has no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallFailure {
    /// The peer answered with a CALLERROR.
    #[error("the peer answered {}: {}", code.as_str(*version), description.escape_debug())]
    CallError {
        /// The peer's code.
        code: RpcErrorCode,
        /// The peer's description.
        description: String,
        /// The version of the connection, which determines the spelling of the code.
        version: Version,
    },
    /// The peer did not answer in time.
    #[error("the peer did not answer in time")]
    Timeout,
    /// The connection was or is closed. Whether the peer acted on the request is unknown.
    #[error("the connection is closed")]
    Disconnected,
    /// The peer's response breaks its schema.
    #[error("the peer's response is invalid")]
    InvalidResponse(#[source] DecodeError),
    /// The peer's answer is not a frame of OCPP-J.
    #[error("the peer's answer cannot be read")]
    Unreadable(#[source] FrameError),
    /// The message may not be sent before BootNotification is accepted (B01.FR.08, B02.FR.02), or
    /// after the CSMS has rejected it (B03.FR.03). Nothing was sent.
    #[error("the message may not be sent before BootNotification is accepted")]
    NotAccepted,
    /// The message belongs to another version of OCPP than the connection. Nothing was sent.
    #[error("the message belongs to {message}, and the connection speaks {connection}")]
    WrongVersion {
        /// The version of the message.
        message: Version,
        /// The version that both sides agreed on.
        connection: Version,
    },
    /// Too many calls are waiting already. Nothing was sent.
    #[error("too many calls are waiting; make the next one when some have ended")]
    QueueFull,
    /// The request cannot be written as a frame. Nothing was sent.
    #[error("the request cannot be written")]
    Unwritable(#[source] EncodeError),
    /// The request is longer than a frame may be. Nothing was sent.
    #[error("the request takes {bytes} bytes, at most {max} may be sent")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}

impl From<PayloadError> for CallFailure {
    fn from(error: PayloadError) -> Self {
        match error {
            PayloadError::Frame(error) => Self::Unreadable(error),
            PayloadError::Schema(error) => Self::InvalidResponse(error),
        }
    }
}
