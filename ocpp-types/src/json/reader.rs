//! Reads JSON text into types.

use alloc::string::String;
use core::fmt;

use serde_core::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IntoDeserializer as _, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};

use super::{
    newtypes::{AS_WRITTEN, DIGITS},
    plain::plain,
};

/// Reads a value, or fails. The second look finds the reason.
///
/// Accepts nothing that serde_json would refuse. Text that is rare in payloads may be refused here:
/// the second look accepts it.
pub(crate) fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Refused> {
    let mut reader = Reader::new(text);
    let value = T::deserialize(&mut reader)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(Refused),
    }
}

/// Reads a value with its seed, or returns the fault of the text and its byte position.
pub(crate) fn read_seed<'de, S: DeserializeSeed<'de>>(
    text: &'de str,
    seed: S,
) -> Result<S::Value, (Fault, usize)> {
    let mut reader = Reader::new(text);
    match seed.deserialize(&mut reader) {
        Ok(value) if reader.peek().is_none() => Ok(value),
        _ => Err((reader.fault, reader.index)),
    }
}

/// Passes a number to a visitor in serde_json's form; one beyond the range of a float is infinite.
pub(crate) fn number<'de, V: Visitor<'de>, E: de::Error>(text: &str, visitor: V) -> Result<V::Value, E> {
    match Reader::new(text).number() {
        Ok(Number::Unsigned(value)) => visitor.visit_u64(value),
        Ok(Number::Signed(value)) => visitor.visit_i64(value),
        Ok(Number::Float(value)) => visitor.visit_f64(value),
        Err(Refused) => visitor.visit_f64(f64::INFINITY),
    }
}

/// Why a text cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not JSON.
    Syntax,
    /// More than [`DEPTH`] values are nested.
    Depth,
    /// A number is beyond the range of a float.
    OutOfRange,
}

/// The maximum number of nested values, as in serde_json.
const DEPTH: u8 = 127;

/// The text is not a value of this type, or not JSON. The type has no content, so it costs nothing
/// in the usual case.
#[derive(Debug)]
pub(crate) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("refused")
    }
}

impl core::error::Error for Refused {}

impl de::Error for Refused {
    #[inline]
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }

    #[inline]
    fn invalid_type(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self
    }

    #[inline]
    fn invalid_value(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self
    }

    #[inline]
    fn invalid_length(_: usize, _: &dyn de::Expected) -> Self {
        Self
    }

    #[inline]
    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }

    #[inline]
    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }

    #[inline]
    fn missing_field(_: &'static str) -> Self {
        Self
    }

    #[inline]
    fn duplicate_field(_: &'static str) -> Self {
        Self
    }
}

struct Reader<'de> {
    text: &'de str,
    bytes: &'de [u8],
    index: usize,
    depth: u8,
    /// Whether visitors get the text of numbers.
    as_written: bool,
    /// The reason if the text is refused.
    fault: Fault,
}

/// A string, borrowed from the text if it has no escapes.
enum Text<'de> {
    Plain(&'de str),
    Unescaped(String),
}

enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl<'de> Reader<'de> {
    #[inline]
    fn new(text: &'de str) -> Self {
        Self { text, bytes: text.as_bytes(), index: 0, depth: DEPTH, as_written: false, fault: Fault::Syntax }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.index).copied()
    }

    /// The next byte that is not a blank.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.index += 1,
                other => return other,
            }
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), Refused> {
        if self.peek() == Some(byte) {
            self.index += 1;
            Ok(())
        } else {
            Err(Refused)
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Refused> {
        let rest = self.bytes.get(self.index..).unwrap_or_default();
        if rest.starts_with(word.as_bytes()) {
            self.index += word.len();
            Ok(())
        } else {
            Err(Refused)
        }
    }

    /// Reads a string from its quote on.
    #[inline]
    fn string(&mut self) -> Result<Text<'de>, Refused> {
        self.expect(b'"')?;
        let start = self.index;
        self.index += plain(self.bytes.get(start..).unwrap_or_default());
        let text = self.text.get(start..self.index).ok_or(Refused)?;
        if self.byte() == Some(b'"') {
            self.index += 1;
            return Ok(Text::Plain(text));
        }
        self.unescape(text).map(Text::Unescaped)
    }

    /// Reads the rest of a string from its first escape on.
    #[cold]
    fn unescape(&mut self, before: &str) -> Result<String, Refused> {
        let mut string = String::with_capacity(2 * before.len());
        string.push_str(before);
        loop {
            let byte = self.byte().ok_or(Refused)?;
            self.index += 1;
            match byte {
                b'"' => return Ok(string),
                b'\\' => string.push(self.escape()?),
                // A control character.
                _ => return Err(Refused),
            }
            let start = self.index;
            self.index += plain(self.bytes.get(start..).unwrap_or_default());
            string.push_str(self.text.get(start..self.index).ok_or(Refused)?);
        }
    }

    fn escape(&mut self) -> Result<char, Refused> {
        let byte = self.byte().ok_or(Refused)?;
        self.index += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(Refused),
        })
    }

    fn unicode_escape(&mut self) -> Result<char, Refused> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or(Refused);
        }
        self.word("\\u")?;
        let second = self.four_digits()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(Refused);
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(Refused)
    }

    fn four_digits(&mut self) -> Result<u32, Refused> {
        let digits = self.bytes.get(self.index..self.index + 4).ok_or(Refused)?;
        self.index += 4;
        digits.iter().try_fold(0, |value, digit| {
            char::from(*digit).to_digit(16).map(|digit| value * 16 + digit).ok_or(Refused)
        })
    }

    #[inline]
    fn number(&mut self) -> Result<Number, Refused> {
        let is_negative = self.peek() == Some(b'-');
        let start = self.index;
        self.index += usize::from(is_negative);
        let first = self.index;
        let mut value = Some(0_u64);
        while let Some(digit @ b'0'..=b'9') = self.byte() {
            let digit = u64::from(digit - b'0');
            value = value.and_then(|value| value.checked_mul(10)?.checked_add(digit));
            self.index += 1;
        }
        // At least one digit, and no zero before another.
        let digits = self.index - first;
        if digits == 0 || (digits > 1 && self.bytes.get(first) == Some(&b'0')) {
            return Err(Refused);
        }
        if matches!(self.byte(), Some(b'.' | b'e' | b'E')) {
            return self.float(start);
        }
        match value {
            Some(value) if !is_negative => Ok(Number::Unsigned(value)),
            // serde_json represents minus zero as a float too.
            Some(value @ 1..) => match 0_i64.checked_sub_unsigned(value) {
                Some(value) => Ok(Number::Signed(value)),
                None => self.float(start),
            },
            _ => self.float(start),
        }
    }

    /// Reads the rest of a number that is not whole, or too large.
    fn float(&mut self, start: usize) -> Result<Number, Refused> {
        if self.byte() == Some(b'.') {
            self.index += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.index += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.index += 1;
            }
            self.digits()?;
        }
        let value: f64 = self.text.get(start..self.index).ok_or(Refused)?.parse().map_err(|_| Refused)?;
        if value.is_finite() {
            return Ok(Number::Float(value));
        }
        self.fault = Fault::OutOfRange;
        Err(Refused)
    }

    /// Enters a nested value.
    #[inline]
    fn descend(&mut self) -> Result<(), Refused> {
        match self.depth.checked_sub(1) {
            Some(depth) => self.depth = depth,
            None => {
                self.fault = Fault::Depth;
                return Err(Refused);
            }
        }
        Ok(())
    }

    /// Reads one or more digits.
    fn digits(&mut self) -> Result<(), Refused> {
        let start = self.index;
        while let Some(b'0'..=b'9') = self.byte() {
            self.index += 1;
        }
        if self.index > start { Ok(()) } else { Err(Refused) }
    }

    #[inline]
    fn visit_string<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Refused> {
        match self.string()? {
            Text::Plain(text) => visitor.visit_borrowed_str(text),
            Text::Unescaped(text) => visitor.visit_string(text),
        }
    }

    #[inline]
    fn visit_number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Refused> {
        match self.number()? {
            Number::Unsigned(value) => visitor.visit_u64(value),
            Number::Signed(value) => visitor.visit_i64(value),
            Number::Float(value) => visitor.visit_f64(value),
        }
    }

    /// Reads a number and passes its text.
    fn visit_written<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Refused> {
        self.peek();
        let start = self.index;
        self.number()?;
        visitor.visit_bytes(self.bytes.get(start..self.index).unwrap_or_default())
    }

    /// Reads an integer in digits. Minus zero is one, which serde_json's form of it, a float, would
    /// not show.
    fn visit_digits<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Refused> {
        self.peek();
        let start = self.index;
        let number = self.number()?;
        let text = self.bytes.get(start..self.index).unwrap_or_default();
        match number {
            _ if text == b"-0" => visitor.visit_i64(0),
            _ if !is_in_digits(text) => Err(Refused),
            Number::Unsigned(value) => visitor.visit_u64(value),
            Number::Signed(value) => visitor.visit_i64(value),
            Number::Float(value) => visitor.visit_f64(value),
        }
    }

    #[inline]
    fn visit_seq<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Refused> {
        self.expect(b'[')?;
        self.descend()?;
        let mut items = Items { reader: self, place: Place::First };
        let value = visitor.visit_seq(&mut items)?;
        // A tuple ends before it has seen the closing bracket.
        if items.has_next(b']')? {
            return Err(Refused);
        }
        self.depth += 1;
        Ok(value)
    }

    #[inline]
    fn visit_map<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Refused> {
        self.expect(b'{')?;
        self.descend()?;
        let mut items = Items { reader: self, place: Place::First };
        let value = visitor.visit_map(&mut items)?;
        if items.has_next(b'}')? {
            return Err(Refused);
        }
        self.depth += 1;
        Ok(value)
    }
}

