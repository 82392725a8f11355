//! The metrics of tokens, reported through the facade of the crate [`metrics`].
//!
//! To read them, install a recorder of that crate before [`Token::open`](crate::Token::open).
//! Without a recorder nothing is kept. `token` is the token's label.
//!
//! | name | kind | unit | labels |
//! |---|---|---|---|
//! | [`SIGNATURES`] `pkcs11_signatures_total` | counter | requested signatures | `token`, `outcome` |
//! | [`SIGN_SECONDS`] `pkcs11_sign_duration_seconds` | histogram | seconds from the request of a signature to its result, including the time in the queue | `token` |
//! | [`WORKS`] `pkcs11_token_works` | gauge | 1, or 0 while signatures fail (including those of idle sessions) or a call has been running for 5 s | `token` |
//! | [`FAULTS`] `pkcs11_faults_total` | counter | faults that a token returned instead of a signature, recovered or not | `token`, `code` |
//! | [`LOGINS`] `pkcs11_logins_total` | counter | login attempts | `token`, `outcome` |
//! | [`RESTARTS`] `pkcs11_module_restarts_total` | counter | restarts of a module (C_Finalize and C_Initialize) | |
//! | [`LEFT_BEHIND`] `pkcs11_threads_left_behind` | gauge | threads that hang in a module after their caller has given up | |
//!
//! `outcome` of a signature is `ok`, `busy`, `timeout`, `unavailable`, `key_gone`, `shut_down` or
//! `failed`, of a login `ok`, `refused` or `failed`. `code` is the name of a return value of PKCS
//! #11, such as `DeviceError`, `other` for a vendor's own code, `no_session`, `session_gone` or
//! `key_gone`.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use ::metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::key::signer::SignError;

/// Signatures that were requested.
pub const SIGNATURES: &str = "pkcs11_signatures_total";
/// Duration of signatures in seconds, including the time in the queue.
pub const SIGN_SECONDS: &str = "pkcs11_sign_duration_seconds";
/// Whether the last signature succeeded.
pub const WORKS: &str = "pkcs11_token_works";
/// Faults that tokens returned instead of signatures.
pub const FAULTS: &str = "pkcs11_faults_total";
/// Login attempts.
pub const LOGINS: &str = "pkcs11_logins_total";
/// Restarts of a module (C_Finalize and C_Initialize).
pub const RESTARTS: &str = "pkcs11_module_restarts_total";
/// Threads that hang in a module after their caller has given up.
pub const LEFT_BEHIND: &str = "pkcs11_threads_left_behind";

/// The metrics of one token.
pub(crate) struct TokenMetrics {
    token: String,
    signed: Counter,
    seconds: Histogram,
    works: Gauge,
    /// A call did not return in time, and none has succeeded since.
    hanging: AtomicBool,
}

impl TokenMetrics {
    /// The metrics go to the recorder that is installed now.
    pub(crate) fn new(token: &str) -> Self {
        describe();
        // Registered at the start, so that the first restart is a change.
        counter!(RESTARTS).increment(0);
        gauge!(LEFT_BEHIND).increment(0);
        let works = gauge!(WORKS, "token" => token.to_owned());
        works.set(1);
        Self {
            token: token.to_owned(),
            signed: signatures(token, "ok"),
            seconds: histogram!(SIGN_SECONDS, "token" => token.to_owned()),
            works,
            hanging: AtomicBool::new(false),
        }
    }

    /// Counts a signature that has ended after this time.
    pub(crate) fn signed<T>(&self, duration: Duration, result: &Result<T, SignError>) {
        let outcome = match result {
            Ok(_) => {
                self.signed.increment(1);
                return self.seconds.record(duration);
            }
            Err(SignError::Busy { .. }) => "busy",
            Err(SignError::Timeout { .. }) => "timeout",
            Err(SignError::Unavailable { .. }) => "unavailable",
            Err(SignError::KeyGone { .. }) => "key_gone",
            Err(SignError::ShutDown) => "shut_down",
            Err(_) => "failed",
        };
        signatures(&self.token, outcome).increment(1);
    }

    /// A signature succeeded after one that had failed.
    pub(crate) fn works_again(&self) {
        self.works.set(1);
    }

    /// A signature failed.
    pub(crate) fn fails(&self) {
        self.works.set(0);
    }

    /// A call did not return in time.
    pub(crate) fn hangs(&self) {
        self.hanging.store(true, Ordering::Release);
        self.works.set(0);
    }

    /// Whether this is the first success after a call that did not return in time.
    pub(crate) fn came_back(&self) -> bool {
        self.hanging.swap(false, Ordering::AcqRel)
    }

    /// The token returned this fault.
    pub(crate) fn fault(&self, code: String) {
        counter!(FAULTS, "token" => self.token.clone(), "code" => code).increment(1);
    }
}

/// Counts a login attempt.
pub(crate) fn login(token: &str, outcome: &'static str) {
    counter!(LOGINS, "token" => token.to_owned(), "outcome" => outcome).increment(1);
}

/// Counts a restart of a module.
pub(crate) fn restarted() {
    counter!(RESTARTS).increment(1);
}

/// Counts a thread that is left behind in a module.
pub(crate) fn left_behind() {
    gauge!(LEFT_BEHIND).increment(1);
}

/// Counts a thread that has returned from the module.
pub(crate) fn came_back() {
    gauge!(LEFT_BEHIND).decrement(1);
}

fn signatures(token: &str, outcome: &'static str) -> Counter {
    counter!(SIGNATURES, "token" => token.to_owned(), "outcome" => outcome)
}

/// Describes each metric to the recorder.
fn describe() {
    describe_counter!(SIGNATURES, Unit::Count, "Signatures that were requested");
    describe_histogram!(
        SIGN_SECONDS,
        Unit::Seconds,
        "Duration of signatures, including the time in the queue"
    );
    describe_gauge!(WORKS, Unit::Count, "1, or 0 while signatures fail");
    describe_counter!(FAULTS, Unit::Count, "Faults that tokens returned instead of signatures");
    describe_counter!(LOGINS, Unit::Count, "Login attempts");
    describe_counter!(RESTARTS, Unit::Count, "Restarts of a module");
    describe_gauge!(
        LEFT_BEHIND,
        Unit::Count,
        "Threads that hang in a module after their caller has given up"
    );
}
