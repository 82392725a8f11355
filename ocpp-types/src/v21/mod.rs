//! The messages of OCPP 2.1: 90 actions with an answer, and one that is sent only, with their data
//! types and enumerations, under the specification's own names.

#[cfg(not(feature = "build-codegen"))]
#[rustfmt::skip]
mod generated;

#[cfg(feature = "build-codegen")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/v21/mod.rs"));
}

pub use generated::*;