/// The requested type is read directly, without a check for other types.
impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.peek().ok_or(Refused)? {
            b'"' => self.visit_string(visitor),
            b'{' => self.visit_map(visitor),
            b'[' => self.visit_seq(visitor),
            b'n' => {
                self.word("null")?;
                visitor.visit_unit()
            }
            b't' => {
                self.word("true")?;
                visitor.visit_bool(true)
            }
            b'f' => {
                self.word("false")?;
                visitor.visit_bool(false)
            }
            _ if self.as_written => self.visit_written(visitor),
            _ => self.visit_number(visitor),
        }
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let value = self.peek() == Some(b't');
        self.word(if value { "true" } else { "false" })?;
        visitor.visit_bool(value)
    }

    #[inline]
    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.visit_number(visitor)
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.visit_number(visitor)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.visit_string(visitor)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.visit_string(visitor)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.visit_string(visitor)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.visit_seq(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.visit_map(visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.visit_map(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        if self.peek() == Some(b'n') {
            self.word("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        match name {
            DIGITS => self.visit_digits(visitor),
            AS_WRITTEN => {
                let outside = core::mem::replace(&mut self.as_written, true);
                let value = visitor.visit_newtype_struct(&mut *self);
                self.as_written = outside;
                value
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        match self.string()? {
            Text::Plain(text) => visitor.visit_enum(text.into_deserializer()),
            Text::Unescaped(text) => visitor.visit_enum(text.into_deserializer()),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct ignored_any
    }
}

/// Whether a number is written without a point and without an exponent.
pub(crate) fn is_in_digits(number: &[u8]) -> bool {
    !number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

/// The position in an array or an object that is being read.
struct Items<'a, 'de> {
    reader: &'a mut Reader<'de>,
    place: Place,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    First,
    Within,
    Behind,
}

impl Items<'_, '_> {
    /// Moves to the next item, if there is one.
    #[inline]
    fn has_next(&mut self, closing: u8) -> Result<bool, Refused> {
        match (self.reader.peek(), self.place) {
            (_, Place::Behind) => return Ok(false),
            (Some(byte), _) if byte == closing => {
                self.reader.index += 1;
                self.place = Place::Behind;
                return Ok(false);
            }
            (Some(b','), Place::Within) => self.reader.index += 1,
            (Some(_), Place::First) => self.place = Place::Within,
            _ => return Err(Refused),
        }
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Refused;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        if self.has_next(b']')? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }
}

impl<'de> MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = Refused;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        if !self.has_next(b'}')? {
            return Ok(None);
        }
        // A name is a string, whatever type the seed requests.
        if self.reader.peek() != Some(b'"') {
            return Err(Refused);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        self.reader.expect(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

#[cfg(test)]
mod tests;
