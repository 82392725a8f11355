//! The installed roots: the rules for them, and the changes of them.

pub(crate) mod plan;
pub(crate) mod root;
pub(crate) mod rules;
