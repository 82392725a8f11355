//! The messages of OCPP 2.0.1: 64 actions, with their data types and enumerations, under the specification's own names.

#[rustfmt::skip]
mod generated;

pub use generated::*;
