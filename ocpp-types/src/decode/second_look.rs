//! The second, slower reading of a payload that was refused.

use alloc::{
    borrow::ToOwned as _,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use serde_core::{
    Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, Expected, IntoDeserializer as _, MapAccess, SeqAccess,
        Unexpected, Visitor,
        value::{MapAccessDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};

use super::{DecodeError, Violation};
use crate::{
    json,
    value::{Duplicates, OUT_OF_RANGE, Value, ValueVisitor, duplicate},
};

/// Decodes a payload again, through a tree, and returns what is wrong with it.
pub(super) fn decode<T: DeserializeOwned>(payload: &str) -> Result<T, DecodeError> {
    let tree = tree(payload)?;
    T::deserialize(Look(&tree)).map_err(Fault::into_error)
}

fn tree(payload: &str) -> Result<Value, DecodeError> {
    match json::read_seed(payload, ValueVisitor { duplicates: Duplicates::Keep }) {
        Ok(tree @ Value::Object(_)) => Ok(tree),
        Ok(other) => {
            let message = format!("found {}, expected an object", other.kind());
            Err(DecodeError { pointer: String::new(), violation: Violation::NotAnObject, message })
        }
        Err((fault, index)) => Err(not_read(payload, fault, index)),
    }
}

/// The error contains line and column only, because the text there may be a secret.
fn not_read(payload: &str, fault: json::Fault, index: usize) -> DecodeError {
    let (violation, what) = match fault {
        json::Fault::Syntax => (Violation::NotJson, "not JSON"),
        json::Fault::Depth => (Violation::NotJson, "more than 127 values within one another"),
        json::Fault::OutOfRange => (Violation::Constraint, "a number beyond those of a float (1.8e308)"),
    };
    let before = payload.get(..index).unwrap_or(payload);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|character| *character != '\n').count() + 1;
    let message = format!("{what}, at line {line} column {column}");
    DecodeError { pointer: String::new(), violation, message }
}

/// A fault that is returned through the enclosing values and collects the names of their members.
#[derive(Debug)]
struct Fault {
    violation: Violation,
    found: Found,
    expected: String,
    /// Ordered from the innermost to the outermost.
    segments: Vec<String>,
}

/// The value at the place of the fault.
#[derive(Debug)]
enum Found {
    /// Nothing that the rule itself does not show.
    Nothing,
    /// Its kind, which is safe to show.
    Kind(String),
    /// Its size, which is safe to show.
    Size(String),
    /// Its value, if it is short and its place contains no secrets; otherwise the kind only.
    Value { kind: &'static str, value: String },
}

impl Fault {
    fn new(violation: Violation, found: Found, expected: impl Into<String>) -> Self {
        Self { violation, found, expected: expected.into(), segments: Vec::new() }
    }

    fn within(mut self, segment: impl ToString) -> Self {
        self.segments.push(segment.to_string());
        self
    }

    fn into_error(self) -> DecodeError {
        let secret = self.segments.iter().any(|segment| can_hold_a_secret(segment));
        let message = match self.found {
            Found::Nothing => self.expected,
            Found::Size(count) if self.violation == Violation::ItemCount => {
                format!("{count}, expected {}", self.expected)
            }
            // The length of a secret is not shown either.
            Found::Size(_) if secret => format!("too long, {} are allowed", self.expected),
            Found::Size(size) => format!("{size}, {} are allowed", self.expected),
            Found::Value { kind, .. } if secret => format!("found {kind}, expected {}", self.expected),
            Found::Kind(found) | Found::Value { value: found, .. } => {
                format!("found {found}, expected {}", self.expected)
            }
        };
        let mut pointer = String::new();
        for segment in self.segments.iter().rev() {
            pointer.push('/');
            pointer.push_str(&shortened(segment).replace('~', "~0").replace('/', "~1"));
        }
        DecodeError { pointer, violation: self.violation, message }
    }
}

/// Whether a value in or below a member with this name may be a secret: passwords and keys of
/// SetNetworkProfile, values of variables (which may be BasicAuthPassword), tokens of drivers, and
/// everything whose meaning only a vendor knows.
fn can_hold_a_secret(member: &str) -> bool {
    const MEMBERS: &[&str] = &[
        "additionalidtoken",
        "attributevalue",
        "customdata",
        "data",
        "groupidtoken",
        "idtag",
        "idtoken",
        "key",
        "parentidtag",
        "user",
        "value",
    ];
    let member = member.to_ascii_lowercase();
    MEMBERS.contains(&member.as_str())
        || ["password", "pin", "secret", "username"].iter().any(|part| member.contains(part))
}

/// A peer's name for a member, shortened to fit into a log line.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARACTERS) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

/// The maximum number of characters of a member's name in a pointer; the longest of OCPP itself has
/// 34.
const NAME_CHARACTERS: usize = 64;

/// As many names of a schema as fit into a log line.
fn listed(names: &[&str]) -> String {
    let mut list = String::new();
    for name in names {
        if list.len() + name.len() > LIST_BYTES {
            return format!("{list} and others, {} in all", names.len());
        }
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(name);
    }
    list
}

/// The maximum number of bytes of a list of names; the longest enumeration has 1,300.
const LIST_BYTES: usize = 600;

/// The maximum number of characters of a string that is shown. Keys, certificates and passwords are
/// longer, or in places that are never shown.
const SHOWN_CHARACTERS: usize = 40;

fn found(unexpected: &Unexpected<'_>) -> Found {
    match unexpected {
        Unexpected::Str(text) => match text.chars().nth(SHOWN_CHARACTERS) {
            None => Found::Value { kind: "a string", value: format!("{text:?}") },
            Some(_) => Found::Value {
                kind: "a string",
                value: format!("a string of {} characters", text.chars().count()),
            },
        },
        Unexpected::Signed(value) => Found::Value { kind: "a number", value: value.to_string() },
        Unexpected::Unsigned(value) => Found::Value { kind: "a number", value: value.to_string() },
        infinite if *infinite == OUT_OF_RANGE => Found::Kind("a number beyond those of a float".to_owned()),
        Unexpected::Float(value) => {
            // Without an exponent, a float may have 300 digits.
            let is_short = (1e-6..1e15).contains(&value.abs());
            let value = if is_short { format!("{value}") } else { format!("{value:e}") };
            Found::Value { kind: "a number", value }
        }
        Unexpected::Other(size) => Found::Size((*size).to_owned()),
        other => Found::Kind(kind(other).to_owned()),
    }
}

fn kind(unexpected: &Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Seq => "an array",
        Unexpected::Map => "an object",
        Unexpected::Unit | Unexpected::Option => "null",
        _ => "another value",
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.expected)
    }
}

