//! One OCPP-J connection as a state machine, without IO, and with the time as an argument.
//!
//! The order of calls: pass the inputs in (`handle_text`, `call`, `send`, `answer`,
//! `handle_timeout`, `disconnect`), then take the outputs until none is left (`poll_transmit`,
//! `poll_event`), then sleep until `poll_timeout`.

mod event;
mod fifo;
mod gate;
mod queue;
mod retry;
mod settings;

use std::collections::VecDeque;
use std::time::Instant;

use ocpp_types::{RpcErrorCode, Version};

use crate::frame::{
    self, Frame, FrameError, FrameText, Incoming, IncomingResult, MessageKind, Refused, check_limits,
};
use crate::message_id::{MessageId, MessageIds};
use crate::session::fifo::Fifo;
use crate::session::gate::{BOOT, Gate};
use crate::session::queue::{Next, Queue, Queued, Retrying};

pub use crate::session::event::{
    Answer, AnswerRefused, CallKey, CallOutcome, CallRefused, Event, Outgoing, Transmit, TransmitKind,
};
pub use crate::session::gate::{Registration, Role};
pub use crate::session::retry::Retry;
pub use crate::session::settings::{Counters, SessionSettings};

/// Both directions of a connection: the messages of this side and those of the peer.
///
/// Invariant: at most one CALL of this side waits for its answer (2.0.1 Part 4, 4.1.1; FR.01), and
/// at most one CALL of the peer is being answered. Each accepted `call` ends in exactly one
/// [`Event::CallEnded`].
#[derive(Debug)]
pub struct Session {
    version: Version,
    settings: SessionSettings,
    gate: Gate,
    ids: MessageIds,
    next_key: u64,
    queue: Queue,
    in_flight: Option<InFlight>,
    waiting: VecDeque<Incoming>,
    answering: Option<Answering>,
    transmits: Fifo<Transmit>,
    events: Fifo<Event>,
    counters: Counters,
    disconnected: bool,
}

#[derive(Debug)]
struct InFlight {
    /// Its text is empty unless it may be sent again.
    call: Queued,
    deadline: Instant,
}

#[derive(Debug)]
struct Answering {
    id: MessageId,
    is_boot: bool,
    deadline: Instant,
}

impl Session {
    /// A session of a connection that was just opened. `seed` must be random, because it makes the
    /// message ids unique.
    #[must_use]
    pub fn new(role: Role, version: Version, settings: SessionSettings, seed: [u8; 16]) -> Self {
        Self {
            version,
            settings,
            gate: Gate::new(role, Registration::default()),
            ids: MessageIds::new(seed),
            next_key: 0,
            queue: Queue::default(),
            in_flight: None,
            waiting: VecDeque::new(),
            answering: None,
            transmits: Fifo::new(),
            events: Fifo::new(),
            counters: Counters::default(),
            disconnected: false,
        }
    }

    /// Begins with another state of the registration than [`Registration::Accepted`]. After that
    /// the session follows the answers to BootNotification itself.
    #[must_use]
    pub fn with_registration(self, registration: Registration) -> Self {
        let gate = Gate::new(self.gate.role(), registration);
        Self { gate, ..self }
    }

    /// Processes a text frame of the peer.
    pub fn handle_text(&mut self, now: Instant, text: impl Into<FrameText>) {
        if self.disconnected {
            return;
        }
        let text = text.into();
        if let Err(error) = check_limits(&text, &self.settings.limits) {
            return self.handle_invalid(now, error);
        }
        // The payload of a usual frame is not parsed here. Its decoder finds whether it is JSON.
        if let Some(head) = frame::head(&text) {
            let taken = match head.kind {
                MessageKind::CallResult => {
                    IncomingResult::from_head(&text, &head).map(|result| self.handle_result(now, result))
                }
                MessageKind::Call => {
                    Incoming::from_head(&text, &head).map(|incoming| self.handle_call(now, incoming))
                }
                kind if kind.is_in(self.version) => {
                    Incoming::from_head(&text, &head).map(|incoming| self.handle_send(incoming))
                }
                _ => None,
            };
            if taken.is_some() {
                return;
            }
        }
        match frame::parse(&text, self.version, &self.settings.limits) {
            Ok(frame) => self.handle_frame(now, &text, frame),
            Err(error) => self.handle_invalid(now, error),
        }
    }

