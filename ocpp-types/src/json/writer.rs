//! Writes types as JSON text.

use alloc::{
    format,
    string::{String, ToString as _},
};
use core::fmt;

use serde_core::{
    Serialize, Serializer,
    ser::{
        self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

use super::plain::plain;

/// Writes a value without blanks, like serde_json.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T) -> Result<String, Unwritable> {
    let mut writer = Writer { text: String::with_capacity(FIRST_CAPACITY) };
    value.serialize(&mut writer)?;
    Ok(writer.text)
}

/// Enough bytes for most payloads; for longer ones the capacity doubles.
const FIRST_CAPACITY: usize = 512;

/// A value that JSON cannot express, as a text.
#[derive(Debug)]
pub(crate) struct Unwritable(String);

impl fmt::Display for Unwritable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl core::error::Error for Unwritable {}

impl ser::Error for Unwritable {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

struct Writer {
    text: String,
}

impl Writer {
    #[inline]
    fn string(&mut self, text: &str) {
        self.text.reserve(text.len() + 3);
        self.text.push('"');
        let plain = plain(text.as_bytes());
        if plain == text.len() {
            self.text.push_str(text);
        } else {
            self.escaped(text, plain);
        }
        self.text.push('"');
    }

    fn escaped(&mut self, mut text: &str, mut until: usize) {
        loop {
            // A byte that is not plain is a complete character.
            let (before, rest) = text.split_at_checked(until).unwrap_or((text, ""));
            self.text.push_str(before);
            let mut rest = rest.chars();
            match rest.next() {
                None => return,
                Some('"') => self.text.push_str("\\\""),
                Some('\\') => self.text.push_str("\\\\"),
                Some('\n') => self.text.push_str("\\n"),
                Some('\r') => self.text.push_str("\\r"),
                Some('\t') => self.text.push_str("\\t"),
                Some('\u{8}') => self.text.push_str("\\b"),
                Some('\u{c}') => self.text.push_str("\\f"),
                Some(control) => self.text.push_str(&format!("\\u{:04x}", u32::from(control))),
            }
            text = rest.as_str();
            until = plain(text.as_bytes());
        }
    }

    #[inline]
    fn integer(&mut self, value: impl itoa::Integer) {
        self.text.push_str(itoa::Buffer::new().format(value));
    }

    #[inline]
    fn float(&mut self, value: f64) {
        if value.is_finite() {
            self.text.push_str(zmij::Buffer::new().format_finite(value));
        } else {
            self.text.push_str("null");
        }
    }

    #[inline]
    fn open(&mut self, opening: &str, closing: &'static str) -> Items<'_> {
        self.text.push_str(opening);
        Items { writer: self, is_first: true, closing, is_raw: false }
    }

    fn open_variant(&mut self, variant: &str, opening: char, closing: &'static str) -> Items<'_> {
        self.text.push('{');
        self.string(variant);
        self.text.push(':');
        self.text.push(opening);
        Items { writer: self, is_first: true, closing, is_raw: false }
    }
}

macro_rules! integers {
    ($($method:ident($type:ty))*) => {
        $(#[inline]
        fn $method(self, value: $type) -> Result<(), Unwritable> {
            self.integer(value);
            Ok(())
        })*
    };
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Items<'a>;
    type SerializeStruct = Items<'a>;
    type SerializeStructVariant = Items<'a>;

    integers! {
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Unwritable> {
        self.text.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Unwritable> {
        if value.is_finite() {
            self.text.push_str(zmij::Buffer::new().format_finite(value));
            return Ok(());
        }
        self.serialize_unit()
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Unwritable> {
        self.float(value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Unwritable> {
        self.string(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Unwritable> {
        self.string(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unwritable> {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Result<(), Unwritable> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unwritable> {
        self.text.push_str("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unwritable> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Unwritable> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        let mut members = self.open("{", "}");
        SerializeStruct::serialize_field(&mut members, variant, value)?;
        SerializeStruct::end(members)
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, Unwritable> {
        Ok(self.open("[", "]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Items<'a>, Unwritable> {
        Ok(self.open("[", "]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, Unwritable> {
        Ok(self.open("[", "]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, Unwritable> {
        Ok(self.open_variant(variant, '[', "]}"))
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Items<'a>, Unwritable> {
        Ok(self.open("{", "}"))
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Items<'a>, Unwritable> {
        match name {
            RAW_VALUE => Ok(Items { writer: self, is_first: true, closing: "", is_raw: true }),
            // serde_json passes long numbers to itself in structs with such a name; no payload
            // contains them.
            _ if name.starts_with("$serde_json") => {
                Err(ser::Error::custom("a value that only serde_json itself can write"))
            }
            _ => Ok(self.open("{", "}")),
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, Unwritable> {
        Ok(self.open_variant(variant, '{', "}}"))
    }
}

/// The position in an array or an object that is being written.
struct Items<'a> {
    writer: &'a mut Writer,
    is_first: bool,
    closing: &'static str,
    /// The only member is a string of JSON that is written unchanged.
    is_raw: bool,
}

/// The struct with which serde_json writes its `RawValue`.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

impl Items<'_> {
    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.comma();
        value.serialize(&mut *self.writer)
    }

    #[inline]
    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Unwritable> {
        if self.is_raw {
            return self.raw(value);
        }
        self.comma();
        self.writer.string(name);
        self.writer.text.push(':');
        value.serialize(&mut *self.writer)
    }

    /// Writes JSON unchanged. It must be a number, which contains nothing to escape.
    #[cold]
    fn raw<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        let string = write(value)?;
        let text = string.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        match text {
            Some(text) if !text.contains(['"', '\\']) => {
                self.writer.text.push_str(text);
                Ok(())
            }
            _ => Err(ser::Error::custom("a value that only serde_json itself can write")),
        }
    }

    #[inline]
    fn comma(&mut self) {
        if !self.is_first {
            self.writer.text.push(',');
        }
        self.is_first = false;
    }

    #[inline]
    fn close(self) -> Result<(), Unwritable> {
        self.writer.text.push_str(self.closing);
        Ok(())
    }
}

macro_rules! items {
    ($($trait:ident $method:ident)*) => {
        $(impl $trait for Items<'_> {
            type Ok = ();
            type Error = Unwritable;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
                self.item(value)
            }

            #[inline]
            fn end(self) -> Result<(), Unwritable> {
                self.close()
            }
        })*
    };
}

items! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

macro_rules! members {
    ($($trait:ident)*) => {
        $(impl $trait for Items<'_> {
            type Ok = ();
            type Error = Unwritable;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Unwritable> {
                self.member(name, value)
            }

            #[inline]
            fn end(self) -> Result<(), Unwritable> {
                self.close()
            }
        })*
    };
}

members!(SerializeStruct SerializeStructVariant);

impl SerializeMap for Items<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), Unwritable> {
        self.comma();
        let start = self.writer.text.len();
        name.serialize(&mut *self.writer)?;
        if self.writer.text.as_bytes().get(start) == Some(&b'"') {
            Ok(())
        } else {
            Err(ser::Error::custom("a member whose name is not a string"))
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.writer.text.push(':');
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Unwritable> {
        self.close()
    }
}

#[cfg(test)]
mod tests;
