//! The record of what an authority signs.

pub(crate) mod chain;
pub(crate) mod event;
pub(crate) mod index;
