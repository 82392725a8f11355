//! Threads that sign: each owns one session, all serve one bounded queue.
//!
//! PKCS #11 has no deadlines, and a thread that hangs in the module cannot be stopped. Its caller is told in time, and
//! another thread takes its place, up to a limit; when the call comes back after all, the thread ends.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    algorithm::SignatureAlgorithm,
    breaker::Admission,
    io::{
        key::KeyName,
        queue::{Next, PushError, Queue},
        session::OwnSession,
        token::{Access, SessionKind, TokenError},
        worker::Worker,
    },
    metrics,
    sign::SignError,
};

/// The signing threads of a token.
pub(crate) struct Pool {
    access: Arc<Access>,
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
    /// Threads that were replaced and have not come back.
    lost: usize,
    /// As many may be.
    most_lost: usize,
}

/// What is seen of a thread from outside.
#[derive(Default)]
struct Watch {
    busy_since: Mutex<Option<Instant>>,
    /// It was replaced, and ends when it comes back.
    lost: AtomicBool,
}

/// One signature to be made.
pub(crate) struct Job {
    pub(crate) key: Arc<KeyName>,
    pub(crate) algorithm: SignatureAlgorithm,
    /// What the token signs: see [`SignatureAlgorithm::token_input`].
    pub(crate) input: Vec<u8>,
    /// Length of what the token has to give back.
    pub(crate) raw_bytes: usize,
    /// When it was asked for.
    pub(crate) asked: Instant,
    /// How long it is waited for.
    pub(crate) timeout: Duration,
    pub(crate) reply: Reply,
}

/// Where a signature is waited for.
pub(crate) enum Reply {
    /// A thread, possibly inside `block_on`, where tokio's own blocking receive would panic.
    Thread(mpsc::SyncSender<Result<Vec<u8>, SignError>>),
    /// A task.
    Task(oneshot::Sender<Result<Vec<u8>, SignError>>),
}

/// How many threads have not ended yet.
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
            queue: Arc::new(Queue::new(queue)),
            running: Arc::default(),
            threads: Mutex::default(),
            sign_timeout,
        };
        for number in 0..workers {
            let session = match access.open(SessionKind::ReadOnly) {
                Ok(session) => session,
                // Fewer threads sign too.
                Err(_) if number > 0 => break,
                Err(error) => return Err(error),
            };
            let mut threads = pool.threads();
            pool.spawn(&mut threads, Some(session))?;
            threads.most_lost += 1;
        }
        Ok(pool)
    }

    /// Queues a signature, or refuses at once.
    pub(crate) fn submit(&self, job: Job) -> Result<(), SignError> {
        if let Admission::Refuse { retry_after } = self.access.breaker().admit(Instant::now()) {
            return Err(SignError::Unavailable { retry_after });
        }
        self.queue.try_push(job).map_err(|error| match error {
            PushError::Full => SignError::Busy { waiting: self.queue.capacity() },
            PushError::Closed => SignError::ShutDown,
        })
    }

    /// Has every signing thread that had nothing to do prove its session.
    pub(crate) fn prove(&self) {
        self.queue.nudge();
    }

    /// A caller has waited in vain: threads that hang are replaced, and where that is no longer possible the token is
    /// left alone.
    pub(crate) fn timed_out(&self) {
        let now = Instant::now();
        let mut threads = self.threads();
        let hangs = |watch: &Watch| {
            let busy_since = *watch.busy_since.lock().unwrap_or_else(PoisonError::into_inner);
            busy_since.is_some_and(|since| now.saturating_duration_since(since) >= self.sign_timeout)
        };
        let live =
            threads.all.iter().map(|(_, watch)| watch).filter(|watch| !watch.lost.load(Ordering::SeqCst));
        let (hanging, working): (Vec<_>, Vec<_>) = live.map(Arc::clone).partition(|watch| hangs(watch));
        for watch in hanging {
            if threads.lost >= threads.most_lost {
                if working.is_empty() {
                    drop(threads);
                    self.access.left_alone();
                }
                return;
            }
            watch.lost.store(true, Ordering::SeqCst);
            metrics::left_behind();
            threads.lost += 1;
            tracing::error!(
                token = self.access.label(),
                "a signing thread hangs in the token and is replaced"
            );
            if let Err(error) = self.spawn(&mut threads, None) {
                tracing::error!(%error, "no thread takes its place");
                return;
            }
        }
    }

    /// Ordered end: no more jobs, those that wait are served, threads joined, their sessions closed.
    ///
    /// A thread that hangs in the module cannot be stopped. After the limit it is left behind, and the module must not be
    /// called any more: `false`.
    pub(crate) fn close(&self, limit: Duration) -> bool {
        self.queue.close();
        let threads = std::mem::take(&mut self.threads().all);
        if threads.is_empty() {
            return true;
        }
        if self.running.wait_for_end(limit) {
            for (thread, _) in threads {
                // A panic of a worker was reported by the thread itself.
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
        let mut worker = Worker::new(&self.access, session, self.sign_timeout);
        let seen = Arc::clone(&watch);
        let mut nudges = self.queue.nudges();
        let thread = thread::Builder::new()
            .name(format!("pkcs11-sign-{}", threads.started))
            .spawn(move || {
                while let Some(next) = queue.pop(&mut nudges) {
                    seen.set(Some(Instant::now()));
                    match next {
                        Next::Job(job) => worker.serve(job),
                        Next::Nudge => worker.prove(),
                    }
                    seen.set(None);
                    if seen.lost.load(Ordering::SeqCst) {
                        metrics::came_back();
                        tracing::info!("a signing thread has come back from the token and ends");
                        break;
                    }
                }
                // The session is closed before the thread counts as ended.
                drop(worker);
                drop(guard);
            })
            .map_err(TokenError::Thread)?;
        threads.started += 1;
        // Those that came back have ended, and make room for others to be lost.
        threads.all.retain(|(thread, _)| !thread.is_finished());
        threads.lost = threads.all.iter().filter(|(_, watch)| watch.lost.load(Ordering::SeqCst)).count();
        threads.all.push((thread, watch));
        Ok(())
    }

    fn threads(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Reached with threads only if the token could not be opened fully.
        self.close(Duration::from_secs(5));
    }
}

impl Watch {
    fn set(&self, busy_since: Option<Instant>) {
        *self.busy_since.lock().unwrap_or_else(PoisonError::into_inner) = busy_since;
    }
}

impl Job {
    /// Nobody waits for it: no token time is spent on it.
    pub(crate) fn is_abandoned(&self) -> bool {
        let dropped = match &self.reply {
            Reply::Task(sender) => sender.is_closed(),
            Reply::Thread(_) => false,
        };
        dropped || self.asked.elapsed() >= self.timeout
    }
}

impl Reply {
    /// Whoever no longer waits, does not get it.
    pub(crate) fn send(self, result: Result<Vec<u8>, SignError>) {
        match self {
            Self::Thread(sender) => drop(sender.try_send(result)),
            Self::Task(sender) => drop(sender.send(result)),
        }
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

/// Counts a thread as running until it is dropped, also by a panic.
struct Entered(Arc<Running>);

impl Drop for Entered {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.ended.notify_all();
    }
}
