//! The task that owns a connection: its socket, its session, its timers and its handlers.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use ocpp_types::RpcErrorCode;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};
use tracing::{Instrument, debug, debug_span, error, trace, warn};

use crate::call::{CallError, CallFailure};
use crate::close::{Close, CloseReason};
use crate::io::inflate::deflate_error;
use crate::io::settings::LinkSettings;
use crate::io::socket::{Reading, Socket, SocketEvent};
use crate::message_id::MessageId;
use crate::message_rate::{Bucket, MessageRate};
use crate::peer::{Command, Outcome, Peer, PeerChannels, peer_error};
use crate::reply::Next;
use crate::router::{Handled, Router};
use crate::session::{
    Answer, AnswerRefused, CallKey, CallOutcome, CallRefused, Event, Session, TransmitKind,
};
use crate::tap::{Direction, TappedFrame};

/// Everything that belongs to one connection.
pub(crate) struct Driver {
    socket: Socket,
    session: Session,
    router: Arc<Router>,
    peer: Peer,
    settings: LinkSettings,
    commands: mpsc::Receiver<Command>,
    close: watch::Receiver<Option<Close>>,
    closed: watch::Sender<Option<CloseReason>>,
    calls: HashMap<CallKey, PendingCall>,
    handling: Option<Handling>,
    /// What follows the answers that are not flushed yet, oldest first. As long as the socket's own queue at most.
    next: VecDeque<(MessageId, Next)>,
    tasks: JoinSet<Done>,
    bucket: Option<Bucket>,
    /// When the socket is read again, if it is not now.
    read_again: Option<Instant>,
    next_ping: Option<Instant>,
    pong_deadline: Option<Instant>,
    closing: Option<Closing>,
}

struct PendingCall {
    action: String,
    outcome: Outcome,
}

struct Handling {
    id: MessageId,
    action: String,
    task: AbortHandle,
}

/// A close that waits for pending answers.
struct Closing {
    close: Close,
    deadline: Instant,
}

/// The end of a task of the application.
enum Done {
    Handler { id: MessageId, result: Result<Handled, CallError> },
    Next,
}

/// What is left of a connection that is closed: tasks of the application.
pub(crate) struct Remains {
    tasks: JoinSet<Done>,
    patience: Duration,
}

/// How the socket is to be left.
enum Ending {
    /// By this side, with a Close frame.
    Close { code: u16, text: &'static str, patience: Duration },
    /// The peer has sent Close.
    Finish,
    /// There is nobody to say anything to.
    Cut,
}

enum Wake {
    Socket(SocketEvent),
    Command(Option<Command>),
    Task(Result<Done, JoinError>),
    Close,
    Timer,
}

impl Driver {
    pub(crate) fn new(
        socket: Socket,
        seed: [u8; 16],
        router: Arc<Router>,
        settings: LinkSettings,
        (peer, channels): (Peer, PeerChannels),
    ) -> Self {
        let ping = settings.ping_interval;
        Self {
            socket,
            session: Session::new(peer.version(), settings.session.clone(), seed),
            router,
            peer,
            commands: channels.commands,
            close: channels.close,
            closed: channels.closed,
            calls: HashMap::new(),
            handling: None,
            next: VecDeque::new(),
            tasks: JoinSet::new(),
            bucket: None,
            read_again: None,
            next_ping: (!ping.is_zero()).then(|| Instant::now() + ping),
            pong_deadline: None,
            closing: None,
            settings,
        }
    }

    /// Reads no more messages of the peer than that.
    pub(crate) fn with_message_rate(self, rate: Option<MessageRate>) -> Self {
        let now = Instant::now().into_std();
        Self { bucket: rate.map(|rate| Bucket::new(now, rate)), ..self }
    }

