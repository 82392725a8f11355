//! Messages of the peer whose payload is not decoded yet.

use std::fmt;
use std::ops::Range;

use ocpp_types::{DecodeError, RpcErrorCode, Version};
use serde::de::DeserializeOwned;

use crate::frame::{FrameError, FrameText, Head, Limits, parse};
use crate::message_id::MessageId;

/// A CALL or a SEND of the peer.
#[derive(Debug, Clone)]
pub struct Incoming {
    id: MessageId,
    action: Action,
    payload: Payload,
}

/// A CALLRESULT of the peer.
#[derive(Debug, Clone)]
pub struct IncomingResult {
    id: MessageId,
    payload: Payload,
}

/// Why a payload cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The text around the payload is not a frame, although it looked like one.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It breaks the schema of its type.
    #[error(transparent)]
    Schema(#[from] DecodeError),
}

impl PayloadError {
    /// The error code with which a version answers the message.
    #[must_use]
    pub fn rpc_code(&self, version: Version) -> RpcErrorCode {
        match self {
            Self::Frame(_) => RpcErrorCode::RpcFrameworkError,
            Self::Schema(error) => error.rpc_code(version),
        }
    }
}

impl Incoming {
    pub(crate) fn from_head(text: &FrameText, head: &Head<'_>) -> Option<Self> {
        Some(Self {
            id: MessageId::try_from(head.id).ok()?,
            action: Action::InFrame(place(text, head.action)?),
            payload: Payload { frame: text.clone(), place: place(text, head.payload)?, checked: false },
        })
    }

    pub(crate) fn from_frame(text: &FrameText, id: MessageId, action: &str, payload: &str) -> Option<Self> {
        let action = place(text, action).map_or_else(|| Action::Unescaped(action.into()), Action::InFrame);
        let payload = Payload { frame: text.clone(), place: place(text, payload)?, checked: true };
        Some(Self { id, action, payload })
    }

    /// The id of the message.
    #[must_use]
    pub fn id(&self) -> &MessageId {
        &self.id
    }

    /// Its action. The version may not have it.
    #[must_use]
    pub fn action(&self) -> &str {
        match &self.action {
            Action::InFrame(place) => self.payload.frame.get(place.clone()).unwrap_or_default(),
            Action::Unescaped(action) => action,
        }
    }

    /// Its payload, from a `{` to a `}`, as the peer wrote it. [`Incoming::check`] checks whether
    /// it is JSON.
    #[must_use]
    pub fn payload(&self) -> &str {
        self.payload.text()
    }

    /// Reads the payload into its type.
    ///
    /// # Errors
    /// If it breaks the schema, or is not JSON.
    pub fn decode<T: DeserializeOwned>(&self, version: Version) -> Result<T, PayloadError> {
        self.payload.decode(version)
    }

    /// Checks whether the message is a valid frame of the version in all respects. For messages
    /// whose payload is not decoded.
    ///
    /// # Errors
    /// If it is not.
    pub fn check(&self, version: Version) -> Result<(), FrameError> {
        self.payload.check(version)
    }
}

impl IncomingResult {
    pub(crate) fn from_head(text: &FrameText, head: &Head<'_>) -> Option<Self> {
        let id = MessageId::try_from(head.id).ok()?;
        let place = place(text, head.payload)?;
        Some(Self { id, payload: Payload { frame: text.clone(), place, checked: false } })
    }

    pub(crate) fn from_frame(text: &FrameText, id: MessageId, payload: &str) -> Option<Self> {
        let place = place(text, payload)?;
        Some(Self { id, payload: Payload { frame: text.clone(), place, checked: true } })
    }

    /// The id of the CALL.
    #[must_use]
    pub fn id(&self) -> &MessageId {
        &self.id
    }

    /// The payload. [`IncomingResult::check`] checks whether it is JSON.
    #[must_use]
    pub fn payload(&self) -> &str {
        self.payload.text()
    }

    /// Reads the payload into its type.
    ///
    /// # Errors
    /// If it breaks the schema, or is not JSON.
    pub fn decode<T: DeserializeOwned>(&self, version: Version) -> Result<T, PayloadError> {
        self.payload.decode(version)
    }

    /// Checks whether the message is a valid frame of the version in all respects. For messages
    /// whose payload is not decoded.
    ///
    /// # Errors
    /// If it is not.
    pub fn check(&self, version: Version) -> Result<(), FrameError> {
        self.payload.check(version)
    }
}

#[derive(Clone)]
enum Action {
    InFrame(Range<usize>),
    /// The text was written with escapes.
    Unescaped(Box<str>),
}

impl fmt::Debug for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Action")
    }
}

/// A part of a frame, and whether the whole text is known to be a frame.
#[derive(Clone)]
struct Payload {
    frame: FrameText,
    place: Range<usize>,
    checked: bool,
}

impl Payload {
    fn text(&self) -> &str {
        self.frame.get(self.place.clone()).unwrap_or_default()
    }

    fn decode<T: DeserializeOwned>(&self, version: Version) -> Result<T, PayloadError> {
        match ocpp_types::decode(self.text()) {
            Ok(value) => Ok(value),
            // If the payload is not JSON, the whole text may not be a frame.
            Err(error) => Err(self.check(version).map_or_else(Into::into, |()| error.into())),
        }
    }

    fn check(&self, version: Version) -> Result<(), FrameError> {
        if self.checked {
            return Ok(());
        }
        // The limits were checked when the frame was received.
        let limits = Limits { max_bytes: usize::MAX, max_depth: usize::MAX };
        parse(&self.frame, version, &limits).map(|_| ())
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.frame, formatter)
    }
}

/// The position of a part in a text; `None` if it is not a part of it.
fn place(text: &str, part: &str) -> Option<Range<usize>> {
    let begin = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let end = begin.checked_add(part.len())?;
    (end <= text.len()).then_some(begin..end)
}
