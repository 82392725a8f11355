//! The metrics of a CSMS or a station, through the facade of the crate [`metrics`].
//!
//! To collect the metrics, install a recorder of that crate before
//! [`Csms::bind`](crate::Csms::bind) or [`connect`](crate::connect). Without a recorder nothing is
//! kept. `role` is this side, `csms` or `station`.
//!
//! | name | kind | unit | labels |
//! |---|---|---|---|
//! | [`CONNECTIONS`] `ocpp_connections` | gauge | open connections | `role`, `version`, `profile` |
//! | [`DISCONNECTIONS`] `ocpp_disconnections_total` | counter | connections that were open | `role`, `reason` |
//! | [`HANDSHAKES_REFUSED`] `ocpp_handshakes_refused_total` | counter | connections that were not opened | `role`, `reason` |
//! | [`CALLS`] `ocpp_calls_total` | counter | calls that have ended | `role`, `direction`, `version`, `action`, `outcome` |
//! | [`CALL_SECONDS`] `ocpp_call_duration_seconds` | histogram | seconds: from receipt to answer for the peer's calls, from request to answer for calls of this side | `role`, `direction`, `version`, `action` |
//! | [`PAYLOAD_BYTES`] `ocpp_frame_bytes_total` | counter | bytes of text frames, before compression | `role`, `direction` |
//! | [`WIRE_BYTES`] `ocpp_wire_bytes_total` | counter | bytes on TCP or TLS: compressed, with heads and pings | `role`, `direction` |
//! | [`FRAMES_REFUSED`] `ocpp_frames_refused_total` | counter | texts of peers that are not frames | `role`, `reason` |
//! | [`RATE_LIMITED`] `ocpp_rate_limited_total` | counter | times that reading from a peer was paused | `role` |
//! | [`UNMATCHED_ANSWERS`] `ocpp_unmatched_answers_total` | counter | answers that no CALL waited for | `role` |
//!
//! The labels have few values, whatever a peer sends:
//!
//! * `direction` is `in` for what the peer sent and `out` for what this side sent.
//! * `version` is `1.6`, `2.0.1` or `2.1`; `profile` is `1`, `2` or `3`, the security profile.
//! * `action` is an action of the version, or `other` if the version does not have it.
//! * `outcome` is `ok`, the code of the CALLERROR as OCPP 2.1 spells it (`other` for a code that no
//!   version has), `disconnected`, or, for calls of this side, `timeout`, `invalid_response` or
//!   `not_accepted`.
//! * `reason` is one of a fixed list for each version of this crate, such as `bad_credentials`.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use ::metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use ocpp_types::{RpcErrorCode, Version};

use crate::connection::close::{Close, CloseReason};
use crate::connection::profile::SecurityProfile;
use crate::connection::tap::Direction;
use crate::frame::{Fault, FrameError};
use crate::session::{CallOutcome, Role};

/// Open connections.
pub const CONNECTIONS: &str = "ocpp_connections";
/// Connections that were opened and have closed.
pub const DISCONNECTIONS: &str = "ocpp_disconnections_total";
/// Connections that were not opened.
pub const HANDSHAKES_REFUSED: &str = "ocpp_handshakes_refused_total";
/// Calls that have ended.
pub const CALLS: &str = "ocpp_calls_total";
/// The duration of calls in seconds: from receipt to answer for the peer's calls, from the request
/// to the answer for calls of this side.
pub const CALL_SECONDS: &str = "ocpp_call_duration_seconds";
/// Bytes of text frames, before compression.
pub const PAYLOAD_BYTES: &str = "ocpp_frame_bytes_total";
/// Bytes on TCP or TLS: after compression, with the heads of the WebSocket frames, pings and
/// closes.
pub const WIRE_BYTES: &str = "ocpp_wire_bytes_total";
/// Texts of peers that could not be processed as frames.
pub const FRAMES_REFUSED: &str = "ocpp_frames_refused_total";
/// How often a peer sent faster than its rate, so that reading was paused.
pub const RATE_LIMITED: &str = "ocpp_rate_limited_total";
/// Answers that no CALL waits for, or no longer.
pub const UNMATCHED_ANSWERS: &str = "ocpp_unmatched_answers_total";

/// Describes each metric to the installed recorder.
pub fn describe() {
    describe_gauge!(CONNECTIONS, Unit::Count, "Open connections");
    describe_counter!(DISCONNECTIONS, Unit::Count, "Connections that were opened and have closed");
    describe_counter!(HANDSHAKES_REFUSED, Unit::Count, "Connections that were not opened");
    describe_counter!(CALLS, Unit::Count, "Calls that have ended");
    describe_histogram!(CALL_SECONDS, Unit::Seconds, "Time from the CALL to its end");
    describe_counter!(PAYLOAD_BYTES, Unit::Bytes, "Bytes of text frames, before compression");
    describe_counter!(WIRE_BYTES, Unit::Bytes, "Bytes that TCP or TLS carries, after compression");
    describe_counter!(FRAMES_REFUSED, Unit::Count, "Texts of peers that could not be processed as frames");
    describe_counter!(RATE_LIMITED, Unit::Count, "Times that reading from a peer was paused");
    describe_counter!(UNMATCHED_ANSWERS, Unit::Count, "Answers that no CALL waited for");
}