    /// Queues a CALL. It is sent when the earlier ones are answered or have timed out. If it may
    /// not be sent then, because BootNotification is not accepted, it ends with
    /// [`CallOutcome::NotAccepted`], or waits if it has a retry policy.
    ///
    /// # Errors
    /// If the queue is full, the frame is too long, or the connection has ended. Nothing was queued
    /// then.
    pub fn call(&mut self, now: Instant, call: Outgoing) -> Result<CallKey, CallRefused> {
        if self.disconnected {
            return Err(CallRefused::Disconnected);
        }
        // A CALL in flight that may be sent again keeps its place in the queue.
        let kept = self.in_flight.as_ref().map(|in_flight| usize::from(in_flight.call.retry.is_some()));
        let waiting = self.queue.len() + kept.unwrap_or(0);
        let idle = waiting == 0 && kept.is_none();
        if waiting >= self.settings.max_queued_calls && !idle {
            return Err(CallRefused::QueueFull { max: self.settings.max_queued_calls });
        }
        let (id, text) = self.write(MessageKind::Call, &call)?;
        let key = CallKey(self.next_key);
        self.next_key += 1;
        let Outgoing { action, retry, .. } = call;
        self.queue.push(Queued { key, id, action, text, retry: retry.map(Retrying::new) });
        self.send_next_call(now);
        Ok(key)
    }

    /// Sends a message that is not answered (2.1). It does not wait for CALLs, and they do not wait
    /// for it.
    ///
    /// # Errors
    /// If the version has no such messages, the message may not be sent now, too many frames wait
    /// to be sent, the frame is too long, or the connection has ended. Nothing was sent then.
    pub fn send(&mut self, send: Outgoing) -> Result<(), CallRefused> {
        if self.disconnected {
            return Err(CallRefused::Disconnected);
        }
        if !MessageKind::Send.is_in(self.version) {
            return Err(CallRefused::NoSend);
        }
        if !self.gate.may_send(&send.action) {
            return Err(CallRefused::NotAccepted);
        }
        if self.transmits.len() >= SessionSettings::MAX_TRANSMITS {
            return Err(CallRefused::QueueFull { max: SessionSettings::MAX_TRANSMITS });
        }
        let (id, text) = self.write(MessageKind::Send, &send)?;
        self.transmits.push(Transmit { kind: TransmitKind::Send(id), text });
        Ok(())
    }

    /// Answers the CALL of the peer that is being answered.
    ///
    /// # Errors
    /// If the deadline has passed, or if the answer is too long. InternalError is sent in its place
    /// in both cases.
    pub fn answer(&mut self, now: Instant, id: &MessageId, answer: Answer) -> Result<(), AnswerRefused> {
        match answer {
            Answer::Result(payload) => self.answer_result(now, id, payload.get()),
            Answer::Error { code, description } => {
                // The reader of a payload may find that the text is not a frame.
                self.counters.invalid_frames += u64::from(code == RpcErrorCode::RpcFrameworkError);
                let text = frame::call_error(self.version, id, &code, &description, None);
                self.finish_answer(now, id, text, None)
            }
        }
    }

    /// As [`Session::answer`], with a CALLRESULT. `payload` is JSON.
    pub(crate) fn answer_result(
        &mut self,
        now: Instant,
        id: &MessageId,
        payload: &str,
    ) -> Result<(), AnswerRefused> {
        self.finish_answer(now, id, frame::call_result(id, payload), Some(payload))
    }

    /// Reports to the peer that its CALLRESULT could not be processed (FR.06). Only 2.1 has a
    /// message for that; in other versions nothing is sent.
    pub fn refuse_result(&mut self, id: &MessageId, code: &RpcErrorCode, description: &str) {
        if self.disconnected || !MessageKind::CallResultError.is_in(self.version) || !self.has_room() {
            return;
        }
        let text = frame::call_result_error(self.version, id, code, description, None);
        self.transmits.push(Transmit { kind: TransmitKind::ResultRefusal(id.clone()), text });
    }

