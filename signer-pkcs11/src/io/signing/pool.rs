//! Signing threads: each owns one session, and all serve one bounded queue.
//!
//! PKCS #11 has no deadlines, and a thread that hangs in the module cannot be stopped. Its caller
//! gets an error in time, and another thread replaces it, up to a limit. If the call returns after
//! all, the thread ends.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use program::causes;

use crate::{
    io::{
        signing::{
            health::TokenHealth,
            job::Job,
            queue::{Next, PushError, Queue},
            worker::Worker,
        },
        token::{
            access::{Access, SessionKind},
            errors::TokenError,
            module::session::OwnSession,
        },
    },
    key::signer::SignError,
    metrics,
    token::breaker::Admission,
};

/// The signing threads of a token.
pub(crate) struct Pool {
    access: Arc<Access>,
    health: Arc<TokenHealth>,
    queue: Arc<Queue<Job>>,
    running: Arc<Running>,
    threads: Mutex<Threads>,
    /// A call that takes longer counts as hanging.
    sign_timeout: Duration,
}

#[derive(Default)]
struct Threads {
    all: Vec<(JoinHandle<()>, Arc<Watch>)>,
    started: usize,
    /// Threads that were replaced and have not returned.
    abandoned: usize,
    /// Maximum of `abandoned`.
    max_abandoned: usize,
}

/// The state of a thread, seen from outside.
#[derive(Default)]
struct Watch {
    busy_since: Mutex<Option<Instant>>,
    /// It was replaced, and ends when it returns.
    abandoned: AtomicBool,
}

/// Number of threads that have not ended.
#[derive(Default)]
struct Running {
    count: Mutex<usize>,
    ended: Condvar,
}

impl Pool {
    /// Opens the sessions and starts the threads.
    pub(crate) fn start(
        access: &Arc<Access>,
        workers: usize,
        queue: usize,
        sign_timeout: Duration,
    ) -> Result<Self, TokenError> {
        let pool = Self {
            access: Arc::clone(access),
            health: Arc::new(TokenHealth::new(access.label(), &access.module)),
            queue: Arc::new(Queue::new(queue)),
            running: Arc::default(),
            threads: Mutex::default(),
            sign_timeout,
        };
        for number in 0..workers {
            let session = match access.open(SessionKind::ReadOnly) {
                Ok(session) => session,
                // A token with fewer threads still signs.
                Err(_) if number > 0 => break,
                Err(error) => return Err(error),
            };
            let mut threads = pool.threads();
            pool.spawn(&mut threads, Some(session))?;
            threads.max_abandoned += 1;
        }
        Ok(pool)
    }

    /// The health of the token.
    pub(crate) fn health(&self) -> &TokenHealth {
        &self.health
    }

    /// Queues a signature, or refuses it at once.
    pub(crate) fn submit(&self, job: Job) -> Result<(), SignError> {
        if let Admission::Refuse { retry_after } = self.health.admit() {
            return Err(SignError::Unavailable { retry_after });
        }
        self.queue.try_push(job).map_err(|error| match error {
            PushError::Full => SignError::Busy { waiting: self.queue.capacity() },
            PushError::Closed => SignError::ShutDown,
        })
    }

    /// Wakes every idle signing thread to test its session.
    pub(crate) fn test_idle_sessions(&self) {
        self.queue.wake_idle();
    }

    /// Called after a caller has waited for a while: a call that has been running for [`MAX_CALL`]
    /// counts as a failure of the token, although its caller still waits.
    pub(crate) fn note_hanging(&self) {
        let now = Instant::now();
        let hangs = |watch: &Watch| {
            let busy_since = *watch.busy_since.lock().unwrap_or_else(PoisonError::into_inner);
            busy_since.is_some_and(|since| now.saturating_duration_since(since) >= MAX_CALL)
        };
        if self.threads().all.iter().any(|(_, watch)| hangs(watch)) {
            self.health.hangs();
        }
    }

    /// Called after a caller has given up: threads that hang are replaced. If no thread is left to
    /// replace them, the breaker opens.
    pub(crate) fn timed_out(&self) {
        let now = Instant::now();
        let mut threads = self.threads();
        let hangs = |watch: &Watch| {
            let busy_since = *watch.busy_since.lock().unwrap_or_else(PoisonError::into_inner);
            busy_since.is_some_and(|since| now.saturating_duration_since(since) >= self.sign_timeout)
        };
        let live = threads
            .all
            .iter()
            .map(|(_, watch)| watch)
            .filter(|watch| !watch.abandoned.load(Ordering::SeqCst));
        let (hanging, working): (Vec<_>, Vec<_>) = live.map(Arc::clone).partition(|watch| hangs(watch));
        for watch in hanging {
            if threads.abandoned >= threads.max_abandoned {
                if working.is_empty() {
                    drop(threads);
                    self.health.suspend();
                }
                return;
            }
            watch.abandoned.store(true, Ordering::SeqCst);
            metrics::left_behind();
            threads.abandoned += 1;
            tracing::error!(
                token = self.access.label(),
                "a signing thread hangs in the token and is replaced"
            );
            if let Err(error) = self.spawn(&mut threads, None) {
                tracing::error!(error = %causes(&error), "cannot replace the thread");
                return;
            }
        }
    }

