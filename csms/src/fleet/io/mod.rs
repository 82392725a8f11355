//! Asks connected stations for what is due.

pub(crate) mod ahead;
