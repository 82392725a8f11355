//! One OCPP-J connection as a state machine, without IO and with the time as an argument.
//!
//! The order of calls: hand in what happened (`handle_text`, `call`, `answer`, `handle_timeout`, `disconnect`), then
//! take out what follows until nothing is left (`poll_transmit`, `poll_event`), then sleep until `poll_timeout`.

mod settings;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Instant;

use ocpp_types::{RpcErrorCode, Version};
use serde_json::value::RawValue;

use crate::frame::{self, Frame, FrameError};
use crate::message_id::{MessageId, MessageIds};

pub use crate::session::settings::{Counters, SessionSettings};

/// Both directions of a connection: the CALLs of this side and those of the peer.
///
/// Invariant: at most one CALL of this side waits for its answer (2.0.1 Part 4, 4.1.1; FR.01), and at most one CALL
/// of the peer is being answered. Each accepted `call` ends in exactly one [`Event::CallEnded`].
#[derive(Debug)]
pub struct Session {
    version: Version,
    settings: SessionSettings,
    ids: MessageIds,
    next_key: u64,
    queue: VecDeque<Queued>,
    in_flight: Option<InFlight>,
    waiting: VecDeque<Incoming>,
    answering: Option<Answering>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    counters: Counters,
    disconnected: bool,
}

/// Names a CALL of this side within its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey(u64);

/// A frame to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transmit {
    /// What it is.
    pub kind: TransmitKind,
    /// The frame.
    pub text: String,
}

/// What a frame to be sent is.
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
    /// The answer that the application gave to a CALL of the peer.
    Answer(MessageId),
    /// A CALLERROR of the session itself.
    Refusal,
}

/// Something that the application has to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The peer calls; answer with [`Session::answer`]. The next one comes after that.
    Call {
        /// The id of the CALL.
        id: MessageId,
        /// Its action, not yet known to exist.
        action: String,
        /// Its payload, a JSON object.
        payload: Box<RawValue>,
    },
    /// The deadline for an answer has passed; InternalError was sent in its place.
    AnswerOverdue {
        /// The id of the CALL.
        id: MessageId,
    },
    /// A CALL of this side is over.
    CallEnded {
        /// Which one.
        key: CallKey,
        /// How it ended.
        outcome: CallOutcome,
    },
    /// The peer sent something that is not a frame, or not one that is permitted; it was answered as far as it may be.
    Refused(FrameError),
    /// An answer to nothing: too late, or never asked for. It was ignored.
    UnmatchedAnswer {
        /// The id in the answer.
        id: MessageId,
        /// The code, if it was a CALLERROR.
        code: Option<RpcErrorCode>,
    },
}

/// How a CALL of this side ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallOutcome {
    /// With a CALLRESULT.
    Result(Box<RawValue>),
    /// With a CALLERROR.
    Error {
        /// The peer's code.
        code: RpcErrorCode,
        /// The peer's description.
        description: String,
        /// The peer's details.
        details: Box<RawValue>,
    },
    /// Without an answer in time.
    Timeout,
    /// With the connection.
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

/// Why a call is not taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallRefused {
    /// As many calls wait as the settings permit.
    #[error("{max} calls are waiting already")]
    QueueFull {
        /// The limit.
        max: usize,
    },
    /// The frame would be longer than a peer has to accept.
    #[error("the frame has {bytes} bytes, at most {max} may be sent")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The connection is over.
    #[error("the connection is closed")]
    Disconnected,
}

/// Why an answer was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerRefused {
    /// The CALL is answered already, or was never made.
    #[error("the CALL does not wait for an answer any more")]
    Overdue,
    /// The frame would be longer than a peer has to accept.
    #[error("the answer has {bytes} bytes, at most {max} may be sent")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}

#[derive(Debug)]
struct Queued {
    key: CallKey,
    id: MessageId,
    text: String,
}

#[derive(Debug)]
struct InFlight {
    key: CallKey,
    id: MessageId,
    deadline: Instant,
}

#[derive(Debug)]
struct Incoming {
    id: MessageId,
    action: String,
    payload: Box<RawValue>,
}

