//! What the handles of a connection want of the task that drives it.
//!
//! A connection that nobody calls holds nothing but this struct; a channel would keep room for its
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

/// Where commands wait until the driver looks.
#[derive(Default)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
    /// Something was put in since the driver looked last.
    news: AtomicBool,
    driver: AtomicWaker,
    /// Wakes those who wait for the end of the connection.
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

/// Something for the driver to do.
pub(crate) enum Command {
    Call { outgoing: Outgoing, outcome: Outcome },
    Send { outgoing: Outgoing, outcome: oneshot::Sender<Result<(), CallFailure>> },
}

/// Takes the answer to a call; runs on the connection's task. Dropped: there is none. An error is
/// for the peer: its response cannot be decoded. The second argument is called with the same before
/// the caller gets the answer, so that what counts calls is never behind what a caller knows.
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
    /// Hands a command to the driver.
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

    /// Asks the driver to close. The first to ask decides how, except that being replaced is more
    /// urgent than a close that still waits for something.
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
        // Nothing that holds it can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DriverEnd {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Self {
        Self { mailbox }
    }

    /// Wakes this waker when something is put in. Look after this, not before.
    pub(crate) fn register(&self, waker: &Waker) {
        self.mailbox.driver.register(waker);
    }

    /// Whether something was put in since the last look.
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

    /// How the connection is to be closed, if it is.
    pub(crate) fn requested_close(&self) -> Option<Close> {
        self.mailbox.state().close
    }

    /// Takes no more commands; those that wait fail.
    pub(crate) fn refuse(&self) {
        let commands = {
            let mut state = self.mailbox.state();
            state.refuses = true;
            std::mem::take(&mut state.commands)
        };
        // Whoever waits for one is told by its drop, which runs code of theirs.
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

/// Commands that wait for the driver to look; it empties this queue each time that it wakes up.
const MAX_COMMANDS: usize = 16;
