//! Options for opening a token.

use std::{path::PathBuf, time::Duration};

use crate::token::{config::TokenConfig, pin::Pin};

/// Options for opening a token: module, PIN, threads and limits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenOptions {
    /// The module for URIs without `module-path`. Default: none.
    pub module: Option<PathBuf>,
    /// The PIN for URIs without `pin-source`. Default: none.
    pub pin: Option<Pin>,
    /// Number of signing threads; each has its own session. Default 4, at least 1, at most 8, and
    /// fewer if the token has fewer sessions. A TPM executes one command at a time and gains
    /// nothing from more than 1.
    pub workers: usize,
    /// Maximum number of queued signatures. Default 64: on a slow token (100 signatures per second)
    /// the last one is still signed well within the deadline.
    pub queue: usize,
    /// Maximum wait for one signature, including the time in the queue. Default 10 s.
    pub sign_timeout: Duration,
    /// Maximum wait for opening, finding, listing and destroying. Default 30 s. These calls run one
    /// after the other, and wait while a key is generated.
    pub call_timeout: Duration,
    /// Maximum wait for a new key. Default 5 min, because a TPM takes minutes for some RSA keys.
    pub generate_timeout: Duration,
    /// How often each idle signing thread tests its session. The test is a signature over a fixed
    /// text, or a look at the session if the token has not signed yet. A fault is found and healed
    /// before a signature is needed, and devices that close idle sessions keep them open. `None`:
    /// never. Default 1 min.
    pub keep_alive: Option<Duration>,
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
        }
    }
}

impl TokenOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The options that a configuration file sets. The module is set by the caller.
    #[must_use]
    pub fn configured(config: &TokenConfig) -> Self {
        let options = Self::new();
        match config.keep_alive_seconds {
            None => options,
            Some(0) => options.without_keep_alive(),
            Some(seconds) => options.keep_alive(Duration::from_secs(seconds)),
        }
    }

    /// Sets the module for URIs without `module-path`.
    #[must_use]
    pub fn module(mut self, path: impl Into<PathBuf>) -> Self {
        self.module = Some(path.into());
        self
    }

    /// Sets the PIN for URIs without `pin-source`.
    #[must_use]
    pub fn pin(mut self, pin: Pin) -> Self {
        self.pin = Some(pin);
        self
    }

    /// Sets the number of signing threads.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets the maximum number of queued signatures.
    #[must_use]
    pub fn queue(mut self, queue: usize) -> Self {
        self.queue = queue;
        self
    }

    /// Sets the maximum wait for one signature.
    #[must_use]
    pub fn sign_timeout(mut self, timeout: Duration) -> Self {
        self.sign_timeout = timeout;
        self
    }

    /// Sets the maximum wait for opening, finding, listing and destroying.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// Sets the maximum wait for a new key.
    #[must_use]
    pub fn generate_timeout(mut self, timeout: Duration) -> Self {
        self.generate_timeout = timeout;
        self
    }

    /// Sets how often idle sessions are tested.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive = Some(interval);
        self
    }

    /// Tests no idle sessions: for tokens that bill, log or count each signature.
    #[must_use]
    pub fn without_keep_alive(mut self) -> Self {
        self.keep_alive = None;
        self
    }
}

/// Maximum wait for a call. Network HSMs answer within seconds even during a failover.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);
