//! TLS handshakes on a socket.

pub(crate) mod accept;
pub(crate) mod blocking;
