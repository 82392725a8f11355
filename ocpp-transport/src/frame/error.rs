//! What can be wrong with a frame, and how it is answered.

use ocpp_types::RpcErrorCode;

use crate::message_id::MessageId;

/// Why a text is not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than the limit; it was not looked at.
    #[error("the frame has {bytes} bytes, at most {max} are accepted")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Nested deeper than the limit.
    #[error("the frame is nested deeper than {max} levels")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// Not JSON, or not one array.
    #[error("the frame is not a JSON array")]
    NotAnArray,
    /// The first element is missing or no whole number.
    #[error("the first element of the frame is not a message type number")]
    MessageType,
    /// The second element of a CALL is missing, no text, or not of 1 to 36 characters.
    #[error("the second element of the frame is not a message id of 1 to 36 characters")]
    MessageId,
    /// The message type is not one of the version's.
    #[error("message type {message_type} is unknown")]
    UnknownMessageType {
        /// The id, if it can be read.
        id: Option<MessageId>,
        /// The number.
        message_type: u64,
    },
    /// A CALL that has not four elements.
    #[error("a CALL has 4 elements, this one has {found}")]
    ElementCount {
        /// The id of the CALL.
        id: MessageId,
        /// How many there are.
        found: usize,
    },
    /// The action of a CALL is not a text.
    #[error("the action of the CALL is not a text")]
    Action {
        /// The id of the CALL.
        id: MessageId,
    },
    /// The payload of a CALL is not an object.
    #[error("the payload of the CALL is not an object")]
    Payload {
        /// The id of the CALL.
        id: MessageId,
    },
    /// A CALLRESULT or CALLERROR that cannot be read. It is never answered: 2.0.1 has no answer to an answer.
    #[error("an answer that cannot be read")]
    Answer,
}

impl FrameError {
    /// The code and the id with which 2.0.1 answers the frame; `None` where nothing may be sent.
    #[must_use]
    pub fn answer(&self) -> Option<(MessageId, RpcErrorCode)> {
        match self {
            Self::TooLarge { .. }
            | Self::TooDeep { .. }
            | Self::NotAnArray
            | Self::MessageType
            | Self::MessageId => Some((MessageId::unreadable(), RpcErrorCode::RpcFrameworkError)),
            // 2.0.1 Part 4, 4.4; its 4.1.3 would also permit silence.
            Self::UnknownMessageType { id, .. } => Some((
                id.clone().unwrap_or_else(MessageId::unreadable),
                RpcErrorCode::MessageTypeNotSupported,
            )),
            Self::ElementCount { id, .. } | Self::Action { id } => {
                Some((id.clone(), RpcErrorCode::RpcFrameworkError))
            }
            Self::Payload { id } => Some((id.clone(), RpcErrorCode::FormatViolation)),
            Self::Answer => None,
        }
    }
}
