//! The HTTP handshake that opens a WebSocket, as bytes (RFC 6455, section 4; 2.0.1 Part 4, 3).

pub mod basic;
mod headers;
pub(crate) mod io;
pub mod path_segment;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub use crate::upgrade::response::NoCommonSubprotocol;

pub(crate) use crate::upgrade::request::{Authorization, HttpRefusal, parse_request, request};
pub(crate) use crate::upgrade::response::{
    Opened, ResponseError, accept, check_response, open_and_close, refuse, status_of,
};

/// The longest head of an HTTP request or response, in bytes. Real ones have a few hundred.
pub(crate) const MAX_HEAD_BYTES: usize = 8 * 1024;
