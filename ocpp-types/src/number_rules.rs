//! Numbers with a rule: within bounds, or with one decimal.

use core::fmt::{self, Write as _};

use serde_core::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Expected},
};

use crate::Number;

/// A number from `MIN` to `MAX` (JSON Schema's `minimum` and `maximum`); `i64::MIN` and `i64::MAX`
/// mean that there is no bound.
///
/// ```
/// use ocpp_types::BoundedNumber;
///
/// let discharge = BoundedNumber::<{ i64::MIN }, 0>::try_from(-7.5)?;
/// assert_eq!(discharge.get().as_f64(), -7.5);
/// assert!(BoundedNumber::<{ i64::MIN }, 0>::try_from(0.1).is_err());
/// # Ok::<(), ocpp_types::NotWithin>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BoundedNumber<const MIN: i64, const MAX: i64>(Number);

impl<const MIN: i64, const MAX: i64> BoundedNumber<MIN, MAX> {
    /// The number.
    #[must_use]
    pub const fn get(self) -> Number {
        self.0
    }
}

impl<const MIN: i64, const MAX: i64> TryFrom<Number> for BoundedNumber<MIN, MAX> {
    type Error = NotWithin;

    fn try_from(value: Number) -> Result<Self, NotWithin> {
        let is_within =
            (MIN == i64::MIN || value.is_at_least(MIN)) && (MAX == i64::MAX || value.is_at_most(MAX));
        if is_within { Ok(Self(value)) } else { Err(NotWithin { min: MIN, max: MAX }) }
    }
}

impl<const MIN: i64, const MAX: i64> TryFrom<f64> for BoundedNumber<MIN, MAX> {
    type Error = NotWithin;

    fn try_from(value: f64) -> Result<Self, NotWithin> {
        Number::try_from(value).map_err(|_| NotWithin { min: MIN, max: MAX }).and_then(Self::try_from)
    }
}

impl<const MIN: i64, const MAX: i64> From<BoundedNumber<MIN, MAX>> for Number {
    fn from(value: BoundedNumber<MIN, MAX>) -> Self {
        value.0
    }
}

impl<const MIN: i64, const MAX: i64> fmt::Display for BoundedNumber<MIN, MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl<const MIN: i64, const MAX: i64> fmt::Debug for BoundedNumber<MIN, MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl<const MIN: i64, const MAX: i64> Serialize for BoundedNumber<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for BoundedNumber<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?;
        Self::try_from(number).map_err(|bounds| de::Error::invalid_value(number.unexpected(), &bounds))
    }
}

/// A number out of its bounds, or not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWithin {
    min: i64,
    max: i64,
}

impl Expected for NotWithin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (min, i64::MAX) => write!(formatter, "a number, at least {min}"),
            (i64::MIN, max) => write!(formatter, "a number, at most {max}"),
            (min, max) => write!(formatter, "a number from {min} to {max}"),
        }
    }
}

impl fmt::Display for NotWithin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not ")?;
        Expected::fmt(self, formatter)
    }
}

impl core::error::Error for NotWithin {}

/// A number with at most one decimal (JSON Schema's `multipleOf: 0.1`, which OCPP 1.6 uses for
/// charging rates).
///
/// The digits decide: 0.3 is such a number, although the float nearest to it is not a multiple of
/// the one nearest to 0.1.
///
/// ```
/// use ocpp_types::Tenths;
///
/// assert_eq!(Tenths::try_from(16.3)?.to_string(), "16.3");
/// assert!(Tenths::try_from(16.25).is_err());
/// assert_eq!(Tenths::rounded(16.25)?.to_string(), "16.2");
/// # Ok::<(), ocpp_types::NotTenths>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tenths(Number);

impl Tenths {
    /// The number.
    #[must_use]
    pub const fn get(self) -> Number {
        self.0
    }

    /// The nearest number with one decimal, for a computed limit; halfway between two of them, the
    /// even one.
    ///
    /// # Errors
    /// [`NotTenths`] for infinity and NaN.
    pub fn rounded(value: f64) -> Result<Self, NotTenths> {
        alloc::format!("{value:.1}").parse::<f64>().map_err(|_| NotTenths).and_then(Self::try_from)
    }
}

impl TryFrom<Number> for Tenths {
    type Error = NotTenths;

    fn try_from(value: Number) -> Result<Self, NotTenths> {
        let mut decimals = Decimals { count: 0, past_point: false };
        match write!(decimals, "{value}") {
            Ok(()) if decimals.count <= 1 => Ok(Self(value)),
            _ => Err(NotTenths),
        }
    }
}

impl TryFrom<f64> for Tenths {
    type Error = NotTenths;

    fn try_from(value: f64) -> Result<Self, NotTenths> {
        Number::try_from(value).map_err(|_| NotTenths).and_then(Self::try_from)
    }
}

impl From<i64> for Tenths {
    fn from(value: i64) -> Self {
        Self(value.into())
    }
}

impl From<i32> for Tenths {
    fn from(value: i32) -> Self {
        Self(value.into())
    }
}

impl From<Tenths> for Number {
    fn from(value: Tenths) -> Self {
        value.0
    }
}

/// Counts the digits after the point. Rust writes a float without an exponent, with the fewest
/// digits that identify it.
struct Decimals {
    count: usize,
    past_point: bool,
}

impl fmt::Write for Decimals {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.bytes() {
            match letter {
                b'.' => self.past_point = true,
                _ => self.count += usize::from(self.past_point),
            }
        }
        Ok(())
    }
}

impl fmt::Display for Tenths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for Tenths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl Serialize for Tenths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tenths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?;
        Self::try_from(number)
            .map_err(|_| de::Error::invalid_value(number.unexpected(), &"a number with at most one decimal"))
    }
}

/// A number with more than one decimal, or not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTenths;

impl fmt::Display for NotTenths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a number with at most one decimal")
    }
}

impl core::error::Error for NotTenths {}
