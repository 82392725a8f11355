//! A station and a CSMS, over a simulated link and over real sockets.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod calls;
mod deflate;
mod error_table;
mod lab;
mod lifecycle;
mod malformed;
mod observability;
mod ocpp_rpc;
mod pki;
mod python;
mod raw_frames;
mod s_client;
mod session;
mod simulation;
mod supervisor;
mod testssl;
mod tls;
mod tls_details;
mod tls_suites;
mod tls_trust;
mod upgrade;
mod versions;
