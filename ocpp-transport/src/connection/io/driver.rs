//! The task that owns a connection: its socket, its session, its timers and its handlers.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ocpp_types::RpcErrorCode;
use program::causes;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tracing::{debug, error, trace, warn};

use crate::calls::failure::{CallError, CallFailure};
use crate::calls::io::handlers::{Answered, Handlers, Remains};
use crate::calls::io::peer::Peer;
use crate::calls::io::reply::Next;
use crate::calls::io::router::{Handled, Router};
use crate::calls::mailbox::{Command, DriverEnd, Outcome};
use crate::connection::close::{Close, CloseReason};
use crate::connection::io::ending::{End, Ending, closed_here, end_of_socket, misbehaved};
use crate::connection::io::settings::LinkSettings;
use crate::connection::io::socket::{Reading, Socket, SocketEvent};
use crate::connection::message_rate::{Bucket, MessageRate};
use crate::connection::redact::Redacted;
use crate::connection::tap::{Direction, TappedFrame};
use crate::frame::{FrameText, PayloadError};
use crate::message_id::MessageId;
use crate::metrics::{CallEnd, CallTimer};
use crate::session::{
    Answer, AnswerRefused, CallKey, CallOutcome, CallRefused, Event, Outgoing, Session, TransmitKind,
};

/// The state of one connection.
pub(crate) struct Driver {
    socket: Socket,
    session: Session,
    handlers: Handlers,
    peer: Peer,
    settings: LinkSettings,
    mail: DriverEnd,
    /// The CALLs of this side, as many as the session accepts.
    calls: Vec<PendingCall>,
    /// The CALL of the peer that is being answered.
    answering: Option<CallTimer>,
    /// The work that follows answers that are not flushed yet, oldest first. At most as long as the
    /// socket's own queue.
    next: VecDeque<(MessageId, Next)>,
    bucket: Option<Bucket>,
    /// When the socket is read again, if reading is paused.
    read_again: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    next_ping: Option<Instant>,
    pong_deadline: Option<Instant>,
    closing: Option<Closing>,
}

struct PendingCall {
    key: CallKey,
    action: String,
    outcome: Outcome,
    timer: CallTimer,
}

/// A close that waits for pending answers.
struct Closing {
    close: Close,
    deadline: Instant,
}

impl Driver {
    pub(crate) fn new(
        socket: Socket,
        seed: [u8; 16],
        router: Arc<Router>,
        settings: LinkSettings,
        (peer, mail): (Peer, DriverEnd),
    ) -> Self {
        let ping = settings.ping_interval;
        let next_ping = (!ping.is_zero()).then(|| Instant::now() + ping);
        let session = Session::new(peer.role(), peer.version(), settings.session.clone(), seed)
            .with_registration(peer.initial_registration());
        Self {
            socket,
            session,
            handlers: Handlers::new(router, peer.clone()),
            peer,
            mail,
            calls: Vec::new(),
            answering: None,
            next: VecDeque::new(),
            bucket: None,
            read_again: None,
            timer: Box::pin(sleep_until(next_ping.unwrap_or_else(|| Instant::now() + IDLE))),
            next_ping,
            pong_deadline: None,
            closing: None,
            settings,
        }
    }

    /// Limits the rate at which messages of the peer are read.
    pub(crate) fn with_message_rate(self, rate: Option<MessageRate>) -> Self {
        let now = Instant::now().into_std();
        Self { bucket: rate.map(|rate| Bucket::new(now, rate)), ..self }
    }

