//! The roots that are installed: which certificates are accepted as such, and what changes them.

pub(crate) mod plan;
pub(crate) mod root;
pub(crate) mod rules;
