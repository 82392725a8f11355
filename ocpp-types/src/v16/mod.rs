//! The messages of OCPP 1.6: its core and its security extension, 39 actions. The schemas name no
//! types, so the types have the names of the specification.

#[cfg(not(feature = "build-codegen"))]
#[rustfmt::skip]
mod generated;

#[cfg(feature = "build-codegen")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/v16/mod.rs"));
}

pub use generated::*;