    /// Drives the connection until it is closed. `Peer::closed` returns before this does.
    ///
    /// # Cancel safety
    /// Dropping the future cuts the connection and drops the running handlers.
    // This is a block and not an `async fn`, which would keep a second copy of its arguments. The
    // memory for the end is allocated only at the end. Either one would double the memory of an
    // idle connection.
    #[allow(clippy::manual_async_fn, reason = "an `async fn` keeps a second place for `self`")]
    pub(crate) fn run(mut self) -> impl Future<Output = (CloseReason, Remains)> + Send {
        async move {
            let open = self.peer.metrics().opened(self.peer.version(), self.peer.profile());
            let (reason, ending) = poll_fn(|context| self.poll(context)).await;
            self.peer.metrics().closed(&reason);
            drop(open);
            Box::pin(self.end(reason, ending)).await
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        self.mail.register(context.waker());
        // A handler may have woken this task.
        if let Some(answered) = self.handlers.poll(context) {
            self.answer(answered);
        }
        let mut messages = 0;
        loop {
            self.pump(context);
            if messages == MESSAGES_PER_TURN {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(end) = self.end_of_drain() {
                return Poll::Ready(end);
            }
            if self.mail.has_news() {
                if let Some(end) = self.handle_mail() {
                    return Poll::Ready(end);
                }
                continue;
            }
            if let Poll::Ready(event) = self.socket.poll(context) {
                let end = match event {
                    SocketEvent::Flushed(kinds) => {
                        self.handle_flushed(&kinds);
                        None
                    }
                    SocketEvent::Message(message) => {
                        messages += 1;
                        self.handle_message(message)
                    }
                    SocketEvent::Ended(error) => Some(end_of_socket(error)),
                };
                match end {
                    Some(end) => return Poll::Ready(end),
                    None => continue,
                }
            }
            self.handlers.poll_following(context);
            match self.poll_timer(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => {}
                Poll::Ready(Some(end)) => return Poll::Ready(end),
            }
        }
    }

    /// Moves the outputs of the session to the socket, the handlers and the callers.
    fn pump(&mut self, context: &mut Context<'_>) {
        while let Some(event) = self.session.poll_event() {
            self.handle_event(event, context);
        }
        self.handlers.poll_sends(context, self.settings.session.answer_deadline);
        while let Some(transmit) = self.session.poll_transmit() {
            match &transmit.kind {
                TransmitKind::Call { key, id } => {
                    let call = self.calls.iter().find(|call| call.key == *key);
                    debug!(action = call.map(|call| call.action.as_str()), message_id = %id, "CALL sent");
                }
                TransmitKind::Send(id) => debug!(message_id = %id, "SEND sent"),
                TransmitKind::Answer(id) => debug!(message_id = %id, "answer sent"),
                TransmitKind::Refusal => debug!("CALLERROR sent"),
                TransmitKind::ResultRefusal(id) => debug!(message_id = %id, "CALLRESULTERROR sent"),
            }
            trace!(frame = %Redacted(&transmit.text), "out");
            self.tap(Direction::Out, &transmit.text);
            self.socket.send(Instant::now(), transmit);
        }
    }

    fn handle_event(&mut self, event: Event, context: &mut Context<'_>) {
        match event {
            Event::Call(incoming) => {
                self.answering = Some(self.time_call(Direction::In, incoming.action()));
                if let Some(answered) = self.handlers.start(&incoming, context) {
                    self.answer(answered);
                }
            }
            Event::Send(incoming) => self.handlers.start_send(incoming),
            Event::AnswerOverdue { id } => {
                self.end_answering(&CallEnd::Error(RpcErrorCode::InternalError));
                self.handlers.drop_overdue(&id);
            }
            Event::CallEnded { key, outcome } => self.end_call(key, outcome),
            Event::CallRetried { key, attempts } => {
                let call = self.calls.iter().find(|call| call.key == key);
                let action = call.map(|call| call.action.as_str());
                warn!(action, attempts, "a CALL failed and will be sent again");
            }
            Event::Refused(error) => {
                self.peer.metrics().frame_refused(&error);
                warn!(error = %causes(&error), "a frame of the peer was refused");
            }
            Event::NotAccepted { id, action } => {
                let refused = CallEnd::Error(RpcErrorCode::SecurityError);
                self.time_call(Direction::In, &action).end(Instant::now().into_std(), &refused);
                warn!(action, message_id = %id, "a message was refused because BootNotification is not accepted");
            }
            Event::UnmatchedAnswer { id, code } => {
                self.peer.metrics().unmatched_answer();
                warn!(message_id = %id, ?code, "an answer that no CALL waits for was ignored");
            }
            Event::ResultRefused { id, code, description } => {
                error!(message_id = %id, ?code, description, "the peer cannot process a response");
            }
        }
    }

    fn end_call(&mut self, key: CallKey, outcome: CallOutcome) {
        let Some(index) = self.calls.iter().position(|call| call.key == key) else { return };
        let PendingCall { action, outcome: tell, timer, .. } = self.calls.swap_remove(index);
        let end = CallEnd::of(&outcome);
        if self.calls.is_empty() {
            // An idle connection keeps no memory for calls.
            self.calls = Vec::new();
        }
        let mut answered = None;
        let result = match outcome {
            CallOutcome::Result(response) => {
                debug!(action, "CALLRESULT received");
                answered = Some(response.id().clone());
                Ok(response)
            }
            CallOutcome::Error { code, description, .. } => {
                let version = self.peer.version();
                debug!(action, code = code.as_str(version), description, "CALLERROR received");
                Err(CallFailure::CallError { code, description, version })
            }
            CallOutcome::Unreadable(error) => Err(CallFailure::Unreadable(error)),
            CallOutcome::Timeout => {
                warn!(action, "the peer did not answer in time");
                Err(CallFailure::Timeout)
            }
            CallOutcome::NotAccepted => Err(CallFailure::NotAccepted),
            CallOutcome::Disconnected => Err(CallFailure::Disconnected),
        };
        let mut timer = Some(timer);
        let mut count = |verdict: &Result<(), PayloadError>| {
            if let Some(timer) = timer.take() {
                timer.end(
                    Instant::now().into_std(),
                    if verdict.is_err() { &CallEnd::InvalidResponse } else { &end },
                );
            }
        };
        if let (Err(error), Some(id)) = (tell(result, &mut count), answered) {
            warn!(action, message_id = %id, error = %causes(&error), "the peer's response is invalid");
            // FR.06 (2.1)
            self.session.refuse_result(&id, &error.rpc_code(self.peer.version()), &error.to_string());
        }
    }

    fn answer(&mut self, (id, result): Answered) {
        let now = Instant::now().into_std();
        let (outcome, next) = match result {
            Ok(Handled { payload, then }) => {
                self.end_answering(&CallEnd::Ok);
                (self.session.answer_result(now, &id, &payload), then)
            }
            Err(CallError { code, description }) => {
                self.end_answering(&CallEnd::Error(code.clone()));
                // InternalError is this side's fault, the others are the peer's.
                if code == RpcErrorCode::InternalError {
                    error!(message_id = %id, description, "answered with CALLERROR InternalError");
                } else {
                    warn!(message_id = %id, ?code, description, "answered with CALLERROR");
                }
                (self.session.answer(now, &id, Answer::Error { code, description }), None)
            }
        };
        match outcome {
            Ok(()) => self.next.extend(next.map(|next| (id, next))),
            Err(refused @ AnswerRefused::TooLarge { .. }) => {
                error!(message_id = %id, error = %causes(&refused), "no answer")
            }
            Err(refused) => debug!(message_id = %id, error = %causes(&refused), "no answer"),
        }
    }

    /// FR.05: the work that follows an answer starts when the kernel has the answer.
    fn handle_flushed(&mut self, kinds: &[TransmitKind]) {
        for kind in kinds {
            let TransmitKind::Answer(flushed) = kind else { continue };
            // Answers are flushed in order, and not every one is followed by work.
            if let Some((_, next)) = self.next.pop_front_if(|(id, _)| id == flushed) {
                self.handlers.follow(next);
            }
        }
    }

    fn handle_message(&mut self, message: Message) -> Option<End> {
        self.pong_deadline = None;
        if let Some(bucket) = &mut self.bucket {
            let now = Instant::now().into_std();
            let next = bucket.handle_message(now);
            if next > now {
                self.read_again = Some(Instant::from_std(next));
                self.socket.set_reading(Reading::Paused);
                self.peer.metrics().rate_limited();
            }
        }
        match message {
            Message::Text(text) => {
                trace!(frame = %Redacted(&text), "in");
                self.tap(Direction::In, &text);
                // A closing side accepts no more CALLs of the peer.
                if self.closing.is_none() {
                    self.session.handle_text(Instant::now().into_std(), FrameText::from(text));
                }
                None
            }
            Message::Binary(_) => {
                Some(misbehaved(1003, "a binary message, OCPP-J uses text messages".to_owned()))
            }
            Message::Close(frame) => {
                let (code, reason) = match frame {
                    Some(frame) => {
                        let code = self.socket.close_code(frame.code.into());
                        (Some(code), frame.reason.as_str().to_owned())
                    }
                    None => (None, String::new()),
                };
                Some((CloseReason::Peer { code, reason }, Ending::Finish))
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => None,
        }
    }

    /// Executes the commands of this connection's handles.
    fn handle_mail(&mut self) -> Option<End> {
        while let Some(command) = self.mail.take() {
            match command {
                Command::Call { outgoing, outcome } => self.call(outgoing, outcome),
                Command::Send { outgoing, outcome } => {
                    let result = if self.closing.is_some() {
                        Err(CallFailure::Disconnected)
                    } else if self.socket.has_room() {
                        self.session.send(outgoing).map_err(failure)
                    } else {
                        Err(CallFailure::QueueFull)
                    };
                    // The sender may have dropped its future.
                    let _ = outcome.send(result);
                }
            }
        }
        let close = self.mail.requested_close()?;
        if close == Close::Replaced {
            return Some(closed_here(close, self.settings.close_timeout));
        }
        let deadline = Instant::now() + self.settings.close_timeout;
        self.closing.get_or_insert(Closing { close, deadline });
        None
    }

    fn call(&mut self, outgoing: Outgoing, outcome: Outcome) {
        let action = outgoing.action().to_owned();
        let timer = self.time_call(Direction::Out, &action);
        let taken = if self.closing.is_some() {
            Err(CallFailure::Disconnected)
        } else {
            self.session.call(Instant::now().into_std(), outgoing).map_err(failure)
        };
        match taken {
            Ok(key) => self.calls.push(PendingCall { key, action, outcome, timer }),
            // Nothing was sent, so there is no response that could be invalid.
            Err(failure) => drop(outcome(Err(failure), &mut |_| {})),
        }
    }

    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<Option<End>> {
        let deadline = self.next_deadline();
        // A deadline that moves later, as most do, only causes one needless wake-up.
        if deadline < self.timer.deadline() {
            self.timer.as_mut().reset(deadline);
        }
        if self.timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        let now = Instant::now();
        let end = self.handle_timer(now);
        let deadline = self.next_deadline();
        self.timer.as_mut().reset(deadline);
        Poll::Ready(end)
    }

    fn handle_timer(&mut self, now: Instant) -> Option<End> {
        if self.read_again.take_if(|at| *at <= now).is_some() {
            self.socket.set_reading(Reading::On);
        }
        if self.pong_deadline.is_some_and(|deadline| deadline <= now) {
            return Some((CloseReason::PingTimeout, Ending::Cut));
        }
        let stuck =
            self.socket.unflushed_since().is_some_and(|since| since + self.settings.write_timeout <= now);
        if stuck {
            return Some((CloseReason::WriteTimeout, Ending::Cut));
        }
        if self.next_ping.is_some_and(|at| at <= now) {
            self.socket.ping(now);
            self.pong_deadline.get_or_insert(now + self.settings.ping_timeout);
            self.next_ping = Some(now + self.settings.ping_interval);
        }
        self.session.handle_timeout(now.into_std());
        None
    }

    /// Whether a close has nothing left to wait for.
    fn end_of_drain(&mut self) -> Option<End> {
        let closing = self.closing.as_ref()?;
        let drained = !self.session.is_answering() && self.socket.unflushed_since().is_none();
        (drained || closing.deadline <= Instant::now())
            .then(|| closed_here(closing.close, self.settings.close_timeout))
    }

    fn next_deadline(&self) -> Instant {
        let session = self.session.poll_timeout().map(Instant::from_std);
        let write = self.socket.unflushed_since().map(|since| since + self.settings.write_timeout);
        let closing = self.closing.as_ref().map(|closing| closing.deadline);
        let sends = self.handlers.deadline();
        [session, write, closing, sends, self.read_again, self.next_ping, self.pong_deadline]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or_else(|| Instant::now() + IDLE)
    }

    fn time_call(&self, direction: Direction, action: &str) -> CallTimer {
        self.peer.metrics().call(direction, self.peer.version(), action, Instant::now().into_std())
    }

    fn end_answering(&mut self, end: &CallEnd) {
        if let Some(timer) = self.answering.take() {
            timer.end(Instant::now().into_std(), end);
        }
    }

    fn tap(&self, direction: Direction, text: &str) {
        self.peer.metrics().frame(direction, text);
        if let Some(tap) = &self.settings.tap {
            tap(&TappedFrame { direction, identity: self.peer.identity(), text });
        }
    }

    async fn end(mut self, reason: CloseReason, ending: Ending) -> (CloseReason, Remains) {
        // All calls of this side have ended, including those whose command was not read yet.
        self.session.disconnect();
        while let Some(event) = self.session.poll_event() {
            if let Event::CallEnded { key, outcome } = event {
                self.end_call(key, outcome);
            }
        }
        let remains = self.handlers.leave(self.settings.session.answer_deadline);
        self.mail.refuse();
        match ending {
            Ending::Close { code, text, patience } => {
                let frame = CloseFrame { code: code.into(), reason: text.into() };
                self.socket.close(frame, patience).await;
            }
            Ending::Finish => self.socket.finish(self.settings.close_timeout).await,
            Ending::Cut => drop(self.socket),
        }
        debug!(%reason, "connection closed");
        self.mail.end(reason.clone());
        (reason, remains)
    }
}

fn failure(refused: CallRefused) -> CallFailure {
    match refused {
        CallRefused::QueueFull { .. } => CallFailure::QueueFull,
        CallRefused::TooLarge { bytes, max } => CallFailure::TooLarge { bytes, max },
        CallRefused::NotAccepted => CallFailure::NotAccepted,
        // Peer::send accepts only messages of 2.1, on a connection of 2.1.
        CallRefused::NoSend | CallRefused::Disconnected => CallFailure::Disconnected,
    }
}

/// Messages of a peer that are handled before other connections get a turn on this thread. Each
/// takes about ten microseconds.
const MESSAGES_PER_TURN: usize = 16;

/// The longest sleep of an idle connection.
const IDLE: Duration = Duration::from_secs(3600);