impl core::error::Error for Fault {}

/// The core of the second look: serde calls the constructor that names the fault.
impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Violation::Constraint, Found::Nothing, message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = Found::Kind(kind(&unexpected).to_owned());
        Self::new(Violation::WrongType, found, expected.to_string())
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Violation::Constraint, found(&unexpected), expected.to_string())
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        let found = Found::Size(format!("{length} items"));
        Self::new(Violation::ItemCount, found, expected.to_string())
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let found = found(&Unexpected::Str(variant));
        Self::new(Violation::UnknownValue, found, format!("one of {}", listed(expected)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let message = format!("no such member; known are {}", listed(expected));
        Self::new(Violation::UnknownMember, Found::Nothing, message).within(field)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Violation::MissingMember, Found::Nothing, "required, but absent").within(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::duplicate(field)
    }
}

impl Fault {
    fn duplicate(name: &str) -> Self {
        Self::new(Violation::DuplicateMember, Found::Nothing, "the same member twice").within(name)
    }
}

/// A deserializer that reads from a tree.
struct Look<'a>(&'a Value);

impl<'de> Deserializer<'de> for Look<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => json::number(&number.to_string(), visitor),
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => visitor.visit_seq(Items { items: items.iter(), index: 0 }),
            Value::Object(members) => {
                if let Some(name) = duplicate(members.iter().map(|(name, _)| name)) {
                    return Err(Fault::duplicate(name));
                }
                visitor.visit_map(Members { members: members.entries().iter(), value: None })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match (name, self.0) {
            (json::DIGITS, Value::Number(number)) => {
                let text = number.to_string();
                if text == "-0" {
                    return visitor.visit_i64(0);
                }
                if !json::is_in_digits(text.as_bytes()) {
                    return Err(de::Error::invalid_type(
                        Unexpected::Float(number.value().as_f64()),
                        &visitor,
                    ));
                }
                self.deserialize_any(visitor)
            }
            (json::AS_WRITTEN, Value::Number(number)) => visitor.visit_bytes(number.to_string().as_bytes()),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            Value::String(text) => {
                let variant: StrDeserializer<'_, Fault> = text.as_str().into_deserializer();
                visitor.visit_enum(variant)
            }
            Value::Object(members) => {
                let members = Members { members: members.entries().iter(), value: None };
                visitor.visit_enum(MapAccessDeserializer::new(members))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        struct identifier ignored_any
    }
}

struct Items<'a> {
    items: core::slice::Iter<'a, Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Look(item)).map(Some).map_err(|fault| fault.within(index))
    }
}

struct Members<'a> {
    members: core::slice::Iter<'a, (String, Value)>,
    value: Option<(&'a str, &'a Value)>,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some((name, value)) = self.members.next() else {
            return Ok(None);
        };
        self.value = Some((name, value));
        let name: StrDeserializer<'_, Fault> = name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let Some((name, value)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its name"));
        };
        seed.deserialize(Look(value)).map_err(|fault| fault.within(name))
    }
}
