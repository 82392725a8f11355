//! The server that stations connect to, from the first byte to the admission.

pub(crate) mod admission;
pub(crate) mod config;
mod open;
mod registry;
pub(crate) mod server;
mod shared;
mod turnstile;
