//! Security events (A04): recorded durably, and reported when the CSMS can receive them.

pub(crate) mod log;
pub(crate) mod recorder;

pub use self::log::{EventState, LoggedEvent, security_log};
