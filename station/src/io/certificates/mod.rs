//! The installed certificates: the handlers of the messages about them, and their revocation
//! status.

pub(crate) mod handlers;
pub(crate) mod statuses;
