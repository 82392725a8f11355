//! The messages about the device model. One file per version translates them. Everything that the
//! versions share is decided elsewhere.

pub(super) mod v16;
mod v2;
pub mod v201;
pub mod v21;