    /// Closes the pool in order: no more jobs are accepted, queued jobs are served, threads are
    /// joined, their sessions are closed.
    ///
    /// A thread that hangs in the module cannot be stopped. After the limit it is left behind, and
    /// the module must not be called any more: returns `false`.
    pub(crate) fn close(&self, limit: Duration) -> bool {
        self.queue.close();
        let threads = std::mem::take(&mut self.threads().all);
        if threads.is_empty() {
            return true;
        }
        if self.running.wait_for_end(limit) {
            for (thread, _) in threads {
                // The thread itself has reported a panic.
                let _ = thread.join();
            }
            true
        } else {
            tracing::error!("the token does not answer, a signing thread is left behind");
            false
        }
    }

    fn spawn(&self, threads: &mut Threads, session: Option<OwnSession>) -> Result<(), TokenError> {
        let queue = Arc::clone(&self.queue);
        let guard = Running::enter(&self.running);
        let watch = Arc::new(Watch::default());
        let mut worker = Worker::new(&self.access, &self.health, session, self.sign_timeout);
        let seen = Arc::clone(&watch);
        let mut wakes = self.queue.wakes();
        let thread = thread::Builder::new()
            .name(format!("pkcs11-sign-{}", threads.started))
            .spawn(move || {
                let mut idle_since = Instant::now();
                while let Some(next) = queue.pop(&mut wakes) {
                    let begun = match &next {
                        // The running time counts from the request, even if this thread woke up
                        // late. So a thread that hangs is detected when its caller gives up.
                        Next::Job(job) => job.asked.max(idle_since),
                        Next::IdleTask => Instant::now(),
                    };
                    seen.set(Some(begun));
                    let answer = match next {
                        Next::Job(job) => Some(worker.serve(job)),
                        Next::IdleTask => {
                            worker.test_session();
                            None
                        }
                    };
                    // Before the answer is sent: its receiver may request the next signature at
                    // once.
                    seen.set(None);
                    idle_since = Instant::now();
                    let is_abandoned = seen.abandoned.load(Ordering::SeqCst);
                    if is_abandoned {
                        metrics::came_back();
                        tracing::info!("a signing thread has returned from the token and ends");
                    }
                    if let Some((reply, result)) = answer {
                        reply.send(result);
                    }
                    if is_abandoned {
                        break;
                    }
                }
                // The session is closed before the thread counts as ended.
                drop(worker);
                drop(guard);
            })
            .map_err(TokenError::Thread)?;
        threads.started += 1;
        // Threads that returned have ended, and others may be abandoned instead.
        threads.all.retain(|(thread, _)| !thread.is_finished());
        threads.abandoned =
            threads.all.iter().filter(|(_, watch)| watch.abandoned.load(Ordering::SeqCst)).count();
        threads.all.push((thread, watch));
        Ok(())
    }

    fn threads(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a call of the module may run before the token counts as failing. A TPM needs less for
/// RSA of 4096 bits.
const MAX_CALL: Duration = Duration::from_secs(5);

/// When a caller checks whether its call hangs: by then a thread has begun.
pub(crate) const LOOK_AFTER: Duration = MAX_CALL.saturating_add(Duration::from_millis(500));

impl Drop for Pool {
    fn drop(&mut self) {
        // Has threads only if opening the token failed.
        self.close(Duration::from_secs(5));
    }
}

impl Watch {
    fn set(&self, busy_since: Option<Instant>) {
        *self.busy_since.lock().unwrap_or_else(PoisonError::into_inner) = busy_since;
    }
}

impl Running {
    fn enter(running: &Arc<Self>) -> Entered {
        *running.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Entered(Arc::clone(running))
    }

    fn wait_for_end(&self, limit: Duration) -> bool {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, _) = self
            .ended
            .wait_timeout_while(count, limit, |count| *count > 0)
            .unwrap_or_else(PoisonError::into_inner);
        *count == 0
    }
}

/// Counts a thread as running until it is dropped, also after a panic.
struct Entered(Arc<Running>);

impl Drop for Entered {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.ended.notify_all();
    }
}