    /// Ends what has waited too long. To be called at the time of [`Session::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(in_flight) = self.in_flight.take_if(|in_flight| in_flight.deadline <= now) {
            self.counters.timeouts += 1;
            self.end_call(now, in_flight.call, CallOutcome::Timeout);
        }
        if let Some(answering) = self.answering.take_if(|answering| answering.deadline <= now) {
            self.end_overdue(answering.id);
            self.answer_next(now);
        }
        self.send_next_call(now);
    }

    /// Ends the session: every call of this side ends, and nothing is sent any more.
    pub fn disconnect(&mut self) {
        self.disconnected = true;
        let in_flight = self.in_flight.take().map(|in_flight| in_flight.call);
        for call in in_flight.into_iter().chain(self.queue.drain()) {
            self.events.push(Event::CallEnded { key: call.key, outcome: CallOutcome::Disconnected });
        }
        self.waiting.clear();
        self.answering = None;
        self.transmits.clear();
    }

    /// The next frame to be sent.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop()
    }

    /// The next event.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// When [`Session::handle_timeout`] must be called, if nothing happens earlier.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let call = match &self.in_flight {
            Some(in_flight) => Some(in_flight.deadline),
            None => self.queue.next_time(&self.gate),
        };
        let answer = self.answering.as_ref().map(|answering| answering.deadline);
        call.into_iter().chain(answer).min()
    }

    /// Whether a CALL of the peer is not answered yet.
    #[must_use]
    pub fn is_answering(&self) -> bool {
        self.answering.is_some()
    }

    /// How the station's BootNotification was answered.
    #[must_use]
    pub fn registration(&self) -> Registration {
        self.gate.registration()
    }

    /// The faults that were counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// A message of this side as a frame, if it is within the limit.
    fn write(&mut self, kind: MessageKind, message: &Outgoing) -> Result<(MessageId, String), CallRefused> {
        let id = message.id.clone().unwrap_or_else(|| self.ids.next_id());
        let text = frame::request(kind, &id, &message.action, &message.payload);
        let max = self.settings.limits.max_bytes;
        if text.len() > max {
            return Err(CallRefused::TooLarge { bytes: text.len(), max });
        }
        Ok((id, text))
    }

    /// Handles a frame that was parsed as a whole.
    fn handle_frame(&mut self, now: Instant, text: &FrameText, frame: Frame<'_>) {
        match frame {
            Frame::Call { id, action, payload } => {
                if let Some(incoming) = Incoming::from_frame(text, id, &action, payload.get()) {
                    self.handle_call(now, incoming);
                }
            }
            Frame::Send { id, action, payload } => {
                if let Some(incoming) = Incoming::from_frame(text, id, &action, payload.get()) {
                    self.handle_send(incoming);
                }
            }
            Frame::CallResult { id, payload } => {
                if let Some(result) = IncomingResult::from_frame(text, id, payload.get()) {
                    self.handle_result(now, result);
                }
            }
            Frame::CallError(Refused { id, code, description, details }) => match self.take_in_flight(&id) {
                Some(call) => {
                    let details = details.map_or_else(no_details, ToOwned::to_owned);
                    self.end_call(now, call, CallOutcome::Error { code, description, details });
                    self.send_next_call(now);
                }
                None => self.handle_unmatched(id, Some(code)),
            },
            Frame::CallResultError(Refused { id, code, description, .. }) => {
                // 2.1: a CALLRESULTERROR is not answered, and the handler has already run.
                self.counters.refused_results += 1;
                self.events.push(Event::ResultRefused { id, code, description });
            }
        }
    }

    fn handle_call(&mut self, now: Instant, incoming: Incoming) {
        let answering = self.answering.as_ref().map(|answering| &answering.id);
        if answering.into_iter().chain(self.waiting.iter().map(Incoming::id)).any(|id| id == incoming.id()) {
            // The same CALL again: one answer answers both.
            self.counters.repeated_calls += 1;
            return;
        }
        if self.answering.is_none() {
            return self.take_up(now, incoming);
        }
        // A peer should wait for its answer, but its timeout may be shorter than a handler takes. A
        // few CALLs are kept and answered in order.
        if self.waiting.len() >= self.settings.max_waiting_calls {
            self.counters.refused_calls += 1;
            self.refuse(
                incoming.id(),
                &RpcErrorCode::GenericError,
                "too many CALLs at once; wait for the answer to one before sending the next",
            );
            return;
        }
        self.waiting.push_back(incoming);
    }

    /// Begins to answer a CALL, while no other one is being answered.
    fn take_up(&mut self, now: Instant, incoming: Incoming) {
        if !self.gate.may_receive(incoming.action()) {
            // FR.04, B02.FR.02, B03.FR.07, B03.FR.08; TC_B_30
            self.refuse(
                incoming.id(),
                &RpcErrorCode::SecurityError,
                "the action is not permitted before BootNotification is accepted",
            );
            return self.handle_not_accepted(&incoming);
        }
        if self.gate.role() == Role::ChargingStation {
            self.gate.handle_call_of_csms(incoming.action(), incoming.payload());
        }
        let deadline = now + self.settings.answer_deadline;
        let is_boot = self.gate.role() == Role::Csms && incoming.action() == BOOT;
        self.answering = Some(Answering { id: incoming.id().clone(), is_boot, deadline });
        self.events.push(Event::Call(incoming));
    }

    fn answer_next(&mut self, now: Instant) {
        while self.answering.is_none() {
            let Some(incoming) = self.waiting.pop_front() else { return };
            self.take_up(now, incoming);
        }
    }

    /// FR.07: a SEND is never answered.
    fn handle_send(&mut self, incoming: Incoming) {
        if self.gate.may_receive(incoming.action()) {
            self.events.push(Event::Send(incoming));
        } else {
            self.handle_not_accepted(&incoming);
        }
    }

    fn handle_not_accepted(&mut self, incoming: &Incoming) {
        self.counters.not_accepted += 1;
        let (id, action) = (incoming.id().clone(), incoming.action().to_owned());
        self.events.push(Event::NotAccepted { id, action });
    }

    fn handle_result(&mut self, now: Instant, result: IncomingResult) {
        let Some(call) = self.take_in_flight(result.id()) else {
            return self.handle_unmatched(result.id().clone(), None);
        };
        if call.action == BOOT && self.gate.role() == Role::ChargingStation {
            self.gate.handle_boot_response(result.payload());
        }
        self.events.push(Event::CallEnded { key: call.key, outcome: CallOutcome::Result(result) });
        self.send_next_call(now);
    }

    fn handle_unmatched(&mut self, id: MessageId, code: Option<RpcErrorCode>) {
        self.counters.unmatched_answers += 1;
        self.events.push(Event::UnmatchedAnswer { id, code });
    }

    fn handle_invalid(&mut self, now: Instant, error: FrameError) {
        self.counters.invalid_frames += 1;
        let is_answer = matches!(error.kind, Some(MessageKind::CallResult | MessageKind::CallError));
        let answered = match &error.id {
            Some(id) if is_answer => self.take_in_flight(id),
            _ => None,
        };
        if let Some(refusal) = error.answer(self.version) {
            match refusal.kind {
                // Only for a response to an open CALL.
                MessageKind::CallResultError if answered.is_none() => {}
                MessageKind::CallResultError => {
                    self.refuse_result(&refusal.id, &refusal.code, &error.to_string());
                }
                _ => self.refuse(&refusal.id, &refusal.code, &error.to_string()),
            }
        }
        if let Some(call) = answered {
            self.end_call(now, call, CallOutcome::Unreadable(error.clone()));
            self.send_next_call(now);
        }
        self.events.push(Event::Refused(error));
    }

    fn send_next_call(&mut self, now: Instant) {
        // 2.0.1 Part 4, 4.1.1: one CALL in flight per direction.
        while self.in_flight.is_none() && !self.disconnected {
            let mut call = match self.queue.take_next(now, &self.gate) {
                None => return,
                Some(Next::NotAccepted(call)) => {
                    let outcome = CallOutcome::NotAccepted;
                    self.events.push(Event::CallEnded { key: call.key, outcome });
                    continue;
                }
                Some(Next::Send(call)) => call,
            };
            if self.gate.role() == Role::Csms && self.gate.registration() != Registration::Accepted {
                let payload = frame::head(&call.text).map_or("", |head| head.payload);
                self.gate.handle_call_of_csms(&call.action, payload);
            }
            let text = match &mut call.retry {
                None => std::mem::take(&mut call.text),
                Some(retrying) => {
                    retrying.handle_sent();
                    call.text.clone()
                }
            };
            let kind = TransmitKind::Call { key: call.key, id: call.id.clone() };
            self.transmits.push(Transmit { kind, text });
            self.in_flight = Some(InFlight { call, deadline: now + self.settings.call_timeout });
        }
    }

    fn take_in_flight(&mut self, id: &MessageId) -> Option<Queued> {
        self.in_flight.take_if(|in_flight| in_flight.call.id == *id).map(|in_flight| in_flight.call)
    }

    /// A CALL has failed. It is sent again later, or ends.
    fn end_call(&mut self, now: Instant, mut call: Queued, outcome: CallOutcome) {
        let key = call.key;
        let retried = call.retry.as_mut().and_then(|retrying| {
            let sent = retrying.sent();
            retrying.retries(now).then_some(sent)
        });
        if let Some(attempts) = retried {
            self.counters.retries += 1;
            self.events.push(Event::CallRetried { key, attempts });
            self.queue.put_back(call);
        } else {
            self.events.push(Event::CallEnded { key, outcome });
        }
    }

    fn finish_answer(
        &mut self,
        now: Instant,
        id: &MessageId,
        text: String,
        result: Option<&str>,
    ) -> Result<(), AnswerRefused> {
        let Some(answering) = self.answering.take_if(|answering| answering.id == *id) else {
            return Err(AnswerRefused::Overdue);
        };
        let max = self.settings.limits.max_bytes;
        let outcome = if answering.deadline <= now {
            // The peer expects an answer by the deadline, and does not expect one later.
            self.end_overdue(answering.id);
            Err(AnswerRefused::Overdue)
        } else if text.len() > max {
            self.refuse(id, &RpcErrorCode::InternalError, "the response is longer than a frame may be");
            Err(AnswerRefused::TooLarge { bytes: text.len(), max })
        } else {
            if let Some(payload) = result.filter(|_| answering.is_boot) {
                self.gate.handle_boot_response(payload);
            }
            self.transmits.push(Transmit { kind: TransmitKind::Answer(answering.id), text });
            Ok(())
        };
        self.answer_next(now);
        // A CALL that waited for the registration may be sent now.
        self.send_next_call(now);
        outcome
    }

    fn end_overdue(&mut self, id: MessageId) {
        self.refuse(&id, &RpcErrorCode::InternalError, "the request was not answered in time");
        self.events.push(Event::AnswerOverdue { id });
    }

    fn refuse(&mut self, id: &MessageId, code: &RpcErrorCode, description: &str) {
        if self.disconnected {
            return;
        }
        if !self.has_room() {
            // An invalid message may simply be dropped (2.0.1 Part 4, 4.2.3).
            self.counters.dropped_refusals += 1;
            return;
        }
        let text = frame::call_error(self.version, id, code, description, None);
        self.transmits.push(Transmit { kind: TransmitKind::Refusal, text });
    }

    fn has_room(&self) -> bool {
        self.transmits.len() < SessionSettings::MAX_TRANSMITS
    }
}

/// `{}`, the details of a CALLERROR without details.
fn no_details() -> Box<serde_json::value::RawValue> {
    serde_json::value::RawValue::from_string("{}".to_owned()).expect("an empty object is JSON")
}
