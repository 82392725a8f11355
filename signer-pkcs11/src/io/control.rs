//! The session that serves everything but signing, lent to one call at a time.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use cryptoki::session::Session;

use crate::io::{
    errand::Waiting,
    fault::{self, Class},
    gate::Hung,
    session::OwnSession,
    token::{Access, SessionKind, Token, TokenError},
};

/// Where the control session is. Being open it also keeps the login alive, which ends with the last session.
pub(crate) struct Control {
    seat: Mutex<Seat>,
    freed: Condvar,
}

enum Seat {
    /// Free. `None`: lost, to be opened again at the next use.
    Free(Option<OwnSession>),
    /// Lent to a call, which gives it back by then.
    Lent {
        until: Instant,
    },
    ShutDown,
}

impl Control {
    pub(crate) fn new(session: OwnSession) -> Self {
        Self { seat: Mutex::new(Seat::Free(Some(session))), freed: Condvar::new() }
    }

    /// Takes the session for so long. It is waited for so long too, and longer where a key is being generated, for which
    /// everything else waits: many tokens do one thing at a time.
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

    /// Gives the session back, or says that it is lost. What comes back too late is returned, to be closed.
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

    /// Lends it to nobody any more, and returns it once it is back, at the latest after `limit`.
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

impl Token {
    /// Runs something in the control session; in a new one if that was lost, or logged out by somebody else; and after a
    /// restart of the module if that is what it takes.
    pub(crate) fn with_session<T: Send + 'static>(
        &self,
        mut run: impl FnMut(&Session) -> cryptoki::error::Result<T> + Send + 'static,
    ) -> Result<T, TokenError> {
        self.with_session_within(self.0.call_timeout, move |session, _| run(session))
    }

    /// The same with another deadline, for something that wants to know whether it is still waited for.
    pub(crate) fn with_session_within<T: Send + 'static>(
        &self,
        after: Duration,
        mut run: impl FnMut(&Session, &Waiting) -> cryptoki::error::Result<T> + Send + 'static,
    ) -> Result<T, TokenError> {
        let (access, control) = (&self.0.access, &self.0.control);
        let errands = access.module.errands();
        errands.admit()?;
        let mut session = control.borrow(after).map_err(|refusal| match refusal {
            Refusal::Lent => TokenError::NoAnswer { after },
            Refusal::ShutDown => TokenError::ShutDown,
        })?;
        let within = Arc::clone(access);
        let ran = errands.run(after, move |waiting| {
            let result = within.heal_and_run(&mut session, |session| run(session, waiting));
            Ok((session, result))
        });
        let (session, result) = ran.unwrap_or_else(|error| (None, Err(error)));
        if let Some(late) = control.give_back(session) {
            close(access, late, after);
        }
        result
    }
}

impl Access {
    /// Runs something in this session, or in a new one.
    fn heal_and_run<T>(
        &self,
        session: &mut Option<OwnSession>,
        mut run: impl FnMut(&Session) -> cryptoki::error::Result<T>,
    ) -> Result<T, TokenError> {
        if let Some(open) = session {
            // Without the check, a token that was logged out would simply show no private keys.
            let ran = open.run(|session| self.sees_private_objects(session).then(|| run(session)));
            match ran.map_err(|Hung| TokenError::Hung)?.flatten() {
                Some(Ok(value)) => return Ok(value),
                Some(Err(error)) => match fault::class(&error) {
                    Class::Request | Class::Login => return Err(self.failed(&error)),
                    Class::Session => {}
                    Class::Module if self.module.restart(open.epoch()) => {}
                    Class::Module => return Err(self.failed(&error)),
                },
                None => {}
            }
        }
        tracing::warn!(token = self.label(), "session lost or logged out, opening a new one");
        *session = None;
        let opened = self.open_healing(SessionKind::ReadWrite)?;
        let ran = opened.run(&mut run).map_err(|Hung| TokenError::Hung)?;
        *session = Some(opened);
        match ran {
            Some(result) => result.map_err(|error| self.failed(&error)),
            None => Err(TokenError::Hung),
        }
    }
}

/// Closes a session, which calls the module.
pub(crate) fn close(access: &Access, session: OwnSession, after: Duration) {
    let closed = access.module.errands().run(after, move |_| {
        drop(session);
        Ok(())
    });
    if let Err(error) = closed {
        tracing::warn!(token = access.label(), %error, "a session is left open");
    }
}