/// The metrics of one CSMS, or of one connection of a station. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    role: &'static str,
    /// Kept by action, because finding a handle by its labels costs as much as reading a frame.
    /// Actions that a peer invents are not kept, so the number is bounded by the versions.
    calls: RwLock<HashMap<CallKind, HashMap<String, Arc<CallHandles>>>>,
    payload: PerDirection,
    wire: PerDirection,
    rate_limited: Counter,
    unmatched_answers: Counter,
}

type CallKind = (Direction, Version);

struct PerDirection {
    incoming: Counter,
    outgoing: Counter,
}

struct CallHandles {
    role: &'static str,
    kind: CallKind,
    action: String,
    seconds: Histogram,
    ok: Counter,
}

/// Counts one connection as open until it is dropped.
pub(crate) struct OpenConnection(Gauge);

/// A running call. If it is dropped before its end, its connection was cut.
pub(crate) struct CallTimer {
    handles: Arc<CallHandles>,
    started: Option<Instant>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallEnd {
    /// With a response.
    Ok,
    /// With a CALLERROR, in either direction.
    Error(RpcErrorCode),
    /// With a response that breaks its schema.
    InvalidResponse,
    /// Without an answer in time.
    Timeout,
    /// It was not sent, because BootNotification was not accepted.
    NotAccepted,
    /// With the end of its connection.
    Disconnected,
}

impl Metrics {
    /// Uses the recorder that is installed now.
    pub(crate) fn new(role: Role) -> Self {
        describe();
        let role = match role {
            Role::Csms => "csms",
            Role::ChargingStation => "station",
        };
        let bytes = |name| PerDirection {
            incoming: counter!(name, "role" => role, "direction" => "in"),
            outgoing: counter!(name, "role" => role, "direction" => "out"),
        };
        Self(Arc::new(Inner {
            role,
            calls: RwLock::default(),
            payload: bytes(PAYLOAD_BYTES),
            wire: bytes(WIRE_BYTES),
            rate_limited: counter!(RATE_LIMITED, "role" => role),
            unmatched_answers: counter!(UNMATCHED_ANSWERS, "role" => role),
        }))
    }

    /// The connection counts as open until the returned value is dropped.
    #[must_use]
    pub(crate) fn opened(&self, version: Version, profile: SecurityProfile) -> OpenConnection {
        let gauge = gauge!(
            CONNECTIONS, "role" => self.0.role, "version" => number(version),
            "profile" => profile.number().to_string()
        );
        gauge.increment(1);
        OpenConnection(gauge)
    }

    /// An open connection was closed.
    pub(crate) fn closed(&self, reason: &CloseReason) {
        let reason = match reason {
            CloseReason::Local(Close::Normal) => "closed",
            CloseReason::Local(Close::GoingAway) => "going_away",
            CloseReason::Local(Close::PolicyViolation) => "policy_violation",
            CloseReason::Local(Close::Replaced) => "replaced",
            CloseReason::Peer { .. } => "closed_by_peer",
            CloseReason::Lost { .. } => "lost",
            CloseReason::PingTimeout => "ping_timeout",
            CloseReason::WriteTimeout => "write_timeout",
            CloseReason::Misbehaved { .. } => "misbehaved",
            CloseReason::Dropped => "dropped",
        };
        counter!(DISCONNECTIONS, "role" => self.0.role, "reason" => reason).increment(1);
    }

    /// A connection was not opened.
    pub(crate) fn handshake_refused(&self, reason: &'static str) {
        counter!(HANDSHAKES_REFUSED, "role" => self.0.role, "reason" => reason).increment(1);
    }

    /// A call begins: the peer's when it is received, this side's when it is requested.
    #[must_use]
    pub(crate) fn call(
        &self,
        direction: Direction,
        version: Version,
        action: &str,
        now: Instant,
    ) -> CallTimer {
        CallTimer { handles: self.call_handles((direction, version), action), started: Some(now) }
    }

    /// A text frame was received or sent.
    pub(crate) fn frame(&self, direction: Direction, text: &str) {
        self.0.payload.of(direction).increment(text.len() as u64);
    }

    /// Bytes were received from or sent to TCP or TLS.
    pub(crate) fn wire(&self, direction: Direction, bytes: usize) {
        self.0.wire.of(direction).increment(bytes as u64);
    }

    /// A text of the peer could not be processed as a frame.
    pub(crate) fn frame_refused(&self, error: &FrameError) {
        let reason = match error.fault {
            Fault::TooLarge { .. } => "too_large",
            Fault::TooDeep { .. } => "too_deep",
            Fault::NotAnArray => "not_an_array",
            Fault::MessageType | Fault::UnknownMessageType { .. } => "message_type",
            Fault::MessageId => "message_id",
            Fault::ElementCount { .. } => "element_count",
            Fault::Action => "action",
            Fault::Payload => "payload",
            Fault::Code => "code",
        };
        counter!(FRAMES_REFUSED, "role" => self.0.role, "reason" => reason).increment(1);
    }

