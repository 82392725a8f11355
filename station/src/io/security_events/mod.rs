//! Security events (A04): recorded durably, and reported when the CSMS can receive them.

pub(crate) mod log;
pub(crate) mod recorder;

mod reading;

pub use self::reading::{EventState, LoggedEvent, security_log};
