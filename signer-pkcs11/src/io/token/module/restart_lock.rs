//! Restarts a module only while no call is running, and shows every caller that it was restarted.
//!
//! Locks of the standard library have no deadline, and a module that hangs never releases one, so
//! this lock has deadlines.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The restart lock of one module.
#[derive(Debug, Default)]
pub(crate) struct RestartLock {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How often the module was restarted. Sessions and handles of an earlier epoch are dead, and
    /// their numbers may be in use again.
    epoch: u64,
    /// Running calls.
    inside: usize,
    /// A restart waits until no call is running.
    waiting: bool,
    /// No call is running, and the module is being restarted.
    restarting: bool,
}

/// The permission to call the module, until it is dropped.
#[derive(Debug)]
pub(crate) struct CallPermit<'a> {
    lock: &'a RestartLock,
    pub(crate) epoch: u64,
}

/// A running call did not return in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hung;

impl RestartLock {
    /// Takes a permit. Waits at most [`MAX_WAIT`] for a restart.
    pub(crate) fn enter(&self) -> Result<CallPermit<'_>, Hung> {
        let deadline = Instant::now() + MAX_WAIT;
        let mut state = self.lock();
        while state.waiting || state.restarting {
            state = self.wait(state, deadline)?;
        }
        Ok(self.permit(state))
    }

    /// Takes a permit to close a session. A thread that holds a permit may call it, because no
    /// restart can begin before that is dropped.
    pub(crate) fn enter_to_close(&self) -> Result<CallPermit<'_>, Hung> {
        let deadline = Instant::now() + MAX_WAIT;
        let mut state = self.lock();
        while state.restarting {
            state = self.wait(state, deadline)?;
        }
        Ok(self.permit(state))
    }

    /// Restarts the module when no call is running, unless it was restarted since `epoch`. The
    /// caller must hold no permit.
    pub(crate) fn restart<E>(
        &self,
        epoch: u64,
        restart: impl FnOnce() -> Result<(), E>,
    ) -> Result<Result<(), E>, Hung> {
        let deadline = Instant::now() + MAX_WAIT;
        let mut state = self.lock();
        while state.waiting || state.restarting {
            state = self.wait(state, deadline)?;
        }
        if state.epoch != epoch {
            return Ok(Ok(()));
        }
        state.waiting = true;
        while state.inside > 0 {
            state = self.wait(state, deadline).inspect_err(|Hung| {
                self.lock().waiting = false;
                self.changed.notify_all();
            })?;
        }
        state.waiting = false;
        state.restarting = true;
        drop(state);
        let done = restart();
        let mut state = self.lock();
        // Also after a failure: C_Finalize may have succeeded.
        state.epoch += 1;
        state.restarting = false;
        drop(state);
        self.changed.notify_all();
        Ok(done)
    }

    fn permit(&self, mut state: MutexGuard<'_, State>) -> CallPermit<'_> {
        state.inside += 1;
        CallPermit { lock: self, epoch: state.epoch }
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        deadline: Instant,
    ) -> Result<MutexGuard<'a, State>, Hung> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Hung);
        }
        let (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        Ok(state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CallPermit<'_> {
    fn drop(&mut self) {
        let mut state = self.lock.lock();
        state.inside -= 1;
        // Waking is a system call, and usually no thread waits.
        let wake = state.waiting && state.inside == 0;
        drop(state);
        if wake {
            self.lock.changed.notify_all();
        }
    }
}

/// Maximum wait for running calls. A call takes milliseconds, an RSA key of 4096 bits in a TPM
/// longer. After a timeout the next signature tries again.
const MAX_WAIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::thread;

    use super::RestartLock;

    #[test]
    fn a_restart_waits_until_nobody_is_inside_and_is_made_once() {
        let lock = RestartLock::default();
        let permit = lock.enter().unwrap();
        let (epoch, mut restarts) = (permit.epoch, 0);
        thread::scope(|scope| {
            let other = scope.spawn(|| lock.restart(epoch, || Err::<(), _>("counted")).unwrap());
            // A thread that holds a permit may close its session, also while a restart waits.
            drop(lock.enter_to_close().unwrap());
            drop(permit);
            assert_eq!(other.join().unwrap(), Err("counted"));
        });
        // Another thread saw the same fault: the restart has been made.
        lock.restart(epoch, || {
            restarts += 1;
            Ok::<_, ()>(())
        })
        .unwrap()
        .unwrap();
        assert_eq!((restarts, lock.enter().unwrap().epoch), (0, epoch + 1));
    }
}
