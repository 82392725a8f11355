//! The application's work for one connection: handlers, and the tasks that follow their answers.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ocpp_types::RpcErrorCode;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::{Instrument, Span, debug, debug_span, error, warn};

use crate::calls::failure::CallError;
use crate::calls::io::peer::Peer;
use crate::calls::io::reply::Next;
use crate::calls::io::router::{Handled, Pending, PendingSend, Router};
use crate::frame::Incoming;
use crate::message_id::MessageId;

/// The running work of a connection.
///
/// Handlers run on the connection's own task. Most answer at once, and starting a task would take
/// longer than that.
pub(crate) struct Handlers {
    router: Arc<Router>,
    peer: Peer,
    /// The handler of the CALL that is being answered, if it did not answer at once.
    handling: Option<Handling>,
    sends: Option<Box<Sends>>,
    /// The tasks that follow flushed answers.
    following: Option<JoinSet<()>>,
}

/// A CALL and its answer.
pub(crate) type Answered = (MessageId, Result<Handled, CallError>);

struct Handling {
    id: MessageId,
    action: String,
    answer: Pending,
    span: Span,
}

/// SENDs of the peer.
#[derive(Default)]
struct Sends {
    running: Option<Running>,
    waiting: VecDeque<Incoming>,
}

struct Running {
    handler: PendingSend,
    span: Span,
    deadline: Instant,
}

/// The application's tasks that remain when a connection is closed.
pub(crate) struct Remains {
    tasks: Option<JoinSet<()>>,
    patience: Duration,
}

impl Handlers {
    pub(crate) fn new(router: Arc<Router>, peer: Peer) -> Self {
        Self { router, peer, handling: None, sends: None, following: None }
    }

