//! A station and a CSMS over real sockets.

mod calls;
mod lab;
mod lifecycle;
mod malformed;
mod pki;
mod tls;
mod upgrade;
