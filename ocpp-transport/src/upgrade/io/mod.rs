//! The head of an HTTP message, from a socket.

pub(crate) mod head;
