//! Sends connected stations what is due, and renews what is due.

pub(crate) mod ahead;
pub(crate) mod deliveries;
pub(crate) mod renewals;
