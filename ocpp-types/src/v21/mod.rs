//! The messages of OCPP 2.1: 90 actions that are called and answered, and one that is sent only, with their data types and enumerations, under the
//! specification's own names.

#[rustfmt::skip]
mod generated;

pub use generated::*;
