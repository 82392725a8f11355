//! Calls of a module that are waited for only so long.
//!
//! PKCS #11 has no deadlines, and a thread that hangs in a module cannot be stopped. So whatever calls a module, save for
//! the signing threads, runs on a thread of its own, and whoever asked for it is told in time. The thread is left behind;
//! of these a module has so many at most.

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

use crate::{io::token::TokenError, metrics};

/// The calls of one module.
#[derive(Debug, Default)]
pub(crate) struct Errands {
    /// Threads that nobody waits for any more and that have not come back.
    lost: Arc<AtomicUsize>,
}

/// What a call knows of whoever asked for it.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<Wait>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wait {
    /// Somebody waits, until the deadline.
    #[default]
    ToTheDeadline,
    /// Somebody waits until the end, which is near.
    ToTheEnd,
    /// Nobody waits any more.
    Over,
}

impl Errands {
    /// Runs something that calls the module, and waits for it so long.
    ///
    /// What comes back later is dropped on its own thread. Where `work` is not even begun, it is leaked: dropping it might
    /// call the module.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        after: Duration,
        work: impl FnOnce(&Waiting) -> Result<T, TokenError> + Send + 'static,
    ) -> Result<T, TokenError> {
        let work = ManuallyDrop::new(work);
        self.admit()?;
        let (sender, receiver) = mpsc::sync_channel(1);
        let waiting = Arc::new(Waiting::default());
        let call = Call { waiting: Arc::clone(&waiting), lost: Arc::clone(&self.lost) };
        let run = move || {
            let result = ManuallyDrop::into_inner(work)(&call.waiting);
            if call.waiting.hold() {
                drop(sender.try_send(result));
            }
        };
        thread::Builder::new().name("pkcs11-call".to_owned()).spawn(run).map_err(TokenError::Thread)?;
        let panicked = || TokenError::Thread(io::Error::other("the thread panicked"));
        match receiver.recv_timeout(after) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) if waiting.leave(&self.lost) => {
                tracing::error!(?after, "the token does not answer: a call is left behind in its module");
                Err(TokenError::NoAnswer { after })
            }
            Err(RecvTimeoutError::Timeout) => receiver.recv().map_err(|_| panicked())?,
            Err(RecvTimeoutError::Disconnected) => Err(panicked()),
        }
    }

    /// Whether one more call may be made.
    pub(crate) fn admit(&self) -> Result<(), TokenError> {
        if self.lost.load(Ordering::SeqCst) < MOST_LOST { Ok(()) } else { Err(TokenError::Hung) }
    }
}

impl Waiting {
    /// Whether somebody still waits. If so, it is from now on until the end: the module must not be called any more.
    pub(crate) fn hold(&self) -> bool {
        let mut wait = self.lock();
        if *wait == Wait::ToTheDeadline {
            *wait = Wait::ToTheEnd;
        }
        *wait == Wait::ToTheEnd
    }

    /// Whether nobody waits any more.
    pub(crate) fn is_over(&self) -> bool {
        *self.lock() == Wait::Over
    }

    /// Waits no more, unless the end is near.
    fn leave(&self, lost: &AtomicUsize) -> bool {
        let mut wait = self.lock();
        if *wait == Wait::ToTheDeadline {
            *wait = Wait::Over;
            lost.fetch_add(1, Ordering::SeqCst);
            metrics::left_behind();
        }
        *wait == Wait::Over
    }

    fn lock(&self) -> MutexGuard<'_, Wait> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way.
struct Call {
    waiting: Arc<Waiting>,
    lost: Arc<AtomicUsize>,
}

impl Drop for Call {
    fn drop(&mut self) {
        if *self.waiting.lock() == Wait::Over {
            self.lost.fetch_sub(1, Ordering::SeqCst);
            metrics::came_back();
            tracing::info!("a call that nobody waits for any more has come back from the token");
        }
    }
}

/// Calls that may be left behind in one module: as many as it has signing threads by default. Each costs a thread until
/// the module lets it go, and one more would find out nothing new.
const MOST_LOST: usize = 4;

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, mpsc},
        time::Duration,
    };

    use super::{Errands, MOST_LOST};
    use crate::io::token::TokenError;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn so_many_calls_are_left_behind_and_no_more_until_one_comes_back() {
        let errands = Errands::default();
        let (release, hangs): (Vec<_>, Vec<_>) = (0..MOST_LOST).map(|_| mpsc::sync_channel::<()>(1)).unzip();
        for hang in hangs {
            let work = move |_: &_| {
                let _ = hang.recv();
                Ok(())
            };
            let error = errands.run(Duration::ZERO, work).unwrap_err();
            assert!(matches!(error, TokenError::NoAnswer { after: Duration::ZERO }), "{error}");
        }
        let never = Arc::new(());
        let begun = Arc::clone(&never);
        let error = errands.run(LONG, move |_| Ok(begun)).unwrap_err();
        assert!(matches!(error, TokenError::Hung), "{error}");
        assert_eq!(Arc::strong_count(&never), 2, "what was not begun is not dropped either");
        drop(release);
        while errands.admit().is_err() {
            std::thread::yield_now();
        }
        assert_eq!(errands.run(LONG, |_| Ok(7)).unwrap(), 7);
    }

    #[test]
    fn whoever_is_told_to_wait_to_the_end_does() {
        let errands = Errands::default();
        let (held, is_held) = mpsc::sync_channel(1);
        let made = errands.run(Duration::from_millis(1), move |waiting| {
            let holds = waiting.hold();
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
        let errands = Errands::default();
        let error = errands.run(LONG, |_| -> Result<(), _> { panic!("of the test") }).unwrap_err();
        assert!(matches!(error, TokenError::Thread(_)), "{error}");
        assert!(errands.admit().is_ok());
    }
}
