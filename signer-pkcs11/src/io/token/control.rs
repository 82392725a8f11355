//! The control session, which serves everything except signing, for one call at a time.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use cryptoki::session::Session;
use program::causes;

use crate::io::token::{
    access::{Access, SessionKind},
    errors::TokenError,
    fault::{self, Class},
    module::{calls::Caller, restart_lock::Hung, session::OwnSession},
};

/// The control session. While it is open the login stays valid, which ends with the last session.
pub(crate) struct Control {
    seat: Mutex<Seat>,
    freed: Condvar,
}

enum Seat {
    /// Free. `None`: lost, and opened again at the next use.
    Free(Option<OwnSession>),
    /// Lent to a call, which returns it by then.
    Lent {
        until: Instant,
    },
    ShutDown,
}

impl Control {
    pub(crate) fn new(session: OwnSession) -> Self {
        Self { seat: Mutex::new(Seat::Free(Some(session))), freed: Condvar::new() }
    }

    /// Runs a closure in the session. Uses a new session if it was lost or logged out by other
    /// code, and restarts the module if that is necessary.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        access: &Arc<Access>,
        after: Duration,
        mut run: impl FnMut(&Session, &Caller) -> cryptoki::error::Result<T> + Send + 'static,
    ) -> Result<T, TokenError> {
        let calls = access.module.calls();
        calls.admit()?;
        let mut session = self.borrow(after).map_err(|refusal| match refusal {
            Refusal::Lent => TokenError::NoAnswer { after },
            Refusal::ShutDown => TokenError::ShutDown,
        })?;
        let within = Arc::clone(access);
        let ran = calls.run(after, move |caller| {
            let result = heal_and_run(&within, &mut session, |session| run(session, caller));
            Ok((session, result))
        });
        let (session, result) = ran.unwrap_or_else(|error| (None, Err(error)));
        if let Some(late) = self.give_back(session) {
            close(access, late, after);
        }
        result
    }

    /// Takes the session for this time, and waits for it as long. Waits longer while a key is
    /// generated, because many tokens execute one command at a time.
    fn borrow(&self, after: Duration) -> Result<Option<OwnSession>, Refusal> {
        let asked = Instant::now();
        let mut seat = self.lock();
        loop {
            let now = Instant::now();
            let lent_until = match std::mem::replace(&mut *seat, Seat::Lent { until: now + after }) {
                Seat::Free(session) => return Ok(session),
                Seat::ShutDown => {
                    *seat = Seat::ShutDown;
                    return Err(Refusal::ShutDown);
                }
                Seat::Lent { until } => {
                    *seat = Seat::Lent { until };
                    until
                }
            };
            let left = lent_until.max(asked + after).saturating_duration_since(now);
            if left.is_zero() {
                return Err(Refusal::Lent);
            }
            seat = self.freed.wait_timeout(seat, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Returns the session, or reports that it is lost. A session that returns after the shutdown
    /// is handed back to be closed.
    fn give_back(&self, session: Option<OwnSession>) -> Option<OwnSession> {
        let mut seat = self.lock();
        let late = match *seat {
            Seat::ShutDown => session,
            Seat::Free(_) | Seat::Lent { .. } => {
                *seat = Seat::Free(session);
                None
            }
        };
        drop(seat);
        self.freed.notify_one();
        late
    }

    /// Lends the session no more, and returns it once it is free, at the latest after `limit`.
    pub(crate) fn shut_down(&self, limit: Duration) -> Option<OwnSession> {
        let is_lent = |seat: &mut Seat| matches!(seat, Seat::Lent { .. });
        let waited = self.freed.wait_timeout_while(self.lock(), limit, is_lent);
        let (mut seat, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let last = std::mem::replace(&mut *seat, Seat::ShutDown);
        drop(seat);
        self.freed.notify_all();
        match last {
            Seat::Free(session) => session,
            Seat::Lent { .. } | Seat::ShutDown => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the session is not lent.
enum Refusal {
    Lent,
    ShutDown,
}

/// Runs a closure in this session, or in a new one.
fn heal_and_run<T>(
    access: &Access,
    session: &mut Option<OwnSession>,
    mut run: impl FnMut(&Session) -> cryptoki::error::Result<T>,
) -> Result<T, TokenError> {
    if let Some(open) = session {
        // Without the check, a token that was logged out would show no private keys.
        let ran = open.run(|session| access.sees_private_objects(session).then(|| run(session)));
        match ran.map_err(|Hung| TokenError::Hung)?.flatten() {
            Some(Ok(value)) => return Ok(value),
            Some(Err(error)) => match fault::class(&error) {
                Class::Request | Class::Login => return Err(access.failed(&error)),
                Class::Session => {}
                Class::Module if access.module.restart(open.epoch()) => {}
                Class::Module => return Err(access.failed(&error)),
            },
            None => {}
        }
    }
    tracing::warn!(token = access.label(), "session lost or logged out, opening a new one");
    *session = None;
    let opened = access.open_healing(SessionKind::ReadWrite)?;
    let ran = opened.run(&mut run).map_err(|Hung| TokenError::Hung)?;
    *session = Some(opened);
    match ran {
        Some(result) => result.map_err(|error| access.failed(&error)),
        None => Err(TokenError::Hung),
    }
}

/// Closes a session, which calls the module.
pub(crate) fn close(access: &Access, session: OwnSession, after: Duration) {
    let closed = access.module.calls().run(after, move |_| {
        drop(session);
        Ok(())
    });
    if let Err(error) = closed {
        tracing::warn!(token = access.label(), error = %causes(&error), "a session is left open");
    }
}