    /// The peer sent faster than it may.
    pub(crate) fn rate_limited(&self) {
        self.0.rate_limited.increment(1);
    }

    /// An answer that no CALL waits for was ignored.
    pub(crate) fn unmatched_answer(&self) {
        self.0.unmatched_answers.increment(1);
    }

    fn call_handles(&self, kind: CallKind, action: &str) -> Arc<CallHandles> {
        {
            let calls = self.0.calls.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(handles) = calls.get(&kind).and_then(|calls| calls.get(action)) {
                return Arc::clone(handles);
            }
        }
        let handles = Arc::new(CallHandles::new(self.0.role, kind, known(kind.1, action)));
        if handles.action == action {
            let mut calls = self.0.calls.write().unwrap_or_else(PoisonError::into_inner);
            calls.entry(kind).or_default().insert(action.to_owned(), Arc::clone(&handles));
        }
        handles
    }
}

impl CallHandles {
    fn new(role: &'static str, kind: CallKind, action: &str) -> Self {
        let seconds = histogram!(
            CALL_SECONDS, "role" => role, "direction" => label(kind.0), "version" => number(kind.1),
            "action" => action.to_owned()
        );
        let ok = counter(role, kind, action, "ok");
        Self { role, kind, action: action.to_owned(), seconds, ok }
    }
}

impl CallTimer {
    /// The call has ended.
    pub(crate) fn end(mut self, now: Instant, end: &CallEnd) {
        if let Some(started) = self.started.take() {
            self.handles.seconds.record(now.saturating_duration_since(started));
        }
        self.count(end);
    }

    fn count(&self, end: &CallEnd) {
        let CallHandles { role, kind, action, ok, .. } = self.handles.as_ref();
        match end {
            CallEnd::Ok => ok.increment(1),
            failed => counter(role, *kind, action, failed.label()).increment(1),
        }
    }
}

impl Drop for CallTimer {
    fn drop(&mut self) {
        if self.started.is_some() {
            self.count(&CallEnd::Disconnected);
        }
    }
}

impl CallEnd {
    /// The end of a CALL of this side, as its session reports it.
    pub(crate) fn of(outcome: &CallOutcome) -> Self {
        match outcome {
            CallOutcome::Result(_) => Self::Ok,
            CallOutcome::Error { code, .. } => Self::Error(code.clone()),
            CallOutcome::Unreadable(_) => Self::InvalidResponse,
            CallOutcome::Timeout => Self::Timeout,
            CallOutcome::NotAccepted => Self::NotAccepted,
            CallOutcome::Disconnected => Self::Disconnected,
        }
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::InvalidResponse => "invalid_response",
            Self::Timeout => "timeout",
            Self::NotAccepted => "not_accepted",
            Self::Disconnected => "disconnected",
            Self::Error(code) => match code {
                RpcErrorCode::NotImplemented => "NotImplemented",
                RpcErrorCode::NotSupported => "NotSupported",
                RpcErrorCode::InternalError => "InternalError",
                RpcErrorCode::ProtocolError => "ProtocolError",
                RpcErrorCode::SecurityError => "SecurityError",
                RpcErrorCode::FormatViolation => "FormatViolation",
                RpcErrorCode::PropertyConstraintViolation => "PropertyConstraintViolation",
                RpcErrorCode::OccurrenceConstraintViolation => "OccurrenceConstraintViolation",
                RpcErrorCode::TypeConstraintViolation => "TypeConstraintViolation",
                RpcErrorCode::GenericError => "GenericError",
                RpcErrorCode::MessageTypeNotSupported => "MessageTypeNotSupported",
                RpcErrorCode::RpcFrameworkError => "RpcFrameworkError",
                _ => OTHER,
            },
        }
    }
}

impl PerDirection {
    fn of(&self, direction: Direction) -> &Counter {
        match direction {
            Direction::In => &self.incoming,
            Direction::Out => &self.outgoing,
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").field("role", &self.0.role).finish_non_exhaustive()
    }
}

fn counter(role: &'static str, kind: CallKind, action: &str, outcome: &'static str) -> Counter {
    counter!(
        CALLS, "role" => role, "direction" => label(kind.0), "version" => number(kind.1),
        "action" => action.to_owned(), "outcome" => outcome
    )
}

fn label(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "in",
        Direction::Out => "out",
    }
}

/// `2.0.1` of `ocpp2.0.1`.
fn number(version: Version) -> &'static str {
    version.subprotocol().trim_start_matches("ocpp")
}

/// The action, if the version has it.
fn known(version: Version, action: &str) -> &str {
    let known = match version {
        #[cfg(feature = "v16")]
        Version::V16 => ocpp_types::v16::sender(action).is_some(),
        #[cfg(feature = "v201")]
        Version::V201 => ocpp_types::v201::sender(action).is_some(),
        #[cfg(feature = "v21")]
        Version::V21 => ocpp_types::v21::sender(action).is_some(),
        #[allow(unreachable_patterns, reason = "unless a version is left out of the build")]
        _ => false,
    };
    if known { action } else { OTHER }
}

/// The label of values that a peer invents.
const OTHER: &str = "other";
