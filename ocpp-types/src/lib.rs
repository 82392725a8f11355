//! The messages of OCPP, with every bound of the schemas in their types.
//!
//! The types are generated from the official JSON schemas and accept what those accept: the length
//! of a string and the number of items of an array are part of the type. Unknown members, `null`
//! for an absent member, and the same member twice are refused. The data of vendors under
//! `customData` are kept. A refusal is explained in OCPP's own terms, with the place and the error
//! code of the CALLERROR.
//!
//! The crate contains no transport, no clock and no runtime; see `ocpp-transport` for the frames
//! around these payloads.
//!
//! A frame's action and payload, and the answer to it:
//!
//! ```
//! use ocpp_types::{
//!     encode,
//!     v201::{
//!         CsmsCall, DeleteCertificateResponse, DeleteCertificateStatusEnumType,
//!         HashAlgorithmEnumType,
//!     },
//! };
//!
//! let frame = r#"[2, "42", "DeleteCertificate", {"certificateHashData": {
//!     "hashAlgorithm": "SHA256",
//!     "issuerNameHash": "3f1a77bd08ff4b3f0d4a1a6a2e9b1a2c5a8b1a0f5d7be1c8a8a2d9c4c1b6e7f0",
//!     "issuerKeyHash": "8a2d9c4c1b6e7f03f1a77bd08ff4b3f0d4a1a6a2e9b1a2c5a8b1a0f5d7be1c8a",
//!     "serialNumber": "1b"
//! }}]"#;
//! let (_, id, action, payload): (u8, &str, &str, &serde_json::value::RawValue) =
//!     serde_json::from_str(frame)?;
//! let answer = match CsmsCall::decode(action, payload.get())? {
//!     CsmsCall::DeleteCertificate(request) => {
//!         assert_eq!(request.certificate_hash_data.hash_algorithm, HashAlgorithmEnumType::SHA256);
//!         let not_found = DeleteCertificateStatusEnumType::NotFound;
//!         let response = DeleteCertificateResponse::new(not_found);
//!         format!("[3,{id:?},{}]", encode(&response)?)
//!     }
//!     other => format!("[4,{id:?},\"NotSupported\",\"{} is not for me\",{{}}]", other.action()),
//! };
//! assert_eq!(answer, r#"[3,"42",{"status":"NotFound"}]"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A payload that breaks its schema, and the answer to it:
//!
//! ```
//! use ocpp_types::{Version, decode, v16, v201::SignCertificateRequest};
//!
//! let wrong = r#"{"csr": "…", "certificateType": "CSMSCertificate"}"#;
//! let error = decode::<SignCertificateRequest>(wrong).unwrap_err();
//! assert_eq!(error.pointer(), "/certificateType");
//! assert_eq!(error.rpc_code(Version::V201).as_str(Version::V201), "TypeConstraintViolation");
//!
//! let error = v16::StationCall::decode("SignCertificate", "{}").unwrap_err();
//! assert_eq!(error.rpc_code(Version::V16).as_str(Version::V16), "OccurenceConstraintViolation");
//! ```
//!
//! # Deviations from the schemas
//!
//! | JSON | Schema | Here | Why |
//! |---|---|---|---|
//! | An integer beyond 64 bits | allowed | refused | No quantity of OCPP is that large, and none is rounded |
//! | An integer from 2^53 on, written as `…e20` or `….0` | allowed | refused | It may not be the number that was written |
//! | An integer with a fraction too small for a float: `1.00000000000000000001` | refused | read as `1` | The JSON reader passes floats |
//! | A number with more digits than a float holds (17) | allowed | rounded, except in data of a vendor | [`Number`] is a float unless it is whole |
//! | Such a number that would break its bound or its one decimal by those digits | refused | rounded | As above |
//! | A number beyond the range of a float (1.8e308) | allowed | refused | As above |
//! | A date-time with more than 9 digits of a second | allowed | cut to the nanosecond | chrono has no finer resolution |
//! | A date-time of OCPP 1.6 without an offset or without seconds, or with an offset of two or four digits | refused | read; without an offset as UTC | OCPP 1.6, 3.14 requires ISO 8601, and stations and central systems write these forms |
//! | Half of a surrogate pair in a string: `"\ud800"` | not covered | refused | It is not Unicode text |
//! | More than 127 nested values | allowed | refused | The stack is finite |
//! | The same member twice | not covered | refused | The receivers of one frame must not understand it differently |
//!
//! Each row has its test in `tests/it/deviations.rs`; there are no other deviations. Three things
//! look like deviations and are none. OCPP 1.6 without its security extension uses draft-04 of JSON
//! Schema, in which `17.0` is not an integer, unlike in all later drafts. One decimal
//! (`multipleOf: 0.1`) is a rule about digits, so `0.3` satisfies it, whatever the division of
//! floats results in. A leap second is a date-time at 23:59:60 UTC only.
//!
//! # Features
//!
//! - `v201` (default): OCPP 2.0.1.
//! - `v16`: OCPP 1.6 with the messages of its security extension.
//! - `v21`: OCPP 2.1.
//! - `schemars`: every type implements `JsonSchema`, and the enumerations by action return the
//!   schema of each payload.
//! - `build-codegen`: the types are generated while the crate is built, from the schemas in the
//!   folder `OCPP_SCHEMAS` (an absolute path), such as an official download, whose descriptions
//!   then become part of the documentation.
//! - `std` (default): [`Timestamp`] from and to `SystemTime`. Without it the crate is `no_std` and
//!   needs `alloc`.
//!
//! # How to check this
//!
//! In a checkout, with Rust, a C compiler and Python installed:
//!
//! | Command | What it shows |
//! |---|---|
//! | `cargo xtask test -- -p ocpp-types -E 'test(differential)' --no-capture` | Payloads with and without one fault, for every message: our results beside those of the crate `jsonschema`, counted by class |
//! | `cargo xtask test -- -p ocpp-types -E 'test(second_judge)' --no-capture` | The same payloads, checked by Python's `jsonschema` |
//! | `cargo xtask schemas verify FOLDER_OR_ZIP` | That `schemas/` has the content of an official download |
//! | `cargo xtask fuzz check_payloads` | That no line of bytes breaks the decoder, and that it accepts nothing that `serde_json` refuses (needs a C++ compiler) |
//! | `cargo xtask bench types` | The time to decode and encode, compared with other crates and hand-written structs, and the cost of a build |
//! | `cargo run -p ocpp-types --example check_payloads < payloads.jsonl` | Your own payloads, a line each: `{"version":"2.0.1","message":"HeartbeatRequest","payload":{}}` |

