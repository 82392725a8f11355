//! Lets a few logins at a time use the ledger and the workers, in the order of [`LoginQueue`].

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, time::sleep};

use crate::stations::login::{LoginQueue, Overload, OverloadChange, Standing, Ticket};

/// The place where logins wait.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
}

/// A login that has passed. Dropping it lets the next one pass.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    gate: &'a Gate,
}

/// The queue was full, and this login was the first to be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueFull {
    /// When to try again.
    pub(crate) retry_after: Duration,
}

#[derive(Debug)]
struct State {
    queue: LoginQueue<oneshot::Sender<()>>,
    free: usize,
}

/// A login that waits. Dropping it leaves the queue.
struct Place<'a> {
    gate: &'a Gate,
    ticket: Ticket,
    granted: oneshot::Receiver<()>,
}

impl Gate {
    /// A gate for this number of logins at a time.
    pub(crate) fn new(at_once: usize) -> Self {
        Self { state: Mutex::new(State { queue: LoginQueue::new(), free: at_once }) }
    }

    /// Waits until it is the login's turn.
    ///
    /// # Errors
    /// [`QueueFull`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue.
    pub(crate) async fn pass(&self, standing: Standing) -> Result<Pass<'_>, QueueFull> {
        let mut place = {
            let mut state = self.lock();
            let (grant, granted) = oneshot::channel();
            let (ticket, refused) = state.queue.enter(Instant::now(), standing, grant);
            // Dropping the sender reports the refusal to its login.
            drop(refused);
            state.grant();
            Place { gate: self, ticket, granted }
        };
        match (&mut place.granted).await {
            Ok(()) => Ok(Pass { gate: self }),
            Err(_) => Err(QueueFull { retry_after: place.ticket.retry_after() }),
        }
    }

    /// The number of waiting logins, and the current overload.
    pub(crate) fn state(&self) -> (usize, Option<Overload>) {
        let state = self.lock();
        (state.queue.len(), state.queue.overload())
    }

    /// Logs when an overload begins and when it is over. Calls `observe` once a second.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn watch(&self, observe: impl Fn(usize, Option<Overload>)) {
        loop {
            sleep(WATCH_INTERVAL).await;
            let now = Instant::now();
            let (change, waiting, overload) = {
                let mut state = self.lock();
                (state.queue.poll_overload(now), state.queue.len(), state.queue.overload())
            };
            match change {
                Some(OverloadChange::Began) => {
                    tracing::warn!(
                        waiting,
                        "overload began: logins with a password wait too long; the newest are served first"
                    );
                }
                Some(OverloadChange::Ended(ended)) => {
                    let began = ended.began.unwrap_or(now);
                    tracing::warn!(
                        seconds = now.saturating_duration_since(began).as_secs(),
                        served = ended.served,
                        refused = ended.refused,
                        gone = ended.gone,
                        most_waiting = ended.most_waiting,
                        "overload is over"
                    );
                }
                None => {}
            }
            observe(waiting, overload);
        }
    }

    fn release(&self) {
        let mut state = self.lock();
        state.free += 1;
        state.grant();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No holder of the lock can leave the queue half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn grant(&mut self) {
        while self.free > 0
            && let Some(grant) = self.queue.next(Instant::now())
        {
            // A login that is being dropped does not receive it.
            if grant.send(()).is_ok() {
                self.free -= 1;
            }
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.gate.release();
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        drop(self.gate.lock().queue.leave(self.ticket));
        self.granted.close();
        // It was granted after its future was polled for the last time.
        if self.granted.try_recv().is_ok() {
            self.gate.release();
        }
    }
}

const WATCH_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    #[test]
    fn who_leaves_does_not_pass_and_blocks_nobody() {
        let gate = Gate::new(1);
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(pass)) = pin!(gate.pass(Standing::Clean)).poll(&mut context) else {
            panic!("it is open")
        };
        {
            let mut leaving = pin!(gate.pass(Standing::Clean));
            assert!(leaving.as_mut().poll(&mut context).is_pending());
            assert_eq!(gate.state().0, 1);
        }
        assert_eq!(gate.state().0, 0, "it has left the queue");
        let mut failed = Box::pin(gate.pass(Standing::Failed));
        let mut clean = Box::pin(gate.pass(Standing::Clean));
        assert!(failed.as_mut().poll(&mut context).is_pending());
        assert!(clean.as_mut().poll(&mut context).is_pending());
        drop(pass);
        // The turn was granted, but the future was dropped before it was polled again. The next
        // login gets the turn.
        drop(clean);
        assert!(failed.as_mut().poll(&mut context).is_ready());
    }
}
