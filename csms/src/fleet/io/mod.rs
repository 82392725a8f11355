//! Sends certificates that are due to connected stations, and makes the renewals that are due.

pub(crate) mod ahead;
pub(crate) mod deliveries;
pub(crate) mod renewals;
