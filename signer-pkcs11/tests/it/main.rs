//! Tests on a real token, judged by OpenSSL and webpki.
#![allow(clippy::unwrap_used, reason = "in the helpers of tests, as in tests")]

mod child;
mod csr;
mod editions;
mod faults;
mod hsm;
mod issuance;
mod key_kinds;
mod keys;
mod negative;
mod openssl;
mod profiles;
mod python;
mod record;
mod refusals;
mod remote;
mod shutdown;
mod signing;
mod softhsm;
mod suite;
mod tls;
mod tokens;
