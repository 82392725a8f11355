//! Has idle sessions proved now and then, so that what is wrong is found and healed before somebody needs the token.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use crate::{
    breaker::Health,
    io::{
        pool::Pool,
        token::{Access, TokenError},
    },
};

/// The thread that does it, until this is dropped.
pub(crate) struct Keeper(Arc<Stop>);

#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Keeper {
    /// Starts it. A token without it works as well, so that the caller may go on without.
    pub(crate) fn start(
        access: &Arc<Access>,
        pool: &Arc<Pool>,
        interval: Duration,
        sign_timeout: Duration,
    ) -> Result<Self, TokenError> {
        let stop = Arc::new(Stop::default());
        let seen = Arc::clone(&stop);
        let (access, pool) = (Arc::clone(access), Arc::downgrade(pool));
        thread::Builder::new()
            .name("pkcs11-keeper".to_owned())
            .spawn(move || keep(&access, &pool, &seen, interval, sign_timeout))
            .map_err(TokenError::Thread)?;
        Ok(Self(stop))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        *self.0.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

/// It never calls the module itself, so nothing keeps it from ending.
fn keep(access: &Access, pool: &Weak<Pool>, stop: &Stop, interval: Duration, sign_timeout: Duration) {
    let mut wait = interval;
    loop {
        if stop.wait(wait) {
            return;
        }
        let Some(proving) = pool.upgrade() else { return };
        proving.prove();
        drop(proving);
        // A thread that hangs by then is replaced; where all do, the token is left alone.
        let hangs = sign_timeout + AWAKE;
        if stop.wait(hangs) {
            return;
        }
        let Some(proved) = pool.upgrade() else { return };
        proved.timed_out();
        drop(proved);
        wait = match access.breaker().health(Instant::now()) {
            Health::Works => interval.saturating_sub(hangs),
            // One signature then finds out whether it works again.
            Health::LeftAlone { retry_after } => retry_after.min(interval),
            Health::Fails => SOON.min(interval),
        };
    }
}

impl Stop {
    /// Waits so long, or until it is stopped, and says which.
    fn wait(&self, limit: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(stopped, limit, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// By then a nudged thread has begun: whether it hangs is told by how long it has been at it.
const AWAKE: Duration = Duration::from_millis(500);

/// After a failure that has not had the token left alone yet.
const SOON: Duration = Duration::from_millis(500);
