//! Connects a station, and keeps it connected.

pub(crate) mod config;
pub(crate) mod connect;
mod dial;
pub(crate) mod supervisor;
