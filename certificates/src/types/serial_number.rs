//! Serial numbers of certificates.

use std::fmt;
use std::str::FromStr;

use super::text::serde_as_text;

/// The serial number of a certificate: a non-negative number of at most 20 octets (RFC 5280,
/// 4.1.2.2).
///
/// `Display` writes it as OCPP's hash data do: hexadecimal, lower case, without leading zeros, `0`
/// for zero. So an odd number of digits is normal. `parse` accepts the formats of other programs;
/// [`SerialNumber::from_hex`] and serde accept hexadecimal digits only.
///
/// ```
/// use certificates::SerialNumber;
///
/// let serial: SerialNumber = "0x0F:FF".parse()?;
/// assert_eq!(serial.to_string(), "fff");
/// # Ok::<(), certificates::SerialNumberError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SerialNumber([u8; Self::MAX_OCTETS]);

impl SerialNumber {
    /// The maximum number of octets of a serial number; OCPP's hash data have room for 40 digits.
    pub const MAX_OCTETS: usize = 20;

    /// Creates it from its magnitude, big endian, with or without leading zeros.
    ///
    /// # Errors
    /// [`SerialNumberError::TooLong`]
    pub fn from_octets(magnitude: &[u8]) -> Result<Self, SerialNumberError> {
        let zeros = magnitude.iter().take_while(|octet| **octet == 0).count();
        let digits = &magnitude[zeros..];
        let start = Self::MAX_OCTETS.checked_sub(digits.len()).ok_or(SerialNumberError::TooLong)?;
        let mut octets = [0; Self::MAX_OCTETS];
        octets[start..].copy_from_slice(digits);
        Ok(Self(octets))
    }

    /// Creates it from the content of an INTEGER in DER.
    ///
    /// # Errors
    /// [`SerialNumberError`] if it is not DER, negative, or too long.
    pub fn from_der_integer(content: &[u8]) -> Result<Self, SerialNumberError> {
        match content {
            // DER has at least one octet, and no unneeded ones.
            [] => Err(SerialNumberError::NotDer),
            [0x00, second, ..] if second & 0x80 == 0 => Err(SerialNumberError::NotDer),
            [first, ..] if first & 0x80 != 0 => Err(SerialNumberError::Negative),
            _ => Self::from_octets(content),
        }
    }

    /// Creates it from hexadecimal digits of either case, as peers send them; leading zeros are
    /// ignored.
    ///
    /// # Errors
    /// [`SerialNumberError::NotHexadecimal`] for anything else, also for no digits at all;
    /// [`SerialNumberError::TooLong`].
    pub fn from_hex(text: &str) -> Result<Self, SerialNumberError> {
        if text.is_empty() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(SerialNumberError::NotHexadecimal);
        }
        let digits = text.trim_start_matches('0');
        let padding = if digits.len() % 2 == 1 { "0" } else { "" };
        let octets =
            hex::decode(format!("{padding}{digits}")).map_err(|_| SerialNumberError::NotHexadecimal)?;
        Self::from_octets(&octets)
    }

    /// Its magnitude, big endian, without leading zeros; empty for zero.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        let zeros = self.0.iter().take_while(|octet| **octet == 0).count();
        &self.0[zeros..]
    }
}

impl FromStr for SerialNumber {
    type Err = SerialNumberError;

    /// Reads a serial number as an operator types or copies it: in either case, with or without
    /// leading zeros, with the prefix `0x`, and with colons or spaces between the digits.
    fn from_str(text: &str) -> Result<Self, SerialNumberError> {
        let packed: String =
            text.chars().filter(|letter| !letter.is_ascii_whitespace() && *letter != ':').collect();
        let digits = packed.strip_prefix("0x").or_else(|| packed.strip_prefix("0X")).unwrap_or(&packed);
        Self::from_hex(digits)
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = hex::encode(self.octets());
        let digits = text.trim_start_matches('0');
        formatter.pad(if digits.is_empty() { "0" } else { digits })
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SerialNumber({self})")
    }
}

serde_as_text!(SerialNumber, "a serial number in hexadecimal", SerialNumber::from_hex);

