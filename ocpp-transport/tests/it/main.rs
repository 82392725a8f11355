//! A station and a CSMS over real sockets.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod calls;
mod lab;
mod lifecycle;
mod malformed;
mod pki;
mod tls;
mod tls_details;
mod upgrade;