#[derive(Debug)]
struct Answering {
    id: MessageId,
    deadline: Instant,
}

impl Session {
    /// A session of a connection that was just opened. `seed` has to be random: it makes the message ids unique.
    #[must_use]
    pub fn new(version: Version, settings: SessionSettings, seed: [u8; 16]) -> Self {
        Self {
            version,
            settings,
            ids: MessageIds::new(seed),
            next_key: 0,
            queue: VecDeque::new(),
            in_flight: None,
            waiting: VecDeque::new(),
            answering: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
            disconnected: false,
        }
    }

    /// Takes in a text frame of the peer.
    pub fn handle_text(&mut self, now: Instant, text: &str) {
        match frame::parse(text, &self.settings.limits) {
            Ok(Frame::Call { id, action, payload }) => {
                self.handle_call(now, Incoming { id, action, payload })
            }
            Ok(Frame::CallResult { id, payload }) => {
                self.end_in_flight(now, id, None, |_| CallOutcome::Result(payload));
            }
            Ok(Frame::CallError { id, code, description, details }) => {
                self.end_in_flight(now, id, Some(code), |code| CallOutcome::Error {
                    code: code.unwrap_or(RpcErrorCode::GenericError),
                    description,
                    details,
                });
            }
            Err(error) => {
                self.counters.invalid_frames += 1;
                if let Some((id, code)) = error.answer() {
                    self.refuse(&id, &code, &error.to_string());
                }
                self.events.push_back(Event::Refused(error));
            }
        }
    }

    /// Queues a CALL. It is sent when those before it are answered or have timed out.
    ///
    /// # Errors
    /// If the queue is full, the frame too long, or the connection over. Nothing was queued then.
    pub fn call(
        &mut self,
        now: Instant,
        action: impl Into<Cow<'static, str>>,
        payload: &RawValue,
    ) -> Result<CallKey, CallRefused> {
        if self.disconnected {
            return Err(CallRefused::Disconnected);
        }
        if self.queue.len() >= self.settings.max_queued_calls {
            return Err(CallRefused::QueueFull { max: self.settings.max_queued_calls });
        }
        let id = self.ids.next_id();
        let text = frame::encode_call(&id, &action.into(), payload);
        let max = self.settings.limits.max_bytes;
        if text.len() > max {
            return Err(CallRefused::TooLarge { bytes: text.len(), max });
        }
        let key = CallKey(self.next_key);
        self.next_key += 1;
        self.queue.push_back(Queued { key, id, text });
        self.send_next_call(now);
        Ok(key)
    }

    /// Answers the CALL of the peer that is being answered.
    ///
    /// # Errors
    /// If the deadline has passed, and the CALL is answered already; or if the answer is too long, in which case
    /// InternalError is sent in its place.
    pub fn answer(&mut self, now: Instant, id: &MessageId, answer: Answer) -> Result<(), AnswerRefused> {
        if self.answering.as_ref().is_none_or(|answering| answering.id != *id) {
            return Err(AnswerRefused::Overdue);
        }
        let text = match answer {
            Answer::Result(payload) => frame::encode_call_result(id, &payload),
            Answer::Error { code, description } => {
                frame::encode_call_error(self.version, id, &code, &description, &frame::no_details())
            }
        };
        let max = self.settings.limits.max_bytes;
        let outcome = if text.len() <= max {
            self.transmits.push_back(Transmit { kind: TransmitKind::Answer(id.clone()), text });
            Ok(())
        } else {
            self.refuse(id, &RpcErrorCode::InternalError, "the response is longer than a frame may be");
            Err(AnswerRefused::TooLarge { bytes: text.len(), max })
        };
        self.answering = None;
        self.answer_next(now);
        outcome
    }

