//! The frames of OCPP-J: CALL, CALLRESULT, CALLERROR, and in 2.1 CALLRESULTERROR and SEND (Part 4,
//! 4.2).
//!
//! A payload stays the text of the wire until its type is known.
//!
//! ```
//! use ocpp_transport::frame::{self, Frame, Limits};
//! use ocpp_types::Version;
//!
//! let text = r#"[2,"19223201","Heartbeat",{}]"#;
//! let frame = frame::parse(text, Version::V201, &Limits::default())?;
//! let Frame::Call { id, action, payload } = &frame else { unreachable!() };
//! assert_eq!((id.as_str(), action.as_ref(), payload.get()), ("19223201", "Heartbeat", "{}"));
//! assert_eq!(frame.encode(Version::V201), text);
//! # Ok::<(), frame::FrameError>(())
//! ```

mod error;
mod head;
mod incoming;
mod parse;
mod text;
mod write;

use std::borrow::Cow;

use ocpp_types::{RpcErrorCode, Version};
use serde_json::value::RawValue;

use crate::message_id::MessageId;

pub use crate::frame::error::{Fault, FrameError, MessageKind, Refusal};
pub use crate::frame::incoming::{Incoming, IncomingResult, PayloadError};
pub use crate::frame::parse::parse;
pub use crate::frame::text::FrameText;
pub use crate::frame::write::MAX_DESCRIPTION;
pub(crate) use crate::frame::{
    head::{Head, head},
    parse::check_limits,
    write::{call_error, call_result, call_result_error, request},
};

/// One frame.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Frame<'a> {
    /// A request.
    Call {
        /// Chosen by the caller.
        id: MessageId,
        /// The name of the message, without `Request`.
        action: Cow<'a, str>,
        /// A JSON object.
        payload: &'a RawValue,
    },
    /// The response to a CALL.
    CallResult {
        /// The id of the CALL.
        id: MessageId,
        /// Any JSON value. The type of the response decides whether it is acceptable.
        payload: &'a RawValue,
    },
    /// The refusal of a CALL because of its transport or format.
    CallError(Refused<'a>),
    /// The refusal of a CALLRESULT (2.1). It is never answered.
    CallResultError(Refused<'a>),
    /// A message without an answer (2.1).
    Send {
        /// Chosen by the sender.
        id: MessageId,
        /// The name of the message.
        action: Cow<'a, str>,
        /// A JSON object.
        payload: &'a RawValue,
    },
}

/// The content of a CALLERROR or a CALLRESULTERROR.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Refused<'a> {
    /// The id of the CALL, or `-1`.
    pub id: MessageId,
    /// What went wrong.
    pub code: RpcErrorCode,
    /// For people; may be empty. Text after [`MAX_DESCRIPTION`] characters is cut off.
    pub description: String,
    /// A JSON object; `None` if the peer omitted it.
    pub details: Option<&'a RawValue>,
}

/// Bounds on a received frame, checked before it is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest text, in bytes. See [`Limits::MAX_BYTES`].
    pub max_bytes: usize,
    /// The deepest nesting of arrays and objects, the frame's own array included. See
    /// [`Limits::MAX_DEPTH`].
    pub max_depth: usize,
}

impl Limits {
    /// 128 KiB. The longest bounded text in 2.0.1 is a certificate chain of 10,000 characters. It
    /// takes 60 kB if each character is escaped. Twice that leaves room for lists.
    pub const MAX_BYTES: usize = 128 * 1024;
    /// 100 levels. The schemas use less than ten levels; the rest is for customData. A JSON parser
    /// uses stack for each level, and the parsers of `ocpp-types` accept at most 127 levels in a
    /// payload.
    pub const MAX_DEPTH: usize = 100;

    /// Sets the longest frame that is accepted, in bytes. Default [`Limits::MAX_BYTES`].
    #[must_use]
    pub fn with_max_bytes(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: Self::MAX_BYTES, max_depth: Self::MAX_DEPTH }
    }
}

impl Frame<'_> {
    /// The text of the frame, with the error codes in the spelling of the version.
    #[must_use]
    pub fn encode(&self, version: Version) -> String {
        match self {
            Self::Call { id, action, payload } => request(MessageKind::Call, id, action, payload.get()),
            Self::Send { id, action, payload } => request(MessageKind::Send, id, action, payload.get()),
            Self::CallResult { id, payload } => call_result(id, payload.get()),
            Self::CallError(refused) => {
                call_error(version, &refused.id, &refused.code, &refused.description, refused.details)
            }
            Self::CallResultError(refused) => {
                call_result_error(version, &refused.id, &refused.code, &refused.description, refused.details)
            }
        }
    }

    /// The id of the frame.
    #[must_use]
    pub fn id(&self) -> &MessageId {
        match self {
            Self::Call { id, .. } | Self::CallResult { id, .. } | Self::Send { id, .. } => id,
            Self::CallError(refused) | Self::CallResultError(refused) => &refused.id,
        }
    }
}

#[cfg(test)]
mod tests;
