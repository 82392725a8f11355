//! The inputs and outputs of a session.

use std::borrow::Cow;
use std::fmt;

use ocpp_types::RpcErrorCode;
use serde_json::value::RawValue;

use crate::frame::{FrameError, Incoming, IncomingResult};
use crate::message_id::MessageId;
use crate::session::retry::Retry;

/// Identifies a CALL of this side within its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey(pub(super) u64);

/// A CALL or a SEND that this side makes.
pub struct Outgoing {
    pub(super) action: Cow<'static, str>,
    pub(super) payload: String,
    pub(super) id: Option<MessageId>,
    pub(super) retry: Option<Retry>,
}

impl Outgoing {
    /// A message with a payload that is not checked further.
    #[must_use]
    pub fn new(action: impl Into<Cow<'static, str>>, payload: &RawValue) -> Self {
        Self::written(action, payload.get().to_owned())
    }

    /// `payload` is a JSON object.
    pub(crate) fn written(action: impl Into<Cow<'static, str>>, payload: String) -> Self {
        Self { action: action.into(), payload, id: None, retry: None }
    }

    /// The action of the message.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.action
    }

    /// Sends the message with this id, as is permitted for a message that is repeated on another
    /// connection (2.0.1 errata 2024-09, 4.1.4). Without it the session generates an id.
    #[must_use]
    pub fn with_id(self, id: MessageId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// Sends a CALL again if it fails. A SEND is always sent once.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        Self { retry: Some(retry), ..self }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Outgoing")
            .field("action", &self.action)
            .field("id", &self.id)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// A frame to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transmit {
    /// Its kind.
    pub kind: TransmitKind,
    /// The frame.
    pub text: String,
}

/// The kind of a frame to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransmitKind {
    /// A CALL of this side.
    Call {
        /// Which one.
        key: CallKey,
        /// Its message id.
        id: MessageId,
    },
    /// A SEND of this side.
    Send(MessageId),
    /// The answer that the application gave to a CALL of the peer.
    Answer(MessageId),
    /// A CALLERROR of the session itself.
    Refusal,
    /// A CALLRESULTERROR: the peer's response cannot be processed.
    ResultRefusal(MessageId),
}

/// An event for the application.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The peer sent a CALL. Answer it with [`Session::answer`](super::Session::answer). The next
    /// one follows after that.
    Call(Incoming),
    /// The peer sent a message that is not answered (2.1).
    Send(Incoming),
    /// The deadline for an answer has passed; InternalError was sent in its place.
    AnswerOverdue {
        /// The id of the CALL.
        id: MessageId,
    },
    /// A CALL of this side has ended.
    CallEnded {
        /// Which one.
        key: CallKey,
        /// How it ended.
        outcome: CallOutcome,
    },
    /// A CALL of this side has failed, and will be sent again.
    CallRetried {
        /// Which one.
        key: CallKey,
        /// How often it has been sent so far.
        attempts: u32,
    },
    /// The peer sent a text that is not a frame, or a frame that is not permitted. It was answered
    /// as far as an answer is permitted.
    Refused(FrameError),
    /// The peer sent a message that it may not send before BootNotification is accepted, or that
    /// this side may not accept before (B01.FR.08, B02.FR.02, B03.FR.07). A CALL was answered with
    /// SecurityError, a SEND was dropped.
    NotAccepted {
        /// The id of the message.
        id: MessageId,
        /// Its action, as the peer wrote it.
        action: String,
    },
    /// An answer that no CALL waits for: it is too late, or was never requested. It was ignored.
    UnmatchedAnswer {
        /// The id in the answer.
        id: MessageId,
        /// The code, if it was a CALLERROR.
        code: Option<RpcErrorCode>,
    },
    /// The peer could not process a response of this side (CALLRESULTERROR, 2.1). It is not
    /// answered.
    ResultRefused {
        /// The id of the CALL that the response belonged to.
        id: MessageId,
        /// The peer's code.
        code: RpcErrorCode,
        /// The peer's description.
        description: String,
    },
}

/// How a CALL of this side ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallOutcome {
    /// With a CALLRESULT. If its payload cannot be decoded, call
    /// [`Session::refuse_result`](super::Session::refuse_result).
    Result(IncomingResult),
    /// With a CALLERROR.
    Error {
        /// The peer's code.
        code: RpcErrorCode,
        /// The peer's description.
        description: String,
        /// The peer's details, a JSON object.
        details: Box<RawValue>,
    },
    /// With an answer that is not a frame.
    Unreadable(FrameError),
    /// Without an answer in time.
    Timeout,
    /// The CALL was not sent: this side may not send it before BootNotification is accepted, or
    /// after it was rejected.
    NotAccepted,
    /// With the end of the connection.
    Disconnected,
}

/// The answer of the application to a CALL of the peer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// A CALLRESULT with this payload.
    Result(Box<RawValue>),
    /// A CALLERROR.
    Error {
        /// What went wrong.
        code: RpcErrorCode,
        /// For people; cut to 255 characters.
        description: String,
    },
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallRefused {
    /// The number of waiting calls has reached the limit.
    #[error("{max} messages are waiting already")]
    QueueFull {
        /// The limit.
        max: usize,
    },
    /// The frame would be longer than the limit that a peer must accept.
    #[error("the frame has {bytes} bytes, at most {max} may be sent")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A SEND before BootNotification is accepted. A CALL is queued, because it may be permitted
    /// when its turn comes.
    #[error("the message may not be sent before BootNotification is accepted")]
    NotAccepted,
    /// A SEND in a version without such messages.
    #[error("only OCPP 2.1 has messages without an answer")]
    NoSend,
    /// The connection has ended.
    #[error("the connection is closed")]
    Disconnected,
}

/// Why an answer was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerRefused {
    /// The CALL is already answered, or was never made.
    #[error("the CALL no longer waits for an answer")]
    Overdue,
    /// The frame would be longer than the limit that a peer must accept.
    #[error("the answer has {bytes} bytes, at most {max} may be sent")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}
