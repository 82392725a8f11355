//! The verification of the peer's certificate, on each side.

pub(crate) mod client;
mod handshake_signature;
pub(crate) mod server;
pub(crate) mod trust;
