//! Whether a token signs, judged by its last signatures.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::{
    io::{key::name::KeyName, signing::job::Job, token::module::Module},
    key::{algorithm::SignatureAlgorithm, signer::SignError},
    metrics::TokenMetrics,
    token::breaker::{Admission, Breaker, Health},
};

/// The health of a token, judged by the signatures that it made or failed to make.
pub(crate) struct TokenHealth {
    token: String,
    module: Arc<Module>,
    breaker: Mutex<Breaker>,
    last: Mutex<Option<LastSignature>>,
    metrics: TokenMetrics,
}

/// The key and algorithm of a successful signature.
#[derive(Clone)]
pub(crate) struct LastSignature {
    pub(crate) key: Arc<KeyName>,
    pub(crate) algorithm: SignatureAlgorithm,
    /// Length of what the token returned.
    pub(crate) raw_bytes: usize,
}

impl TokenHealth {
    pub(crate) fn new(token: &str, module: &Arc<Module>) -> Self {
        Self {
            token: token.to_owned(),
            module: Arc::clone(module),
            breaker: Mutex::new(Breaker::new()),
            last: Mutex::default(),
            metrics: TokenMetrics::new(token),
        }
    }

    /// Whether a signature may be attempted now.
    pub(crate) fn admit(&self) -> Admission {
        self.breaker().admit(Instant::now())
    }

    pub(crate) fn health(&self) -> Health {
        self.breaker().health(Instant::now())
    }

    /// The last successful signature.
    pub(crate) fn last(&self) -> MutexGuard<'_, Option<LastSignature>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key is gone: idle sessions are not tested with it.
    pub(crate) fn forget(&self, gone: &KeyName) {
        self.last().take_if(|last| *last.key == *gone);
    }

    /// A signature was made: the module works, and its next restart need not wait.
    pub(crate) fn works(&self) {
        self.answers();
        self.module.works();
    }

    /// The token answered, whether or not it signed.
    pub(crate) fn answers(&self) {
        // Under the lock, so that the metric and the breaker agree if two threads report at the
        // same time.
        let mut breaker = self.breaker();
        let had_failed = breaker.succeeded();
        if self.metrics.came_back() || had_failed {
            self.metrics.works_again();
        }
    }

    /// A call did not return in time.
    pub(crate) fn hangs(&self) {
        let _breaker = self.breaker();
        self.metrics.hangs();
    }

    /// Another call than a signature has returned in time.
    pub(crate) fn returns(&self) {
        let breaker = self.breaker();
        if breaker.health(Instant::now()) == Health::Works && self.metrics.came_back() {
            self.metrics.works_again();
        }
    }

    pub(crate) fn fails(&self) {
        let mut breaker = self.breaker();
        self.metrics.fails();
        let wait = breaker.failed(Instant::now(), jitter());
        drop(breaker);
        if let Some(wait) = wait {
            tracing::error!(
                token = self.token,
                ?wait,
                "the token failed repeatedly and is not called for a while"
            );
        }
    }

    /// All signing threads hang.
    pub(crate) fn suspend(&self) {
        let mut breaker = self.breaker();
        self.metrics.fails();
        let wait = breaker.open(Instant::now(), jitter());
        drop(breaker);
        tracing::error!(
            token = self.token,
            ?wait,
            "all signing threads hang in the token, it is not called for a while"
        );
    }

    /// Counts a fault of the token.
    pub(crate) fn fault(&self, code: String) {
        self.metrics.fault(code);
    }

    /// Counts a signature that was requested at this time and has ended.
    pub(crate) fn signed<T>(&self, asked: Instant, result: &Result<T, SignError>) {
        self.metrics.signed(asked.elapsed(), result);
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LastSignature {
    pub(crate) fn of(job: &Job) -> Self {
        Self { key: Arc::clone(&job.key), algorithm: job.algorithm, raw_bytes: job.raw_bytes }
    }

    pub(crate) fn is_like(&self, job: &Job) -> bool {
        Arc::ptr_eq(&self.key, &job.key) && self.algorithm == job.algorithm
    }
}

/// Without random bytes the waits are not spread, which does no other harm.
fn jitter() -> u8 {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte);
    byte[0]
}