/// Why something is not a serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SerialNumberError {
    /// Text with other characters, or empty text.
    #[error("a serial number has hexadecimal digits only")]
    NotHexadecimal,
    /// Not the content of an INTEGER in DER.
    #[error("the serial number is not an INTEGER in DER")]
    NotDer,
    /// Hash data contain the magnitude, so they cannot express a negative number.
    #[error("the serial number is negative")]
    Negative,
    /// Hash data have room for 40 hexadecimal digits (RFC 5280, 4.1.2.2).
    #[error("the serial number has more than {} octets", SerialNumber::MAX_OCTETS)]
    TooLong,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_not_text_are_compared() {
        let check = |text: &str, octets: &[u8], expected: bool| {
            let ours = SerialNumber::from_octets(octets).unwrap();
            let same = SerialNumber::from_hex(text).is_ok_and(|theirs| theirs == ours);
            assert_eq!(same, expected, "{text:?} against {octets:02x?}");
        };
        check("0", &[], true);
        check("00", &[], true);
        check("", &[], false);
        check("FFF", &[0x0f, 0xff], true);
        check("0fff", &[0x0f, 0xff], true);
        check("fff0", &[0x0f, 0xff], false);
        check("000FFf", &[0x0f, 0xff], true);
        check("0x0fff", &[0x0f, 0xff], false);
        check(" fff", &[0x0f, 0xff], false);
        check("-1", &[1], false);
        check("00ab", &[0x00, 0xab], true);
        check("ab", &[0x00, 0xab], true);
    }

    #[test]
    fn an_operator_may_spell_it_as_other_programs_do() {
        for (text, expected) in [
            ("0x1000", "1000"),
            ("0X00Ab", "ab"),
            ("4F:0A:FF", "4f0aff"),
            (" 4f 0a ff\n", "4f0aff"),
            ("00:FF", "ff"),
            ("0", "0"),
            ("0x0", "0"),
        ] {
            assert_eq!(text.parse::<SerialNumber>().unwrap().to_string(), expected, "{text:?}");
        }
        for text in ["", "0x", ":", "0x0x1", "4f-0a", "serial=4f", "4g", "-4f", "４f"] {
            assert_eq!(text.parse::<SerialNumber>(), Err(SerialNumberError::NotHexadecimal), "{text:?}");
        }
        assert_eq!("f".repeat(41).parse::<SerialNumber>(), Err(SerialNumberError::TooLong));
        assert_eq!(
            format!("{}{}", "0".repeat(99), "f".repeat(40)).parse::<SerialNumber>().unwrap().0,
            [0xff; 20]
        );
    }

    #[test]
    fn integers_of_certificates() {
        let check = |content: &[u8], expected: Result<&str, SerialNumberError>| {
            let read = SerialNumber::from_der_integer(content).map(|serial| serial.to_string());
            assert_eq!(read, expected.map(str::to_owned), "{content:02x?}");
        };
        check(&[0], Ok("0"));
        check(&[0, 0x80], Ok("80"));
        check(&[0x0f, 0xff], Ok("fff"));
        check(&[&[0x00][..], &[0xff; 20]].concat(), Ok(&"f".repeat(40)));
        check(&[], Err(SerialNumberError::NotDer));
        check(&[0, 0x7f], Err(SerialNumberError::NotDer));
        check(&[0x80], Err(SerialNumberError::Negative));
        check(&[1; 21], Err(SerialNumberError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(octets in prop::collection::vec(any::<u8>(), 0..=20)) {
            let serial = SerialNumber::from_octets(&octets).unwrap();
            prop_assert_eq!(SerialNumber::from_hex(&serial.to_string()), Ok(serial));
            prop_assert_eq!(serial.to_string().parse(), Ok(serial));
            prop_assert_eq!(SerialNumber::from_octets(serial.octets()), Ok(serial));
            let json = serde_json::to_string(&serial).unwrap();
            prop_assert_eq!(serde_json::from_str::<SerialNumber>(&json).unwrap(), serial);
        }
    }
}
