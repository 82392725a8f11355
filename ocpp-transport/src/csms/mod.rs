//! The CSMS's side: which peers it counts as one, which failures it reports, and how it shuts down.

pub(crate) mod drain;
pub(crate) mod episodes;
pub(crate) mod io;
pub(crate) mod network;
