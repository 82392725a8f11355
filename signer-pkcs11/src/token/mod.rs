//! Facts about a token that do not require a call.

pub(crate) mod breaker;
pub(crate) mod config;
pub(crate) mod fault;
pub(crate) mod pin;
pub(crate) mod slot;
pub(crate) mod uri;
