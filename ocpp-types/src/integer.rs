//! Whole numbers.
//!
//! In JSON Schema `17.0` is an integer, and so it is here. serde treats it as a float; these types
//! convert it. Only in draft-04, which OCPP 1.6 uses, an integer must be written in digits.

use core::fmt;

use serde_core::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Unexpected, Visitor},
};

use crate::json::DIGITS;

/// Reads an `i64` as a whole number in any spelling.
pub(crate) struct Integer(i64);

impl From<Integer> for i64 {
    fn from(integer: Integer) -> Self {
        integer.0
    }
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(IntegerVisitor).map(Self)
    }
}

/// Reads an `i64` of OCPP 1.6, in digits.
pub(crate) struct Digits(i64);

impl From<Digits> for i64 {
    fn from(digits: Digits) -> Self {
        digits.0
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(DIGITS, DigitsVisitor).map(Self)
    }
}

struct DigitsVisitor;

impl<'de> Visitor<'de> for DigitsVisitor {
    type Value = i64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a whole number in digits")
    }

    /// Called by a deserializer that does not know [`DIGITS`].
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<i64, D::Error> {
        deserializer.deserialize_i64(self)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<i64, E> {
        Ok(value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<i64, E> {
        IntegerVisitor.visit_u64(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<i64, E> {
        // serde_json's own reader passes `-0` and digits beyond 64 bits as a float.
        if value == 0.0 && value.is_sign_negative() {
            return Ok(0);
        }
        if value.abs() < EXACT {
            return Err(E::invalid_type(Unexpected::Float(value), &self));
        }
        IntegerVisitor.visit_f64(value)
    }
}

struct IntegerVisitor;

impl Visitor<'_> for IntegerVisitor {
    type Value = i64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a whole number")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<i64, E> {
        Ok(value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<i64, E> {
        i64::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &OF_64_BITS))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<i64, E> {
        // From 2^53 on, a float has no fraction and may differ from the written number. Such a
        // number is refused rather than changed.
        if !value.is_finite() || value.abs() >= EXACT {
            return Err(E::invalid_value(Unexpected::Float(value), &OF_64_BITS));
        }
        #[allow(clippy::cast_possible_truncation, reason = "the magnitude is below 2^53")]
        let whole = value as i64;
        #[allow(clippy::cast_precision_loss, reason = "the magnitude is below 2^53")]
        let same = whole as f64 == value;
        if same { Ok(whole) } else { Err(E::invalid_type(Unexpected::Float(value), &self)) }
    }
}

/// Below this value (2^53), every whole floating point number represents exactly one integer.
const EXACT: f64 = 9_007_199_254_740_992.0;

const OF_64_BITS: &str = "a whole number of 64 bits";

/// A whole number from `MIN` to `MAX` (JSON Schema's `minimum` and `maximum`).
///
/// ```
/// use ocpp_types::BoundedInteger;
///
/// let percent = BoundedInteger::<0, 100>::try_from(80)?;
/// assert_eq!(percent.get(), 80);
/// assert!(BoundedInteger::<0, 100>::try_from(101).is_err());
/// # Ok::<(), ocpp_types::OutOfRange>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BoundedInteger<const MIN: i64, const MAX: i64>(i64);

impl<const MIN: i64, const MAX: i64> BoundedInteger<MIN, MAX> {
    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl<const MIN: i64, const MAX: i64> TryFrom<i64> for BoundedInteger<MIN, MAX> {
    type Error = OutOfRange;

    fn try_from(value: i64) -> Result<Self, OutOfRange> {
        if (MIN..=MAX).contains(&value) {
            Ok(Self(value))
        } else {
            Err(OutOfRange { value, min: MIN, max: MAX })
        }
    }
}

impl<const MIN: i64, const MAX: i64> From<BoundedInteger<MIN, MAX>> for i64 {
    fn from(value: BoundedInteger<MIN, MAX>) -> Self {
        value.0
    }
}

impl<const MIN: i64, const MAX: i64> fmt::Display for BoundedInteger<MIN, MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl<const MIN: i64, const MAX: i64> fmt::Debug for BoundedInteger<MIN, MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl<const MIN: i64, const MAX: i64> Serialize for BoundedInteger<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for BoundedInteger<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Integer(value) = Integer::deserialize(deserializer)?;
        Self::try_from(value)
            .map_err(|_| de::Error::invalid_value(Unexpected::Signed(value), &Range::<MIN, MAX>))
    }
}

struct Range<const MIN: i64, const MAX: i64>;

impl<const MIN: i64, const MAX: i64> de::Expected for Range<MIN, MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        range(formatter, MIN, MAX)
    }
}

fn range(formatter: &mut fmt::Formatter<'_>, min: i64, max: i64) -> fmt::Result {
    match (min, max) {
        (min, i64::MAX) => write!(formatter, "a whole number, at least {min}"),
        (i64::MIN, max) => write!(formatter, "a whole number, at most {max}"),
        (min, max) => write!(formatter, "a whole number from {min} to {max}"),
    }
}

/// A number below or above the allowed range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange {
    value: i64,
    min: i64,
    max: i64,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is not ", self.value)?;
        range(formatter, self.min, self.max)
    }
}

impl core::error::Error for OutOfRange {}
