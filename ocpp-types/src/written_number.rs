//! Numbers that keep their original text.

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
/// A vendor may sign its data, or rely on the digits of a number. A number that
/// [`decode`](crate::decode) has read is therefore written with exactly the same text. Two numbers
/// are equal if their values are equal, in any spelling.
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
    /// The text, if `value` is written differently.
    text: Option<Box<str>>,
}

impl WrittenNumber {
    /// The value: rounded to a float if it is not a whole number of 64 bits.
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
        // The reader skips white space, which is not part of a number.
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
            // serde_json also accepts this form for JSON that is written unchanged.
            Some(text) => {
                serde_json::from_str::<&RawValue>(text).map_err(ser::Error::custom)?.serialize(serializer)
            }
            None => self.value.serialize(serializer),
        }
    }
}

/// A text that is not a JSON number within the range of a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber;

impl fmt::Display for NotANumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a number of JSON, or beyond the range of a float")
    }
}

impl core::error::Error for NotANumber {}
