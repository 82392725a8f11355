//! What is counted of tokens, through the facade of the crate [`metrics`].
//!
//! Whoever wants the figures installs a recorder of that crate before [`Token::open`](crate::Token::open); without one,
//! nothing is kept. `token` is a token's label.
//!
//! | name | kind | unit | labels |
//! |---|---|---|---|
//! | [`SIGNATURES`] `pkcs11_signatures_total` | counter | signatures that were asked for | `token`, `outcome` |
//! | [`SIGN_SECONDS`] `pkcs11_sign_duration_seconds` | histogram | seconds from asking for a signature until it is there, with its time in the queue | `token` |
//! | [`WORKS`] `pkcs11_token_works` | gauge | 1, or 0 while signatures fail, those of idle sessions included | `token` |
//! | [`FAULTS`] `pkcs11_faults_total` | counter | what a token answered in place of a signature, healed or not | `token`, `code` |
//! | [`LOGINS`] `pkcs11_logins_total` | counter | attempts to log in | `token`, `outcome` |
//! | [`RESTARTS`] `pkcs11_module_restarts_total` | counter | times that a module was finalised and initialised again | |
//! | [`LEFT_BEHIND`] `pkcs11_threads_left_behind` | gauge | threads that hang in a module and that nobody waits for any more | |
//!
//! `outcome` of a signature is `ok`, `busy`, `timeout`, `unavailable`, `key_gone`, `shut_down` or `failed`, of a login `ok`,
//! `refused` or `failed`. `code` is the name of a return value of PKCS #11, such as `DeviceError`, `other` for one of a
//! vendor's own, `no_session`, `session_gone` or `key_gone`.

use std::time::Instant;

use ::metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::sign::SignError;

/// Signatures that were asked for.
pub const SIGNATURES: &str = "pkcs11_signatures_total";
/// How long signatures took, in seconds, with their time in the queue.
pub const SIGN_SECONDS: &str = "pkcs11_sign_duration_seconds";
/// Whether the last signature was made.
pub const WORKS: &str = "pkcs11_token_works";
/// What tokens answered in place of signatures.
pub const FAULTS: &str = "pkcs11_faults_total";
/// Attempts to log in.
pub const LOGINS: &str = "pkcs11_logins_total";
/// Times that a module was finalised and initialised again.
pub const RESTARTS: &str = "pkcs11_module_restarts_total";
/// Threads that hang in a module and that nobody waits for any more.
pub const LEFT_BEHIND: &str = "pkcs11_threads_left_behind";

/// The figures of one token.
pub(crate) struct TokenMetrics {
    token: String,
    signed: Counter,
    seconds: Histogram,
    works: Gauge,
}

impl TokenMetrics {
    /// The recorder that is installed now gets the figures.
    pub(crate) fn new(token: &str) -> Self {
        describe();
        // Told from the start, so that the first restart is a change.
        counter!(RESTARTS).increment(0);
        gauge!(LEFT_BEHIND).increment(0);
        let works = gauge!(WORKS, "token" => token.to_owned());
        works.set(1);
        Self {
            token: token.to_owned(),
            signed: signatures(token, "ok"),
            seconds: histogram!(SIGN_SECONDS, "token" => token.to_owned()),
            works,
        }
    }

    /// A signature that was asked for then has come to its end.
    pub(crate) fn signed<T>(&self, asked: Instant, result: &Result<T, SignError>) {
        let outcome = match result {
            Ok(_) => {
                self.signed.increment(1);
                return self.seconds.record(asked.elapsed());
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

    /// A signature was made after some that were not.
    pub(crate) fn works_again(&self) {
        self.works.set(1);
    }

    /// A signature was not made.
    pub(crate) fn fails(&self) {
        self.works.set(0);
    }

    /// The token answered so.
    pub(crate) fn fault(&self, code: String) {
        counter!(FAULTS, "token" => self.token.clone(), "code" => code).increment(1);
    }
}

/// An attempt to log in.
pub(crate) fn login(token: &str, outcome: &'static str) {
    counter!(LOGINS, "token" => token.to_owned(), "outcome" => outcome).increment(1);
}

/// A module was restarted.
pub(crate) fn restarted() {
    counter!(RESTARTS).increment(1);
}

/// A thread is left behind in a module.
pub(crate) fn left_behind() {
    gauge!(LEFT_BEHIND).increment(1);
}

/// It has come back.
pub(crate) fn came_back() {
    gauge!(LEFT_BEHIND).decrement(1);
}

fn signatures(token: &str, outcome: &'static str) -> Counter {
    counter!(SIGNATURES, "token" => token.to_owned(), "outcome" => outcome)
}

/// Tells the recorder that is installed what each metric is.
fn describe() {
    describe_counter!(SIGNATURES, Unit::Count, "Signatures that were asked for");
    describe_histogram!(SIGN_SECONDS, Unit::Seconds, "Time from asking for a signature until it is there");
    describe_gauge!(WORKS, Unit::Count, "1, or 0 while signatures fail");
    describe_counter!(FAULTS, Unit::Count, "What tokens answered in place of signatures");
    describe_counter!(LOGINS, Unit::Count, "Attempts to log in");
    describe_counter!(RESTARTS, Unit::Count, "Times that a module was finalised and initialised again");
    describe_gauge!(LEFT_BEHIND, Unit::Count, "Threads that hang in a module and that nobody waits for");
}
