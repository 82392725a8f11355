//! How a token is opened.

use std::{path::PathBuf, time::Duration};

use crate::{io::login::FinalTry, pin::Pin};

/// How a token is opened: module, PIN, threads and bounds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenOptions {
    /// The module for URIs without `module-path`. Default: none.
    pub module: Option<PathBuf>,
    /// The PIN for URIs without `pin-source`. Default: none.
    pub pin: Option<Pin>,
    /// Threads that sign, each with a session of its own. Default 4, at least 1, at most 8; fewer where the token has
    /// not as many sessions. A TPM executes one command at a time and gains nothing from more than 1.
    pub workers: usize,
    /// Signatures that may wait. Default 64: at the speed of a slow token (100 signatures per second) the last one
    /// still gets its turn well within the deadline.
    pub queue: usize,
    /// Longest wait for one signature, including the time in the queue. Default 10 s.
    pub sign_timeout: Duration,
    /// Longest wait for anything but a signature and a new key: opening, finding, listing, destroying. Default 30 s. Such
    /// calls have their turn one after the other, and wait while a key is generated.
    pub call_timeout: Duration,
    /// Longest wait for a new key. Default 5 min, because a TPM takes minutes for some RSA keys.
    pub generate_timeout: Duration,
    /// How often each signing thread that had nothing to do proves its session, by a signature over a fixed text where it
    /// has signed before. What is wrong is found and healed before somebody needs the token, and some devices close
    /// sessions that sit idle. `None`: never. Default 1 min.
    pub keep_alive: Option<Duration>,
    /// What to do when one more wrong PIN would lock the token. Default: refuse.
    pub final_try: FinalTry,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            module: None,
            pin: None,
            workers: 4,
            queue: 64,
            sign_timeout: Duration::from_secs(10),
            call_timeout: CALL_TIMEOUT,
            generate_timeout: Duration::from_secs(300),
            keep_alive: Some(Duration::from_secs(60)),
            final_try: FinalTry::Refuse,
        }
    }
}

impl TokenOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the module for URIs without `module-path`.
    pub fn module(mut self, path: impl Into<PathBuf>) -> Self {
        self.module = Some(path.into());
        self
    }

    /// Sets the PIN for URIs without `pin-source`.
    pub fn pin(mut self, pin: Pin) -> Self {
        self.pin = Some(pin);
        self
    }

    /// Sets the number of signing threads.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets how many signatures may wait.
    pub fn queue(mut self, queue: usize) -> Self {
        self.queue = queue;
        self
    }

    /// Sets the longest wait for one signature.
    pub fn sign_timeout(mut self, timeout: Duration) -> Self {
        self.sign_timeout = timeout;
        self
    }

    /// Sets the longest wait for anything but a signature and a new key.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// Sets the longest wait for a new key.
    pub fn generate_timeout(mut self, timeout: Duration) -> Self {
        self.generate_timeout = timeout;
        self
    }

    /// Sets how often idle sessions are proved.
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive = Some(interval);
        self
    }

    /// Proves no idle sessions: for tokens that bill, log or count each signature.
    pub fn without_keep_alive(mut self) -> Self {
        self.keep_alive = None;
        self
    }

    /// Sets what to do when one more wrong PIN would lock the token.
    pub fn final_try(mut self, final_try: FinalTry) -> Self {
        self.final_try = final_try;
        self
    }
}

/// Longest wait for a call. Network HSMs answer within seconds even while they fail over.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);
