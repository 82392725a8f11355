//! Why a text is not a frame, and how it is answered.

use std::fmt;

use ocpp_types::{RpcErrorCode, Version};

use crate::message_id::MessageId;

/// The kind of a frame, by its message type number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// 2
    Call,
    /// 3
    CallResult,
    /// 4
    CallError,
    /// 5, in 2.1
    CallResultError,
    /// 6, in 2.1
    Send,
    /// Any other number.
    Other(u64),
}

impl MessageKind {
    /// The kind of a message type number.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        match number {
            2 => Self::Call,
            3 => Self::CallResult,
            4 => Self::CallError,
            5 => Self::CallResultError,
            6 => Self::Send,
            number => Self::Other(number),
        }
    }

    /// The message type number.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Self::Call => 2,
            Self::CallResult => 3,
            Self::CallError => 4,
            Self::CallResultError => 5,
            Self::Send => 6,
            Self::Other(number) => number,
        }
    }

    /// Whether a version has messages of this kind.
    #[must_use]
    pub fn is_in(self, version: Version) -> bool {
        match self {
            Self::Call | Self::CallResult | Self::CallError => true,
            // 2.1 Part 4, 4.1.3
            Self::CallResultError | Self::Send => version == Version::V21,
            Self::Other(_) => false,
        }
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call => formatter.write_str("CALL"),
            Self::CallResult => formatter.write_str("CALLRESULT"),
            Self::CallError => formatter.write_str("CALLERROR"),
            Self::CallResultError => formatter.write_str("CALLRESULTERROR"),
            Self::Send => formatter.write_str("SEND"),
            Self::Other(number) => write!(formatter, "message of type {number}"),
        }
    }
}

/// Why a text is not a frame of the version, and the parts of it that could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
#[non_exhaustive]
pub struct FrameError {
    /// What is wrong.
    pub fault: Fault,
    /// The kind of the message; `None` if it cannot be read.
    pub kind: Option<MessageKind>,
    /// Its id, if it can be read.
    pub id: Option<MessageId>,
}

/// What is wrong with a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Longer than the limit. The text was not parsed.
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
    /// The first element is missing or is not a whole number.
    #[error("the first element of the frame is not a message type number")]
    MessageType,
    /// The second element is missing, is not a string, does not have 1 to 36 characters, or
    /// contains a control character.
    #[error(
        "the second element of the frame is not a message id of 1 to 36 characters without control characters"
    )]
    MessageId,
    /// The version has no such message type.
    #[error("message type {number} is unknown")]
    UnknownMessageType {
        /// The number.
        number: u64,
    },
    /// Too few or too many elements.
    #[error("the frame has {found} elements, which is not the number for its type")]
    ElementCount {
        /// How many there are.
        found: usize,
    },
    /// The action of a CALL or SEND is not a string.
    #[error("the action of the message is not a string")]
    Action,
    /// The payload of a CALL or SEND is not an object.
    #[error("the payload of the message is not an object")]
    Payload,
    /// The code of a CALLERROR or CALLRESULTERROR is not a string.
    #[error("the error code is not a string")]
    Code,
}

/// The answer to a frame that cannot be processed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// [`MessageKind::CallError`] or [`MessageKind::CallResultError`].
    pub kind: MessageKind,
    /// The id of the frame, or `-1`.
    pub id: MessageId,
    /// The error code.
    pub code: RpcErrorCode,
}

impl FrameError {
    /// The version's answer to the frame; `None` if no answer may be sent. A CALLRESULTERROR is
    /// sent only for a CALLRESULT that answers an open CALL.
    #[must_use]
    pub fn answer(&self, version: Version) -> Option<Refusal> {
        let id = || self.id.clone().unwrap_or_else(MessageId::unreadable);
        let refusal = |kind, code| Some(Refusal { kind, id: id(), code });
        match self.kind {
            // 2.0.1 Part 4, 4.2.3: id -1. 1.6 has neither this id nor the code. Its
            // FormationViolation shows a developer of the peer what happened; silence would show
            // nothing.
            None => refusal(MessageKind::CallError, RpcErrorCode::RpcFrameworkError),
            Some(MessageKind::Call) => {
                let code = match self.fault {
                    Fault::Payload => RpcErrorCode::FormatViolation,
                    _ => RpcErrorCode::RpcFrameworkError,
                };
                refusal(MessageKind::CallError, code)
            }
            // 2.1: an invalid response is answered if its id can be read.
            Some(MessageKind::CallResult) if version == Version::V21 && self.id.is_some() => {
                refusal(MessageKind::CallResultError, RpcErrorCode::RpcFrameworkError)
            }
            // 2.0.1 Part 4, 4.4 has a code for this case only. So it is sent, although 4.1.3 also
            // permits silence. 1.6 has no such code, and 2.1 requires that such a message is
            // ignored.
            Some(kind) if !kind.is_in(version) && version == Version::V201 => {
                refusal(MessageKind::CallError, RpcErrorCode::MessageTypeNotSupported)
            }
            // An answer and a SEND are never answered.
            Some(_) => None,
        }
    }
}
