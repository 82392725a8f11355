//! A station and a CSMS, over a simulated link and over real sockets.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod calls;
mod deflate;
mod lab;
mod lifecycle;
mod malformed;
mod pki;
mod session;
mod tls;
mod tls_details;
mod upgrade;
