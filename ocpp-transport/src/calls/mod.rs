//! CALLs in both directions: their handlers, their callers, and how they fail.

pub(crate) mod failure;
pub(crate) mod io;
pub(crate) mod mailbox;
