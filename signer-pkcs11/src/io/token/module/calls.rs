//! Calls of a module with a deadline.
//!
//! PKCS #11 has no deadlines, and a thread that hangs in a module cannot be stopped. So every call
//! of a module, except those of the signing threads, runs on its own thread, and its caller gets an
//! error in time. The thread is left behind. At most four calls per module may be left behind.

use std::{
    io,
    mem::ManuallyDrop,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use crate::{io::token::errors::TokenError, metrics};

/// The calls of one module.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Threads that have not returned and whose caller has given up.
    abandoned: Arc<AtomicUsize>,
}

/// Whether the caller of a call still waits.
#[derive(Debug, Default)]
pub(crate) struct Caller(Mutex<Wait>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wait {
    /// The caller waits until the deadline.
    #[default]
    ToTheDeadline,
    /// The caller waits until the end, which is near.
    ToTheEnd,
    /// The caller has given up.
    Over,
}

impl Calls {
    /// Runs a closure that calls the module, and waits for it at most this long.
    ///
    /// A result that comes later is dropped on its own thread. If `work` is not started, it is
    /// leaked: dropping it might call the module.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        after: Duration,
        work: impl FnOnce(&Caller) -> Result<T, TokenError> + Send + 'static,
    ) -> Result<T, TokenError> {
        let work = ManuallyDrop::new(work);
        self.admit()?;
        let (sender, receiver) = mpsc::sync_channel(1);
        let caller = Arc::new(Caller::default());
        let call = Call { caller: Arc::clone(&caller), abandoned: Arc::clone(&self.abandoned) };
        let run = move || {
            let result = ManuallyDrop::into_inner(work)(&call.caller);
            if call.caller.hold() {
                drop(sender.try_send(result));
            }
        };
        let named = thread::Builder::new().name("pkcs11-call".to_owned());
        let thread = named.spawn(run).map_err(TokenError::Thread)?;
        let panicked = || TokenError::Thread(io::Error::other("the thread panicked"));
        let result = match receiver.recv_timeout(after) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) if caller.leave(&self.abandoned) => {
                tracing::error!(?after, "the token does not answer: a call is left behind in its module");
                return Err(TokenError::NoAnswer { after });
            }
            Err(RecvTimeoutError::Timeout) => receiver.recv().unwrap_or_else(|_| Err(panicked())),
            Err(RecvTimeoutError::Disconnected) => Err(panicked()),
        };
        // A module may keep data for each thread, which is freed when the thread ends: that must
        // not happen while the process ends or the module is initialized again. A panic is in
        // `result`.
        let _ = thread.join();
        result
    }

    /// Whether one more call may be made.
    pub(crate) fn admit(&self) -> Result<(), TokenError> {
        if self.abandoned.load(Ordering::SeqCst) < MAX_ABANDONED_CALLS {
            Ok(())
        } else {
            Err(TokenError::Hung)
        }
    }
}

impl Caller {
    /// Whether the caller still waits. If so, it waits until the end from now on: the module must
    /// not be called any more.
    pub(crate) fn hold(&self) -> bool {
        let mut wait = self.lock();
        if *wait == Wait::ToTheDeadline {
            *wait = Wait::ToTheEnd;
        }
        *wait == Wait::ToTheEnd
    }

    /// Whether the caller has given up.
    pub(crate) fn is_over(&self) -> bool {
        *self.lock() == Wait::Over
    }

    /// Gives up, unless the end is near.
    fn leave(&self, abandoned: &AtomicUsize) -> bool {
        let mut wait = self.lock();
        if *wait == Wait::ToTheDeadline {
            *wait = Wait::Over;
            abandoned.fetch_add(1, Ordering::SeqCst);
            metrics::left_behind();
        }
        *wait == Wait::Over
    }

    fn lock(&self) -> MutexGuard<'_, Wait> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running call.
struct Call {
    caller: Arc<Caller>,
    abandoned: Arc<AtomicUsize>,
}

impl Drop for Call {
    fn drop(&mut self) {
        if *self.caller.lock() == Wait::Over {
            self.abandoned.fetch_sub(1, Ordering::SeqCst);
            metrics::came_back();
            tracing::info!("a call whose caller had given up has returned from the token");
        }
    }
}

/// Calls that may be left behind in one module: as many as it has signing threads by default. Each
/// costs a thread until the module returns, and a further call would only hang as well.
const MAX_ABANDONED_CALLS: usize = 4;

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, mpsc},
        time::Duration,
    };

    use super::{Calls, MAX_ABANDONED_CALLS};
    use crate::io::token::errors::TokenError;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn so_many_calls_are_left_behind_and_no_more_until_one_comes_back() {
        let calls = Calls::default();
        let (release, hangs): (Vec<_>, Vec<_>) =
            (0..MAX_ABANDONED_CALLS).map(|_| mpsc::sync_channel::<()>(1)).unzip();
        for hang in hangs {
            let work = move |_: &_| {
                let _ = hang.recv();
                Ok(())
            };
            let error = calls.run(Duration::ZERO, work).unwrap_err();
            assert!(matches!(error, TokenError::NoAnswer { after: Duration::ZERO }), "{error}");
        }
        let never = Arc::new(());
        let begun = Arc::clone(&never);
        let error = calls.run(LONG, move |_| Ok(begun)).unwrap_err();
        assert!(matches!(error, TokenError::Hung), "{error}");
        assert_eq!(Arc::strong_count(&never), 2, "what was not begun is not dropped either");
        drop(release);
        while calls.admit().is_err() {
            std::thread::yield_now();
        }
        assert_eq!(calls.run(LONG, |_| Ok(7)).unwrap(), 7);
    }

    #[test]
    fn whoever_is_told_to_wait_to_the_end_does() {
        let calls = Calls::default();
        let (held, is_held) = mpsc::sync_channel(1);
        let made = calls.run(Duration::from_millis(1), move |caller| {
            let holds = caller.hold();
            held.send(holds).unwrap();
            Ok("made")
        });
        // Either way both sides agree.
        match (is_held.recv().unwrap(), made) {
            (true, Ok("made")) | (false, Err(TokenError::NoAnswer { .. })) => {}
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_panic_is_told_and_is_not_counted() {
        let calls = Calls::default();
        let error = calls.run(LONG, |_| -> Result<(), _> { panic!("of the test") }).unwrap_err();
        assert!(matches!(error, TokenError::Thread(_)), "{error}");
        assert!(calls.admit().is_ok());
    }
}
