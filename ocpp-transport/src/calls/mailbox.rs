//! Commands from the handles of a connection to the task that drives it.
//!
//! A connection without calls holds only this struct. A channel would reserve room for its
//! messages.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use tokio::sync::{Notify, oneshot};

use crate::calls::failure::CallFailure;
use crate::connection::close::{Close, CloseReason};
use crate::frame::{IncomingResult, PayloadError};
use crate::session::Outgoing;

/// Holds commands until the driver takes them.
#[derive(Default)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
    /// A command was added since the driver last looked.
    news: AtomicBool,
    driver: AtomicWaker,
    /// Wakes the tasks that wait for the end of the connection.
    pub(crate) ended: Notify,
}

#[derive(Default)]
struct State {
    commands: VecDeque<Command>,
    close: Option<Close>,
    /// The driver takes no more commands.
    refuses: bool,
    reason: Option<CloseReason>,
}

/// A command for the driver.
pub(crate) enum Command {
    Call { outgoing: Outgoing, outcome: Outcome },
    Send { outgoing: Outgoing, outcome: oneshot::Sender<Result<(), CallFailure>> },
}

/// Receives the answer to a call, on the connection's task. If it is dropped, there is no answer.
/// It returns an error for the peer if the response cannot be decoded. It calls its second argument
/// with the same result before the caller gets the answer, so that metrics are never behind what a
/// caller knows.
pub(crate) type Outcome = Box<
    dyn FnOnce(
            Result<IncomingResult, CallFailure>,
            &mut dyn FnMut(&Result<(), PayloadError>),
        ) -> Result<(), PayloadError>
        + Send,
>;

/// The driver's end of a mailbox. Dropping it ends the connection for all handles.
pub(crate) struct DriverEnd {
    mailbox: Arc<Mailbox>,
}

impl Mailbox {
    /// Sends a command to the driver.
    pub(crate) fn put(&self, command: Command) -> Result<(), CallFailure> {
        {
            let mut state = self.state();
            if state.refuses {
                return Err(CallFailure::Disconnected);
            }
            if state.commands.len() >= MAX_COMMANDS {
                return Err(CallFailure::QueueFull);
            }
            state.commands.push_back(command);
        }
        self.wake();
        Ok(())
    }

    /// Asks the driver to close. The first request decides how, except that [`Close::Replaced`]
    /// overrides a close that is still waiting.
    pub(crate) fn begin_close(&self, close: Close) {
        {
            let mut state = self.state();
            if state.close.is_some() && (close != Close::Replaced || state.close == Some(close)) {
                return;
            }
            state.close = Some(close);
        }
        self.wake();
    }

    pub(crate) fn is_open(&self) -> bool {
        let state = self.state();
        state.close.is_none() && !state.refuses
    }

    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.state().reason.clone()
    }

    fn wake(&self) {
        self.news.store(true, Ordering::Release);
        self.driver.wake();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No holder of the lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DriverEnd {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Self {
        Self { mailbox }
    }

    /// Wakes this waker when a command is added. Look for commands after this call, not before.
    pub(crate) fn register(&self, waker: &Waker) {
        self.mailbox.driver.register(waker);
    }

    /// Whether a command was added since the last look.
    pub(crate) fn has_news(&self) -> bool {
        self.mailbox.news.load(Ordering::Acquire) && self.mailbox.news.swap(false, Ordering::AcqRel)
    }

    /// The oldest command.
    pub(crate) fn take(&self) -> Option<Command> {
        let mut state = self.mailbox.state();
        let command = state.commands.pop_front();
        if state.commands.is_empty() {
            // An idle connection keeps no room.
            state.commands = VecDeque::new();
        }
        command
    }

    /// The requested close, if there is one.
    pub(crate) fn requested_close(&self) -> Option<Close> {
        self.mailbox.state().close
    }

    /// Refuses further commands. Commands that wait fail.
    pub(crate) fn refuse(&self) {
        let commands = {
            let mut state = self.mailbox.state();
            state.refuses = true;
            std::mem::take(&mut state.commands)
        };
        // Dropping a command informs its caller, which runs the caller's code.
        drop(commands);
    }

    /// Ends the connection for all handles.
    pub(crate) fn end(&self, reason: CloseReason) {
        self.refuse();
        self.mailbox.state().reason.get_or_insert(reason);
        self.mailbox.ended.notify_waiters();
    }
}

impl Drop for DriverEnd {
    fn drop(&mut self) {
        self.end(CloseReason::Dropped);
    }
}

/// Commands that wait for the driver. It empties this queue each time that it wakes up.
const MAX_COMMANDS: usize = 16;
