//! Who is inside a module. It is restarted only when nobody is, and everybody sees that it was.
//!
//! Locks of the standard library wait without end, and a module that hangs never lets go, so this one has deadlines.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The gate of one module.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How often the module was restarted. Sessions and handles of an earlier epoch are dead, and their numbers may
    /// belong to others by now.
    epoch: u64,
    /// Calls under way.
    inside: usize,
    /// Somebody waits until nobody is inside.
    waiting: bool,
    /// Nobody is inside, and the module is being restarted.
    restarting: bool,
}

/// The right to call the module, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    gate: &'a Gate,
    pub(crate) epoch: u64,
}

/// Somebody does not come out of the module in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hung;

impl Gate {
    /// Enters, at most after [`LONGEST_WAIT`] if a restart is under way.
    pub(crate) fn enter(&self) -> Result<Pass<'_>, Hung> {
        let deadline = Instant::now() + LONGEST_WAIT;
        let mut state = self.lock();
        while state.waiting || state.restarting {
            state = self.wait(state, deadline)?;
        }
        Ok(self.pass(state))
    }

    /// Enters to close a session. Whoever is inside already may, for no restart can begin before it is out.
    pub(crate) fn enter_to_close(&self) -> Result<Pass<'_>, Hung> {
        let deadline = Instant::now() + LONGEST_WAIT;
        let mut state = self.lock();
        while state.restarting {
            state = self.wait(state, deadline)?;
        }
        Ok(self.pass(state))
    }

    /// Restarts the module when nobody is inside, unless somebody has done so since `epoch`. To be called from outside.
    pub(crate) fn restart<E>(
        &self,
        epoch: u64,
        restart: impl FnOnce() -> Result<(), E>,
    ) -> Result<Result<(), E>, Hung> {
        let deadline = Instant::now() + LONGEST_WAIT;
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
        // Also after a failure: C_Finalize may have gone through.
        state.epoch += 1;
        state.restarting = false;
        drop(state);
        self.changed.notify_all();
        Ok(done)
    }

    fn pass(&self, mut state: MutexGuard<'_, State>) -> Pass<'_> {
        state.inside += 1;
        Pass { gate: self, epoch: state.epoch }
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

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.inside -= 1;
        // Waking is a call of the system, and hardly ever does anybody wait.
        let wake = state.waiting && state.inside == 0;
        drop(state);
        if wake {
            self.gate.changed.notify_all();
        }
    }
}

/// For others to come out. A call takes milliseconds, an RSA key of 4096 bits in a TPM longer; whoever is out of time
/// tries again at the next signature.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::thread;

    use super::Gate;

    #[test]
    fn a_restart_waits_until_nobody_is_inside_and_is_made_once() {
        let gate = Gate::default();
        let pass = gate.enter().unwrap();
        let (epoch, mut restarts) = (pass.epoch, 0);
        thread::scope(|scope| {
            let other = scope.spawn(|| gate.restart(epoch, || Err::<(), _>("counted")).unwrap());
            // Whoever is inside may close its session, also while somebody waits.
            drop(gate.enter_to_close().unwrap());
            drop(pass);
            assert_eq!(other.join().unwrap(), Err("counted"));
        });
        // The same fault seen by another thread: the restart has been made.
        gate.restart(epoch, || {
            restarts += 1;
            Ok::<_, ()>(())
        })
        .unwrap()
        .unwrap();
        assert_eq!((restarts, gate.enter().unwrap().epoch), (0, epoch + 1));
    }
}
