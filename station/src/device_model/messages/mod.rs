//! The messages about the device model: a file for each version translates them, and decides
//! nothing that the versions share.

pub(super) mod v16;
mod v2;
pub mod v201;
pub mod v21;
