//! The handlers that answer the peer's CALLs, and the handle that makes CALLs.

pub(crate) mod handlers;
pub(crate) mod peer;
pub(crate) mod reply;
pub(crate) mod router;
