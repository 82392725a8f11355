//! Security events (A04): noted durably, and reported when the CSMS listens.

pub(crate) mod log;
pub(crate) mod recorder;

pub use self::log::{EventState, LoggedEvent, security_log};
