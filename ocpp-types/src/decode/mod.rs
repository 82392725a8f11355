//! From JSON text to a message, and what to say when it is none.
//!
//! The text is decoded once, straight into its type. Only when that fails is it read again, into a
//! tree and from there into the type, with errors that know the place and the kind of the fault.
//! The second look decides: it may accept what the first did not. The constructors of serde's
//! errors give the kind; no error text is read.

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
/// [`DecodeError`] with the place of the first fault, its kind, and the rule that it breaks.
pub fn decode<T: DeserializeOwned>(payload: &str) -> Result<T, DecodeError> {
    json::read(payload).or_else(|json::Refused| second_look::decode(payload))
}

/// Encodes one payload.
///
/// # Errors
/// [`EncodeError`] where the payload holds a value that no schema allows: a point in time outside
/// of the years 0 to 9999, or a leap second within a day. All other rules are kept by the types.
pub fn encode<T: Serialize>(payload: &T) -> Result<String, EncodeError> {
    json::write(payload).map_err(EncodeError::new)
}
