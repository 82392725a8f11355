//! The messages of OCPP 2.0.1: 64 actions, with their data types and enumerations, under the
//! specification's own names.

#[cfg(not(feature = "build-codegen"))]
#[rustfmt::skip]
mod generated;

#[cfg(feature = "build-codegen")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/v201/mod.rs"));
}

pub use generated::*;
