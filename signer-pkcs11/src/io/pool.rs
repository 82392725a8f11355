//! Threads that sign: each owns one session, all serve one bounded queue.

use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use cryptoki::{
    object::{Attribute, ObjectClass, ObjectHandle},
    session::Session,
};
use tokio::sync::oneshot;

use crate::{
    algorithm::SignatureAlgorithm,
    encoding::ecdsa_signature_to_der,
    io::{
        fault,
        key::KeyName,
        queue::{PushError, Queue},
        template::signing_mechanism,
        token::{Access, SessionKind, TokenError},
    },
    sign::{SignError, TokenFault},
};

/// The signing threads of a token.
pub(crate) struct Pool {
    queue: Arc<Queue<Job>>,
    running: Arc<Running>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// One signature to be made.
pub(crate) struct Job {
    pub(crate) key: KeyName,
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
    pub(crate) fn start(access: &Arc<Access>, workers: usize, queue: usize) -> Result<Self, TokenError> {
        let pool =
            Self { queue: Arc::new(Queue::new(queue)), running: Arc::default(), threads: Mutex::default() };
        for number in 0..workers {
            let session = match access.open(SessionKind::ReadOnly) {
                Ok(session) => session,
                // Fewer threads sign too.
                Err(_) if number > 0 => break,
                Err(error) => return Err(error),
            };
            pool.spawn(number, Worker::new(access, session))?;
        }
        Ok(pool)
    }

    /// Queues a signature, or refuses at once.
    pub(crate) fn submit(&self, job: Job) -> Result<(), SignError> {
        self.queue.try_push(job).map_err(|error| match error {
            PushError::Full => SignError::Busy { waiting: self.queue.capacity() },
            PushError::Closed => SignError::ShutDown,
        })
    }

    /// Ordered end: no more jobs, those that wait are served, threads joined, their sessions closed.
    ///
    /// A thread that hangs in the module cannot be stopped. After the limit it is left behind.
    pub(crate) fn close(&self, limit: Duration) {
        self.queue.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        if threads.is_empty() {
            return;
        }
        if self.running.wait_for_end(limit) {
            for thread in threads {
                // A panic of a worker was reported by the thread itself.
                let _ = thread.join();
            }
        } else {
            tracing::error!("the token does not answer, a signing thread is left behind");
        }
    }

    fn spawn(&self, number: usize, mut worker: Worker) -> Result<(), TokenError> {
        let queue = Arc::clone(&self.queue);
        let guard = Running::enter(&self.running);
        let thread = thread::Builder::new()
            .name(format!("pkcs11-sign-{number}"))
            .spawn(move || {
                while let Some(job) = queue.pop() {
                    worker.serve(job);
                }
                // The session is closed before the thread counts as ended.
                drop(worker);
                drop(guard);
            })
            .map_err(TokenError::Thread)?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Reached with threads only if the token could not be opened fully.
        self.close(Duration::from_secs(5));
    }
}

/// A thread's state: its session, and the key handles found in it.
struct Worker {
    access: Arc<Access>,
    session: Option<Session>,
    /// Finding an object is linear in their number on many tokens.
    handles: HashMap<KeyName, ObjectHandle>,
}

/// Why one attempt failed.
enum Attempt {
    Module(cryptoki::error::Error),
    Token(TokenError),
    /// Somebody logged the process out, which hides private keys.
    LoggedOut,
    KeyGone,
}

impl Worker {
    fn new(access: &Arc<Access>, session: Session) -> Self {
        Self { access: Arc::clone(access), session: Some(session), handles: HashMap::new() }
    }

    fn serve(&mut self, job: Job) {
        if job.is_abandoned() {
            job.reply.send(Err(SignError::Timeout { after: job.timeout }));
            return;
        }
        let result = self.sign(&job);
        if let Err(error) = &result {
            tracing::warn!(key = job.key.label(), error = %chain(error), "signing failed");
        }
        job.reply.send(result);
    }

    fn sign(&mut self, job: &Job) -> Result<Vec<u8>, SignError> {
        let raw = match self.attempt(job) {
            // ECDSA signatures may be made twice, so one retry in a new session does no harm.
            Err(Attempt::Module(error)) if fault::is_session_fault(&error) => {
                tracing::info!(error = %fault::fault(&error), "session lost, opening a new one");
                self.attempt(job)
            }
            Err(Attempt::LoggedOut) => self.attempt(job),
            // A cached handle is not involved here: the key was looked for, and is not there.
            other => other,
        };
        let raw = raw.map_err(|attempt| match attempt {
            Attempt::Module(error) => SignError::Token(fault::fault(&error)),
            Attempt::Token(TokenError::Token { source, .. }) => SignError::Token(source),
            Attempt::Token(error) => {
                SignError::Token(TokenFault::new("opening a session", error.to_string()))
            }
            Attempt::LoggedOut => SignError::Token(TokenFault::new("C_FindObjects", "no login")),
            Attempt::KeyGone => SignError::KeyGone { key: job.key.to_string() },
        })?;
        if raw.len() != job.raw_bytes {
            return Err(SignError::Garbage { bytes: raw.len() });
        }
        match job.algorithm {
            SignatureAlgorithm::EcdsaSha256 | SignatureAlgorithm::EcdsaSha384 => {
                ecdsa_signature_to_der(&raw, job.raw_bytes / 2).ok_or(SignError::Garbage { bytes: raw.len() })
            }
            _ => Ok(raw),
        }
    }

    fn attempt(&mut self, job: &Job) -> Result<Vec<u8>, Attempt> {
        let result = self.attempt_in_session(job);
        if result.is_err() {
            // A failed C_Sign may leave its operation active for ever, and handles die with the login.
            self.handles.clear();
            self.session = None;
        }
        result
    }

    fn attempt_in_session(&mut self, job: &Job) -> Result<Vec<u8>, Attempt> {
        if self.session.is_none() {
            self.session = Some(self.access.open(SessionKind::ReadOnly).map_err(Attempt::Token)?);
        }
        let session = self.session.as_ref().ok_or(Attempt::KeyGone)?;
        let handle = match self.handles.get(&job.key) {
            Some(handle) => *handle,
            None => {
                let found = session.find_objects(&job.key.private_template()).map_err(Attempt::Module)?;
                let Some(&handle) = found.first() else {
                    let visible = self.access.sees_private_objects(session);
                    return Err(if visible { Attempt::KeyGone } else { Attempt::LoggedOut });
                };
                self.handles.insert(job.key.clone(), handle);
                handle
            }
        };
        session.sign(&signing_mechanism(job.algorithm), handle, &job.input).map_err(Attempt::Module)
    }
}

impl KeyName {
    fn private_template(&self) -> [Attribute; 3] {
        [
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::Id(self.id().into()),
            Attribute::Label(self.label().into()),
        ]
    }
}

impl Job {
    /// Nobody waits for it: no token time is spent on it.
    fn is_abandoned(&self) -> bool {
        let dropped = match &self.reply {
            Reply::Task(sender) => sender.is_closed(),
            Reply::Thread(_) => false,
        };
        dropped || self.asked.elapsed() >= self.timeout
    }
}

impl Reply {
    /// Whoever no longer waits, does not get it.
    fn send(self, result: Result<Vec<u8>, SignError>) {
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

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