    /// Ends what has waited too long. Call it when the time of [`Session::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(in_flight) = self.in_flight.take_if(|in_flight| in_flight.deadline <= now) {
            self.counters.timeouts += 1;
            self.events.push_back(Event::CallEnded { key: in_flight.key, outcome: CallOutcome::Timeout });
            self.send_next_call(now);
        }
        if let Some(answering) = self.answering.take_if(|answering| answering.deadline <= now) {
            self.refuse(&answering.id, &RpcErrorCode::InternalError, "no answer in time");
            self.events.push_back(Event::AnswerOverdue { id: answering.id });
            self.answer_next(now);
        }
    }

    /// Ends the session: every call of this side ends, and nothing is sent any more.
    pub fn disconnect(&mut self) {
        self.disconnected = true;
        let in_flight = self.in_flight.take().map(|in_flight| in_flight.key);
        let keys = in_flight.into_iter().chain(self.queue.drain(..).map(|queued| queued.key));
        self.events.extend(keys.map(|key| Event::CallEnded { key, outcome: CallOutcome::Disconnected }));
        self.waiting.clear();
        self.answering = None;
        self.transmits.clear();
    }

    /// The next frame to be sent.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next event.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Session::handle_timeout`] is to be called, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let call = self.in_flight.as_ref().map(|in_flight| in_flight.deadline);
        let answer = self.answering.as_ref().map(|answering| answering.deadline);
        call.into_iter().chain(answer).min()
    }

    /// Whether a CALL of the peer is still to be answered.
    #[must_use]
    pub fn is_answering(&self) -> bool {
        self.answering.is_some()
    }

    /// What happened so far that should not have.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn handle_call(&mut self, now: Instant, incoming: Incoming) {
        if self.disconnected {
            return;
        }
        let answering = self.answering.as_ref().map(|answering| &answering.id);
        if answering.into_iter().chain(self.waiting.iter().map(|call| &call.id)).any(|id| *id == incoming.id)
        {
            // The same CALL again: the one answer that will come is the answer to both.
            self.counters.repeated_calls += 1;
            return;
        }
        // A peer should wait for its answer, but its patience may be shorter than a handler takes; a few are kept
        // and answered in order.
        if self.waiting.len() >= self.settings.max_waiting_calls {
            self.counters.refused_calls += 1;
            self.refuse(
                &incoming.id,
                &RpcErrorCode::GenericError,
                "too many CALLs at once; wait for the answer to one before sending the next",
            );
            return;
        }
        self.waiting.push_back(incoming);
        self.answer_next(now);
    }

    fn answer_next(&mut self, now: Instant) {
        if self.answering.is_some() {
            return;
        }
        if let Some(Incoming { id, action, payload }) = self.waiting.pop_front() {
            let deadline = now + self.settings.answer_deadline;
            self.answering = Some(Answering { id: id.clone(), deadline });
            self.events.push_back(Event::Call { id, action, payload });
        }
    }

    fn send_next_call(&mut self, now: Instant) {
        // 2.0.1 Part 4, 4.1.1: one CALL in flight per direction.
        if self.in_flight.is_some() {
            return;
        }
        if let Some(Queued { key, id, text }) = self.queue.pop_front() {
            let deadline = now + self.settings.call_timeout;
            self.in_flight = Some(InFlight { key, id: id.clone(), deadline });
            self.transmits.push_back(Transmit { kind: TransmitKind::Call { key, id }, text });
        }
    }

    fn end_in_flight(
        &mut self,
        now: Instant,
        id: MessageId,
        code: Option<RpcErrorCode>,
        outcome: impl FnOnce(Option<RpcErrorCode>) -> CallOutcome,
    ) {
        match self.in_flight.take_if(|in_flight| in_flight.id == id) {
            Some(in_flight) => {
                self.events.push_back(Event::CallEnded { key: in_flight.key, outcome: outcome(code) });
                self.send_next_call(now);
            }
            None => {
                self.counters.unmatched_answers += 1;
                self.events.push_back(Event::UnmatchedAnswer { id, code });
            }
        }
    }

    fn refuse(&mut self, id: &MessageId, code: &RpcErrorCode, description: &str) {
        if !self.disconnected {
            let text = frame::encode_call_error(self.version, id, code, description, &frame::no_details());
            self.transmits.push_back(Transmit { kind: TransmitKind::Refusal, text });
        }
    }
}
