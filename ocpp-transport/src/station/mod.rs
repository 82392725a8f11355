//! The station's side: where it connects, how often it tries, and which failures it reports.

pub(crate) mod backoff;
pub(crate) mod connection_events;
pub(crate) mod endpoint;
pub(crate) mod io;
pub(crate) mod reconnect;
