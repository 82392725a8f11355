//! Numbers that keep the text in which they were written.

use alloc::{borrow::ToOwned as _, boxed::Box};
use core::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use serde_core::{Serialize, Serializer, ser};
use serde_json::value::RawValue;

use crate::{NotFinite, Number, json};

/// A number among a vendor's data, with its text.
///
/// A vendor may sign its data, or count the digits of a number. A number that
/// [`decode`](crate::decode) reads is therefore written again to the letter. Two numbers are equal
/// when their values are, however they were written.
///
/// ```
/// use ocpp_types::WrittenNumber;
///
/// let number: WrittenNumber = "19.230".parse()?;
/// assert_eq!(number.to_string(), "19.230");
/// assert_eq!(number, "19.23".parse()?);
/// assert_eq!(number.value().as_f64(), 19.23);
/// # Ok::<(), ocpp_types::NotANumber>(())
/// ```
#[derive(Clone, Debug)]
pub struct WrittenNumber {
    value: Number,
    /// Where it is not how `value` is written.
    text: Option<Box<str>>,
}

impl WrittenNumber {
    /// The value: rounded to a float where it is not a whole number of 64 bits.
    #[must_use]
    pub fn value(&self) -> Number {
        self.value
    }
}

impl From<Number> for WrittenNumber {
    fn from(value: Number) -> Self {
        Self { value, text: None }
    }
}

impl FromStr for WrittenNumber {
    type Err = NotANumber;

    fn from_str(text: &str) -> Result<Self, NotANumber> {
        let value = json::read::<Number>(text).map_err(|json::Refused| NotANumber)?;
        // The reader passes over white space, which is no part of a number.
        if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
            return Err(NotANumber);
        }
        let is_usual = json::write(&value).is_ok_and(|usual| usual == text);
        Ok(Self { value, text: (!is_usual).then(|| text.to_owned().into_boxed_str()) })
    }
}

impl PartialEq for WrittenNumber {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for WrittenNumber {}

impl Hash for WrittenNumber {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

impl TryFrom<f64> for WrittenNumber {
    type Error = NotFinite;

    fn try_from(value: f64) -> Result<Self, NotFinite> {
        Number::try_from(value).map(Self::from)
    }
}

impl fmt::Display for WrittenNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => formatter.write_str(text),
            None => fmt::Display::fmt(&self.value, formatter),
        }
    }
}

impl Serialize for WrittenNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.text {
            // The form in which serde_json, too, takes JSON that is to be written as it stands.
            Some(text) => {
                serde_json::from_str::<&RawValue>(text).map_err(ser::Error::custom)?.serialize(serializer)
            }
            None => self.value.serialize(serializer),
        }
    }
}

/// A text that is not a number of JSON within the range of a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber;

impl fmt::Display for NotANumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a number of JSON, or beyond the range of a float")
    }
}

impl core::error::Error for NotANumber {}
