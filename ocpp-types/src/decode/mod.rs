//! Decodes JSON text into a message, or returns the reason why it is not a message.
//!
//! The text is decoded once, directly into its type. Only if that fails, it is read again into a
//! tree and from there into the type, with errors that contain the place and the kind of the fault.
//! This second look decides: it may accept a text that the first one did not. The constructors of
//! serde's errors determine the kind; no error text is parsed.

mod error;
mod second_look;
mod violation;

use alloc::string::String;

use serde_core::{Serialize, de::DeserializeOwned};

pub use error::{DecodeError, EncodeError};
pub use violation::Violation;

use crate::json;

/// Decodes one payload.
///
/// # Errors
/// [`DecodeError`] with the place of the first fault, its kind, and the broken rule.
pub fn decode<T: DeserializeOwned>(payload: &str) -> Result<T, DecodeError> {
    json::read(payload).or_else(|json::Refused| second_look::decode(payload))
}

/// Encodes one payload.
///
/// # Errors
/// [`EncodeError`] if the payload contains a value that no schema allows: a point in time outside
/// of the years 0 to 9999, or a leap second within a day. The types enforce all other rules.
pub fn encode<T: Serialize>(payload: &T) -> Result<String, EncodeError> {
    json::write(payload).map_err(EncodeError::new)
}
