//! Numbers with or without a fraction.

use core::fmt;

use serde_core::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Unexpected, Visitor},
};

/// A JSON number.
///
/// A whole number stays whole: `1` is written again as `1`, not as `1.0`. Infinity and NaN are not
/// JSON numbers and cannot be built. Two numbers are equal if their values are equal, in any
/// spelling.
///
/// ```
/// use ocpp_types::Number;
///
/// let limit = Number::try_from(16.5)?;
/// assert_eq!(limit.as_f64(), 16.5);
/// assert_eq!(Number::try_from(6.0)?, Number::from(6));
/// assert!(Number::try_from(f64::NAN).is_err());
/// # Ok::<(), ocpp_types::NotFinite>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number(Repr);

/// Every value has one form only, so that equal values have equal forms.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Repr {
    /// A whole number of 64 bits.
    Signed(i64),
    /// A whole number above the range of `i64`.
    Unsigned(u64),
    /// The bits of a float that is neither of the two.
    Float(u64),
}

impl Number {
    /// The number as a float; whole numbers beyond 2^53 are rounded.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "as documented")]
    pub fn as_f64(self) -> f64 {
        match self.0 {
            Repr::Signed(value) => value as f64,
            Repr::Unsigned(value) => value as f64,
            Repr::Float(bits) => f64::from_bits(bits),
        }
    }

    /// The number, if it is whole and fits.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        match self.0 {
            Repr::Signed(value) => Some(value),
            Repr::Unsigned(_) | Repr::Float(_) => None,
        }
    }
}

impl Number {
    /// Whether the number is at least `bound`. All bounds of OCPP are below 2^53, so a float
    /// represents them exactly.
    #[allow(clippy::cast_precision_loss, reason = "as documented")]
    pub(crate) fn is_at_least(self, bound: i64) -> bool {
        match self.0 {
            Repr::Signed(value) => value >= bound,
            Repr::Unsigned(_) => true,
            Repr::Float(bits) => f64::from_bits(bits) >= bound as f64,
        }
    }

    /// Whether the number is at most `bound`.
    #[allow(clippy::cast_precision_loss, reason = "as of is_at_least")]
    pub(crate) fn is_at_most(self, bound: i64) -> bool {
        match self.0 {
            Repr::Signed(value) => value <= bound,
            Repr::Unsigned(_) => false,
            Repr::Float(bits) => f64::from_bits(bits) <= bound as f64,
        }
    }

    /// The number in the form for serde's errors.
    pub(crate) fn unexpected(self) -> Unexpected<'static> {
        match self.0 {
            Repr::Signed(value) => Unexpected::Signed(value),
            Repr::Unsigned(value) => Unexpected::Unsigned(value),
            Repr::Float(bits) => Unexpected::Float(f64::from_bits(bits)),
        }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(Repr::Signed(value))
    }
}

impl From<i32> for Number {
    fn from(value: i32) -> Self {
        Self(Repr::Signed(i64::from(value)))
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(i64::try_from(value).map_or(Repr::Unsigned(value), Repr::Signed))
    }
}

impl TryFrom<f64> for Number {
    type Error = NotFinite;

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
    #[allow(clippy::cast_precision_loss, reason = "what was rounded is not equal, and then not used")]
    fn try_from(value: f64) -> Result<Self, NotFinite> {
        if !value.is_finite() {
            return Err(NotFinite);
        }
        let repr = if (-TWO_TO_63..TWO_TO_63).contains(&value) && value as i64 as f64 == value {
            Repr::Signed(value as i64)
        } else if (TWO_TO_63..2.0 * TWO_TO_63).contains(&value) {
            // No float of this size has a fraction.
            Repr::Unsigned(value as u64)
        } else {
            Repr::Float(value.to_bits())
        };
        Ok(Self(repr))
    }
}

const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Repr::Signed(value) => fmt::Display::fmt(&value, formatter),
            Repr::Unsigned(value) => fmt::Display::fmt(&value, formatter),
            Repr::Float(bits) => fmt::Display::fmt(&f64::from_bits(bits), formatter),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Repr::Signed(value) => serializer.serialize_i64(value),
            Repr::Unsigned(value) => serializer.serialize_u64(value),
            Repr::Float(bits) => serializer.serialize_f64(f64::from_bits(bits)),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_f64(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
        Ok(Number::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
        Ok(Number::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Number, E> {
        Number::try_from(value).map_err(|NotFinite| E::invalid_value(Unexpected::Float(value), &self))
    }
}

/// Infinity or NaN, which JSON cannot express.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFinite;

impl fmt::Display for NotFinite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a finite number, which is all that JSON has")
    }
}

impl core::error::Error for NotFinite {}