#![cfg_attr(not(feature = "std"), no_std)]
// No version uses all of the shared code, and without any version it is unused.
#![cfg_attr(
    not(all(feature = "v16", feature = "v201", feature = "v21")),
    allow(dead_code, unused_imports, unused_macros)
)]

extern crate alloc;

mod bounded_string;
mod bounded_vec;
mod custom_data;
mod decode;
mod dispatch;
mod enumeration;
mod integer;
mod json;
#[cfg(feature = "schemars")]
mod json_schema;
mod number;
mod number_rules;
mod object;
mod request;
mod rpc_error_code;
mod timestamp;
mod uri;
#[cfg(feature = "v16")]
pub mod v16;
#[cfg(feature = "v201")]
pub mod v201;
#[cfg(feature = "v21")]
pub mod v21;
mod value;
mod written_number;

// Generated files import these from here: without `std` the prelude does not contain them.
use alloc::{string::String, vec::Vec};

pub use bounded_string::{BoundedString, TooLong};
pub use bounded_vec::{BoundedVec, NonEmptyVec, WrongCount};
pub use custom_data::{CustomData, CustomDataMembers};
pub use decode::{DecodeError, EncodeError, Violation, decode, encode};
pub use dispatch::DispatchError;
pub(crate) use dispatch::dispatch;
pub use enumeration::UnknownValue;
pub(crate) use enumeration::enumeration;
pub use integer::{BoundedInteger, OutOfRange};
pub(crate) use integer::{Digits, Integer};
pub use number::{NotFinite, Number};
pub use number_rules::{BoundedNumber, NotTenths, NotWithin, Tenths};
pub(crate) use object::object;
pub use request::{Notification, Request, Sender, UnknownSubprotocol, Version};
pub use rpc_error_code::RpcErrorCode;
pub(crate) use timestamp::Iso8601;
pub use timestamp::{NotATimestamp, Timestamp};
pub use uri::{NotAUri, Uri};
pub use value::{Map, Value};
pub use written_number::{NotANumber, WrittenNumber};
