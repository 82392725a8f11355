//! The frames of OCPP-J: CALL, CALLRESULT, CALLERROR (2.0.1 Part 4, 4.2).
//!
//! A payload stays the text that it is on the wire until the type that it should have is known.
//!
//! ```
//! use ocpp_transport::frame::{self, Frame, Limits};
//!
//! let frame = frame::parse(r#"[2,"19223201","Heartbeat",{}]"#, &Limits::default())?;
//! let Frame::Call { id, action, payload } = &frame else { unreachable!() };
//! assert_eq!((id.as_str(), action.as_str(), payload.get()), ("19223201", "Heartbeat", "{}"));
//! assert_eq!(frame.encode(ocpp_types::Version::V201), r#"[2,"19223201","Heartbeat",{}]"#);
//! # Ok::<(), frame::FrameError>(())
//! ```

mod error;
mod parse;

use ocpp_types::{RpcErrorCode, Version};
use serde_json::value::RawValue;

use crate::message_id::MessageId;

pub use crate::frame::error::FrameError;
pub use crate::frame::parse::parse;

/// One frame.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Frame {
    /// A request.
    Call {
        /// Chosen by the caller.
        id: MessageId,
        /// The name of the message, without `Request`.
        action: String,
        /// A JSON object.
        payload: Box<RawValue>,
    },
    /// The response to a CALL.
    CallResult {
        /// The id of the CALL.
        id: MessageId,
        /// Any JSON value; only a response's own type tells whether it is acceptable.
        payload: Box<RawValue>,
    },
    /// The refusal of a CALL for reasons of transport or format.
    CallError {
        /// The id of the CALL, or `-1`.
        id: MessageId,
        /// What went wrong.
        code: RpcErrorCode,
        /// For people; at most 255 characters, the rest is cut off, and possibly empty.
        description: String,
        /// A JSON object.
        details: Box<RawValue>,
    },
}

/// Bounds on a frame that comes in, checked before it is interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest text, in bytes. See [`Limits::MAX_BYTES`].
    pub max_bytes: usize,
    /// The deepest nesting of arrays and objects, the frame's own array included. See [`Limits::MAX_DEPTH`].
    pub max_depth: usize,
}

impl Limits {
    /// 128 KiB. The longest text with a bound in 2.0.1, a certificate chain of 10,000 characters, takes 60 kB if
    /// each character is written as an escape; twice that leaves room for lists.
    pub const MAX_BYTES: usize = 128 * 1024;
    /// 32 levels. The schemas of 2.0.1 nest less than ten deep; the rest is for customData.
    pub const MAX_DEPTH: usize = 32;

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

impl Frame {
    /// The text of the frame, with the error codes as the version spells them.
    #[must_use]
    pub fn encode(&self, version: Version) -> String {
        match self {
            Self::Call { id, action, payload } => encode_call(id, action, payload),
            Self::CallResult { id, payload } => encode_call_result(id, payload),
            Self::CallError { id, code, description, details } => {
                encode_call_error(version, id, code, description, details)
            }
        }
    }

    /// The id of the frame.
    #[must_use]
    pub fn id(&self) -> &MessageId {
        match self {
            Self::Call { id, .. } | Self::CallResult { id, .. } | Self::CallError { id, .. } => id,
        }
    }
}

pub(crate) fn encode_call(id: &MessageId, action: &str, payload: &RawValue) -> String {
    format!("[2,{},{},{}]", quoted(id.as_str()), quoted(action), payload.get())
}

pub(crate) fn encode_call_result(id: &MessageId, payload: &RawValue) -> String {
    format!("[3,{},{}]", quoted(id.as_str()), payload.get())
}

pub(crate) fn encode_call_error(
    version: Version,
    id: &MessageId,
    code: &RpcErrorCode,
    description: &str,
    details: &RawValue,
) -> String {
    let description: String = description.chars().take(MAX_DESCRIPTION).collect();
    format!(
        "[4,{},{},{},{}]",
        quoted(id.as_str()),
        quoted(code.as_str(version)),
        quoted(&description),
        details.get()
    )
}

/// `{}`, the details of a CALLERROR that has none.
pub(crate) fn no_details() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("an empty object is JSON")
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The longest description of a CALLERROR, in characters (2.0.1 Part 4, 4.2.3).
pub(crate) const MAX_DESCRIPTION: usize = 255;

#[cfg(test)]
mod tests;