    /// Handles a CALL. Returns the answer if it is ready at once; otherwise [`Handlers::poll`]
    /// returns it.
    pub(crate) fn start(&mut self, incoming: &Incoming, context: &mut Context<'_>) -> Option<Answered> {
        let (id, action) = (incoming.id(), incoming.action());
        debug!(action, message_id = %id, "CALL received");
        if self.following.as_ref().is_some_and(|tasks| tasks.len() >= MAX_FOLLOWING) {
            let busy = CallError::new(
                RpcErrorCode::GenericError,
                "too many tasks of earlier requests are still running",
            );
            return Some((id.clone(), Err(busy)));
        }
        let span = debug_span!("handle", action, message_id = %id);
        let entered = span.enter();
        let started = catch_unwind(AssertUnwindSafe(|| self.router.call(self.peer.clone(), incoming)));
        let mut answer = match started {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Some((id.clone(), Err(error))),
            Err(_) => return Some((id.clone(), Err(panicked(id, action)))),
        };
        match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
            Ok(Poll::Ready(result)) => Some((id.clone(), result)),
            Ok(Poll::Pending) => {
                drop(entered);
                self.handling = Some(Handling { id: id.clone(), action: action.to_owned(), answer, span });
                None
            }
            Err(_) => Some((id.clone(), Err(panicked(id, action)))),
        }
    }

    /// The answer of the running handler.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Option<Answered> {
        let Handling { id, action, answer, span } = self.handling.as_mut()?;
        let polled = span.in_scope(|| catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))));
        let result = match polled {
            Ok(Poll::Pending) => return None,
            Ok(Poll::Ready(result)) => result,
            Err(_) => Err(panicked(id, action)),
        };
        let Handling { id, .. } = self.handling.take()?;
        Some((id, result))
    }

    /// Drops the handler of a CALL that the session has answered in its place.
    pub(crate) fn drop_overdue(&mut self, id: &MessageId) {
        let action = self.handling.take_if(|handling| handling.id == *id).map(|handling| handling.action);
        warn!(action, message_id = %id, "the handler took too long");
    }

    /// Handles a SEND, now or after earlier ones. A SEND is never answered (FR.07).
    pub(crate) fn start_send(&mut self, incoming: Incoming) {
        debug!(action = incoming.action(), message_id = %incoming.id(), "SEND received");
        let sends = self.sends.get_or_insert_default();
        if sends.waiting.len() >= MAX_WAITING_SENDS {
            warn!(action = incoming.action(), message_id = %incoming.id(), "a SEND was dropped because too many wait");
        } else {
            sends.waiting.push_back(incoming);
        }
    }

    /// Continues the SENDs. Each may take `patience` at most.
    pub(crate) fn poll_sends(&mut self, context: &mut Context<'_>, patience: Duration) {
        let Some(sends) = &mut self.sends else { return };
        loop {
            if let Some(running) = &mut sends.running {
                let polled = running
                    .span
                    .in_scope(|| catch_unwind(AssertUnwindSafe(|| running.handler.as_mut().poll(context))));
                match polled {
                    Ok(Poll::Pending) if Instant::now() < running.deadline => return,
                    Ok(Poll::Pending) => warn!("the handler of a SEND took too long and was dropped"),
                    Ok(Poll::Ready(())) => {}
                    Err(_) => error!("the handler of a SEND panicked"),
                }
                sends.running = None;
            }
            let Some(incoming) = sends.waiting.pop_front() else {
                // A connection without SENDs keeps no memory for them.
                self.sends = None;
                return;
            };
            let (action, id) = (incoming.action(), incoming.id());
            let span = debug_span!("handle", action, message_id = %id);
            let started = span.in_scope(|| {
                catch_unwind(AssertUnwindSafe(|| self.router.send(self.peer.clone(), &incoming)))
            });
            match started {
                Ok(Ok(handler)) => {
                    sends.running = Some(Running { handler, span, deadline: Instant::now() + patience });
                }
                Ok(Err(CallError { code, description })) => {
                    warn!(action, message_id = %id, ?code, description, "SEND ignored");
                }
                Err(_) => {
                    panicked(id, action);
                }
            }
        }
    }

    /// When [`Handlers::poll_sends`] must be called, if nothing wakes it earlier.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.sends.as_ref()?.running.as_ref().map(|running| running.deadline)
    }

    /// Runs the work that follows an answer, beside the connection.
    pub(crate) fn follow(&mut self, next: Next) {
        self.following.get_or_insert_default().spawn(next.in_current_span());
    }

    /// Removes the tasks that have ended.
    pub(crate) fn poll_following(&mut self, context: &mut Context<'_>) {
        while let Some(following) = &mut self.following {
            match following.poll_join_next(context) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(()))) => {}
                Poll::Ready(Some(Err(_))) => error!("a task that follows an answer panicked"),
                Poll::Ready(None) => self.following = None,
            }
        }
    }

    /// Lets running work continue without the connection, for `patience` at most.
    pub(crate) fn leave(self, patience: Duration) -> Remains {
        let mut tasks = self.following;
        if let Some(Handling { answer, span, .. }) = self.handling {
            // An answer can no longer be sent.
            let rest = async move { drop(answer.await) };
            tasks.get_or_insert_default().spawn(rest.instrument(span));
        }
        if let Some(Running { handler, span, .. }) = self.sends.and_then(|sends| sends.running) {
            tasks.get_or_insert_default().spawn(handler.instrument(span));
        }
        Remains { tasks, patience }
    }
}

impl Remains {
    /// Waits for the application's tasks, as long as a handler may take. Tasks that still run then
    /// are dropped.
    pub(crate) async fn join(self) {
        let Some(mut tasks) = self.tasks else { return };
        let all = async { while tasks.join_next().await.is_some() {} };
        let in_time = timeout(self.patience, all).await.is_ok();
        if !in_time {
            warn!("tasks of a closed connection were dropped");
        }
        tasks.shutdown().await;
    }
}

fn panicked(id: &MessageId, action: &str) -> CallError {
    error!(action, message_id = %id, "the handler panicked");
    CallError::internal("the request could not be handled")
}

/// Tasks that follow answers. Each may wait for the peer itself, so further CALLs are refused.
const MAX_FOLLOWING: usize = 16;

/// SENDs that wait while one is handled. Their content is soon out of date, so a longer queue has
/// no use.
const MAX_WAITING_SENDS: usize = 8;