    /// Drives the connection until it is closed. `Peer::closed` has returned when this does.
    ///
    /// # Cancel safety
    /// Dropping it cuts the connection and drops the handlers that run.
    pub(crate) async fn run(mut self) -> (CloseReason, Remains) {
        let (reason, ending) = loop {
            self.pump();
            if let Some(end) = self.end_of_drain() {
                break end;
            }
            let deadline = self.next_deadline();
            let wake = {
                let socket = &mut self.socket;
                tokio::select! {
                    event = poll_fn(|context| socket.poll(context)) => Wake::Socket(event),
                    command = self.commands.recv() => Wake::Command(command),
                    Some(done) = self.tasks.join_next() => Wake::Task(done),
                    Ok(()) = self.close.changed() => Wake::Close,
                    () = sleep_until(deadline) => Wake::Timer,
                }
            };
            let end = match wake {
                Wake::Socket(SocketEvent::Flushed(kinds)) => {
                    self.handle_flushed(&kinds);
                    None
                }
                Wake::Socket(SocketEvent::Message(message)) => self.handle_message(message),
                Wake::Socket(SocketEvent::Ended(error)) => Some(end_of_socket(error)),
                Wake::Command(command) => {
                    self.handle_command(command);
                    None
                }
                Wake::Task(done) => {
                    self.handle_done(done);
                    None
                }
                Wake::Close => self.handle_close(),
                Wake::Timer => self.handle_timer(),
            };
            if let Some(end) = end {
                break end;
            }
        };
        self.end(reason, ending).await
    }

    /// Moves what the session has to say to the socket, the handlers and the callers.
    fn pump(&mut self) {
        while let Some(event) = self.session.poll_event() {
            self.handle_event(event);
        }
        while let Some(transmit) = self.session.poll_transmit() {
            match &transmit.kind {
                TransmitKind::Call { key, id } => {
                    let action = self.calls.get(key).map_or("", |call| call.action.as_str());
                    debug!(action, message_id = %id, "CALL sent");
                }
                TransmitKind::Answer(id) => debug!(message_id = %id, "answer sent"),
                TransmitKind::Refusal => debug!("CALLERROR sent"),
            }
            trace!(frame = transmit.text, "out");
            self.tap(Direction::Out, &transmit.text);
            self.socket.send(Instant::now(), transmit);
        }
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::Call { id, action, payload } => self.start_handler(id, action, payload),
            Event::AnswerOverdue { id } => {
                if let Some(handling) = self.handling.take_if(|handling| handling.id == id) {
                    warn!(action = handling.action, message_id = %id, "handler took too long and was dropped");
                    handling.task.abort();
                }
            }
            Event::CallEnded { key, outcome } => {
                let Some(call) = self.calls.remove(&key) else { return };
                let action = call.action.as_str();
                let result = match outcome {
                    CallOutcome::Result(payload) => {
                        debug!(action, "CALLRESULT received");
                        Ok(payload)
                    }
                    CallOutcome::Error { code, description, .. } => {
                        debug!(action, ?code, description, "CALLERROR received");
                        Err(peer_error(code, description))
                    }
                    CallOutcome::Timeout => {
                        warn!(action, "the peer did not answer in time");
                        Err(CallFailure::Timeout)
                    }
                    CallOutcome::Disconnected => Err(CallFailure::Disconnected),
                };
                (call.outcome)(result);
            }
            Event::Refused(error) => warn!(%error, "a frame of the peer was refused"),
            Event::UnmatchedAnswer { id, code } => {
                warn!(message_id = %id, ?code, "an answer that nobody waits for was ignored");
            }
        }
    }

    fn start_handler(&mut self, id: MessageId, action: String, payload: Box<RawValue>) {
        debug!(action, message_id = %id, "CALL received");
        let span = debug_span!("handle", action, message_id = %id);
        let (router, peer) = (Arc::clone(&self.router), self.peer.clone());
        let task = {
            let (id, action) = (id.clone(), action.clone());
            let handler = async move {
                let result = router.dispatch(peer, &action, &payload).await;
                Done::Handler { id, result }
            };
            self.tasks.spawn(handler.instrument(span))
        };
        self.handling = Some(Handling { id, action, task });
    }

