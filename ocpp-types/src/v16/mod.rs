//! The messages of OCPP 1.6: its core and its security extension, 39 actions. The schemas name no types; they have the names of the
//! specification here.

#[rustfmt::skip]
mod generated;

pub use generated::*;
