//! Tests idle sessions periodically, so that a fault is found and healed before a signature is
//! needed.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError, Weak},
    thread,
    time::Duration,
};

use crate::{
    io::{
        signing::pool::{LOOK_AFTER, Pool},
        token::errors::TokenError,
    },
    token::breaker::Health,
};

/// The thread that tests idle sessions. It ends when this is dropped.
pub(crate) struct KeepAlive(Arc<Stop>);

#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl KeepAlive {
    /// Starts the thread.
    pub(crate) fn start(
        pool: &Arc<Pool>,
        interval: Duration,
        sign_timeout: Duration,
    ) -> Result<Self, TokenError> {
        let stop = Arc::new(Stop::default());
        let seen = Arc::clone(&stop);
        let pool = Arc::downgrade(pool);
        thread::Builder::new()
            .name("pkcs11-keep".to_owned())
            .spawn(move || keep(&pool, &seen, interval, sign_timeout))
            .map_err(TokenError::Thread)?;
        Ok(Self(stop))
    }
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        *self.0.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

/// It never calls the module itself, so it can always end.
fn keep(pool: &Weak<Pool>, stop: &Stop, interval: Duration, sign_timeout: Duration) {
    let mut wait = interval;
    loop {
        if stop.wait(wait) {
            return;
        }
        let Some(testing) = pool.upgrade() else { return };
        testing.test_idle_sessions();
        drop(testing);
        // A thread that hangs by then is replaced. If all threads hang, the breaker opens.
        let hangs = sign_timeout + AWAKE;
        let look_after = LOOK_AFTER.min(hangs);
        if stop.wait(look_after) {
            return;
        }
        let Some(looking) = pool.upgrade() else { return };
        looking.note_hanging();
        drop(looking);
        if stop.wait(hangs - look_after) {
            return;
        }
        let Some(tested) = pool.upgrade() else { return };
        tested.timed_out();
        let health = tested.health().health();
        drop(tested);
        wait = match health {
            Health::Works => interval.saturating_sub(hangs),
            // One signature then tests whether the token works again.
            Health::LeftAlone { retry_after } => retry_after.min(interval),
            Health::Fails => SOON.min(interval),
        };
    }
}

impl Stop {
    /// Waits until the limit or until it is stopped, and returns whether it was stopped.
    fn wait(&self, limit: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(stopped, limit, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// After this time a woken thread has begun its test, so that its running time shows whether it
/// hangs.
const AWAKE: Duration = Duration::from_millis(500);

/// After a failure that has not opened the breaker yet.
const SOON: Duration = Duration::from_millis(500);