    fn handle_done(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(Done::Handler { id, result }) => self.answer(&id, result),
            Ok(Done::Next) => {}
            // Aborted because its deadline has passed.
            Err(error) if error.is_cancelled() => {}
            Err(error) => match self.handling.take_if(|handling| handling.task.id() == error.id()) {
                Some(Handling { id, action, .. }) => {
                    error!(action, message_id = %id, "handler panicked");
                    self.answer(&id, Err(CallError::internal("the request could not be handled")));
                }
                None => error!("what follows an answer panicked"),
            },
        }
    }

    fn answer(&mut self, id: &MessageId, result: Result<Handled, CallError>) {
        self.handling.take_if(|handling| handling.id == *id);
        let (answer, next) = match result {
            Ok(Handled { payload, then }) => (Answer::Result(payload), then),
            Err(CallError { code, description }) => {
                // InternalError is this side's fault, the others are the peer's.
                if code == RpcErrorCode::InternalError {
                    error!(message_id = %id, description, "answered with CALLERROR InternalError");
                } else {
                    warn!(message_id = %id, ?code, description, "answered with CALLERROR");
                }
                (Answer::Error { code, description }, None)
            }
        };
        match self.session.answer(Instant::now().into_std(), id, answer) {
            Ok(()) => self.next.extend(next.map(|next| (id.clone(), next))),
            Err(refused @ AnswerRefused::TooLarge { .. }) => error!(message_id = %id, %refused, "no answer"),
            Err(refused) => debug!(message_id = %id, %refused, "no answer"),
        }
    }

    /// FR.05: what follows an answer starts when the kernel has the answer.
    fn handle_flushed(&mut self, kinds: &[TransmitKind]) {
        for kind in kinds {
            let TransmitKind::Answer(flushed) = kind else { continue };
            // Answers are flushed in order, and not each is followed by something.
            if let Some((_, next)) = self.next.pop_front_if(|(id, _)| id == flushed) {
                let run = async move {
                    next.await;
                    Done::Next
                };
                self.tasks.spawn(run.in_current_span());
            }
        }
    }

    fn handle_message(&mut self, message: Message) -> Option<(CloseReason, Ending)> {
        self.pong_deadline = None;
        if let Some(bucket) = &mut self.bucket {
            let now = Instant::now().into_std();
            let next = bucket.handle_message(now);
            if next > now {
                self.read_again = Some(Instant::from_std(next));
                self.socket.set_reading(Reading::Paused);
            }
        }
        match message {
            Message::Text(text) => {
                trace!(frame = text.as_str(), "in");
                self.tap(Direction::In, &text);
                // Once this side is closing, the peer's CALLs are not taken on any more.
                if self.closing.is_none() {
                    self.session.handle_text(Instant::now().into_std(), &text);
                }
                None
            }
            Message::Binary(_) => Some(misbehaved(1003, "OCPP-J is text".to_owned())),
            Message::Close(frame) => {
                let (code, reason) = match frame {
                    Some(frame) => (Some(frame.code.into()), frame.reason.as_str().to_owned()),
                    None => (None, String::new()),
                };
                Some((CloseReason::Peer { code, reason }, Ending::Finish))
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => None,
        }
    }

    fn handle_command(&mut self, command: Option<Command>) {
        // None cannot be: this driver holds a sender itself.
        let Some(Command { action, payload, outcome }) = command else { return };
        if self.closing.is_some() {
            outcome(Err(CallFailure::Disconnected));
            return;
        }
        match self.session.call(Instant::now().into_std(), action.clone(), &payload) {
            Ok(key) => {
                self.calls.insert(key, PendingCall { action: action.into_owned(), outcome });
            }
            Err(refused) => {
                let failure = match refused {
                    CallRefused::QueueFull { .. } => CallFailure::QueueFull,
                    CallRefused::TooLarge { bytes, max } => CallFailure::TooLarge { bytes, max },
                    CallRefused::Disconnected => CallFailure::Disconnected,
                };
                outcome(Err(failure));
            }
        }
    }

    fn handle_close(&mut self) -> Option<(CloseReason, Ending)> {
        let close = (*self.close.borrow_and_update())?;
        if close == Close::Replaced {
            return Some(self.local_end(close));
        }
        let deadline = Instant::now() + self.settings.close_timeout;
        self.closing.get_or_insert(Closing { close, deadline });
        None
    }

    fn handle_timer(&mut self) -> Option<(CloseReason, Ending)> {
        let now = Instant::now();
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

    /// Whether a close has nothing more to wait for.
    fn end_of_drain(&mut self) -> Option<(CloseReason, Ending)> {
        let closing = self.closing.as_ref()?;
        let drained = !self.session.is_answering() && self.socket.unflushed_since().is_none();
        (drained || closing.deadline <= Instant::now()).then(|| self.local_end(closing.close))
    }

    fn local_end(&self, close: Close) -> (CloseReason, Ending) {
        let patience = match close {
            // The peer has moved on to another connection, and is not kept waiting for this one.
            Close::Replaced => REPLACED_PATIENCE.min(self.settings.close_timeout),
            _ => self.settings.close_timeout,
        };
        (CloseReason::Local(close), Ending::Close { code: close.code(), text: close.text(), patience })
    }

    fn next_deadline(&self) -> Instant {
        let session = self.session.poll_timeout().map(Instant::from_std);
        let write = self.socket.unflushed_since().map(|since| since + self.settings.write_timeout);
        let closing = self.closing.as_ref().map(|closing| closing.deadline);
        [session, write, closing, self.read_again, self.next_ping, self.pong_deadline]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or_else(|| Instant::now() + IDLE)
    }

    fn tap(&self, direction: Direction, text: &str) {
        if let Some(tap) = &self.settings.tap {
            tap(&TappedFrame { direction, identity: self.peer.identity(), text });
        }
    }

    async fn end(mut self, reason: CloseReason, ending: Ending) -> (CloseReason, Remains) {
        // What calls this side has made are over, also for those whose command was not looked at yet.
        self.session.disconnect();
        while let Some(event) = self.session.poll_event() {
            self.handle_event(event);
        }
        drop(self.commands);
        match ending {
            Ending::Close { code, text, patience } => {
                let frame = CloseFrame { code: code.into(), reason: text.into() };
                self.socket.close(frame, patience).await;
            }
            Ending::Finish => self.socket.finish(self.settings.close_timeout).await,
            Ending::Cut => drop(self.socket),
        }
        debug!(%reason, "connection closed");
        self.closed.send_replace(Some(reason.clone()));
        (reason, Remains { tasks: self.tasks, patience: self.settings.session.answer_deadline })
    }
}

impl Remains {
    /// Waits for the application's tasks, as long as a handler may take; what still runs then is dropped.
    pub(crate) async fn join(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let in_time = timeout(self.patience, all).await.is_ok();
        if !in_time {
            warn!("tasks of a closed connection were dropped");
        }
        self.tasks.shutdown().await;
    }
}

/// Sorts the end of the socket into failures of the network and of the peer.
fn end_of_socket(error: Option<tungstenite::Error>) -> (CloseReason, Ending) {
    let Some(error) = error else {
        return (CloseReason::Peer { code: None, reason: String::new() }, Ending::Finish);
    };
    match error {
        tungstenite::Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            misbehaved(1009, format!("a frame of {size} bytes, at most {max_size} are accepted"))
        }
        tungstenite::Error::Utf8(_) => misbehaved(1007, "text that is not UTF-8".to_owned()),
        tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => gone(),
        // Neither Close nor TLS's own close_notify: a process that was killed.
        tungstenite::Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => gone(),
        tungstenite::Error::Protocol(error) => misbehaved(1002, error.to_string()),
        tungstenite::Error::Io(error) if let Some(error) = deflate_error(&error) => {
            misbehaved(error.close_code(), error.to_string())
        }
        error => (CloseReason::Lost { error: error.to_string() }, Ending::Cut),
    }
}

fn gone() -> (CloseReason, Ending) {
    (CloseReason::Lost { error: "the peer went away without a close".to_owned() }, Ending::Cut)
}

fn misbehaved(code: u16, error: String) -> (CloseReason, Ending) {
    let ending = Ending::Close { code, text: "", patience: MISBEHAVED_PATIENCE };
    (CloseReason::Misbehaved { code, error }, ending)
}

/// How long a connection that is replaced takes to say so; a half-open one cannot.
const REPLACED_PATIENCE: Duration = Duration::from_millis(500);

/// How long a peer that broke the rules has to read that it did.
const MISBEHAVED_PATIENCE: Duration = Duration::from_secs(2);

/// The longest sleep of a connection that waits for nothing.
const IDLE: Duration = Duration::from_secs(3600);
