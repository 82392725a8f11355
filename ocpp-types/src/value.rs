//! JSON of any form, for the members that OCPP leaves to vendors.

use alloc::{borrow::ToOwned as _, string::String, vec::Vec};
use core::fmt;

use serde_core::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Unexpected, Visitor},
    ser::SerializeMap as _,
};

use crate::{Number, WrittenNumber, json::AS_WRITTEN};

/// Any JSON value, with the members of its objects in the received order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, with its original text.
    Number(WrittenNumber),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Map),
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Number> for Value {
    fn from(value: Number) -> Self {
        Self::Number(value.into())
    }
}

impl From<WrittenNumber> for Value {
    fn from(value: WrittenNumber) -> Self {
        Self::Number(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(Number::from(value).into())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<Vec<Value>> for Value {
    fn from(value: Vec<Value>) -> Self {
        Self::Array(value)
    }
}

impl From<Map> for Value {
    fn from(value: Map) -> Self {
        Self::Object(value)
    }
}

/// The members of an object, in order. Each name occurs once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Map(Vec<(String, Value)>);

impl Map {
    /// No members.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets a member: in place if it exists, otherwise at the end. Returns the former value.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(present, _)| *present == name) {
            Some((_, present)) => Some(core::mem::replace(present, value)),
            None => {
                self.0.push((name, value));
                None
            }
        }
    }

    /// Removes a member.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let index = self.0.iter().position(|(present, _)| present == name)?;
        Some(self.0.remove(index).1)
    }

    /// A member's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(present, _)| present == name).map(|(_, value)| value)
    }

    /// Members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(crate) fn entries(&self) -> &[(String, Value)] {
        &self.0
    }

    /// The number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Creates a map from members that a peer has sent.
    pub(crate) fn from_members<E: de::Error>(members: Vec<(String, Value)>) -> Result<Self, E> {
        match duplicate(members.iter().map(|(name, _)| name.as_str())) {
            None => Ok(Self(members)),
            Some(_) => Err(E::custom("the same member twice in one object")),
        }
    }
}

/// A name that occurs twice. Takes n log n steps, because the names come from a peer.
pub(crate) fn duplicate<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut sorted: Vec<&str> = names.collect();
    sorted.sort_unstable();
    sorted.windows(2).find_map(|pair| match pair {
        [one, other] if one == other => Some(*one),
        _ => None,
    })
}

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::String(value) => serializer.serialize_str(value),
            Self::Array(items) => items.serialize(serializer),
            Self::Object(members) => members.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(AS_WRITTEN, ValueVisitor { duplicates: Duplicates::Refuse })
    }
}

/// What to do with a member that occurs twice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duplicates {
    /// The value is for a user.
    Refuse,
    /// The value is for the second look, which reports their place.
    Keep,
}

/// Reads a value.
#[derive(Clone, Copy)]
pub(crate) struct ValueVisitor {
    pub(crate) duplicates: Duplicates,
}

impl<'de> DeserializeSeed<'de> for ValueVisitor {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_newtype_struct(AS_WRITTEN, self)
    }
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    /// The text of a number, from a deserializer that knows [`AS_WRITTEN`].
    fn visit_bytes<E: de::Error>(self, text: &[u8]) -> Result<Value, E> {
        let number = core::str::from_utf8(text).ok().and_then(|text| text.parse::<WrittenNumber>().ok());
        number.map(Value::Number).ok_or_else(|| E::invalid_value(OUT_OF_RANGE, &self))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Number::from(value).into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Number::from(value).into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::try_from(value);
        number.map(Value::from).map_err(|_| E::invalid_value(Unexpected::Float(value), &self))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == ARBITRARY_PRECISION && members.is_empty() && numbers_come_as_objects() {
                return self.visit_bytes(map.next_value::<String>()?.as_bytes());
            }
            members.push((name, map.next_value_seed(self)?));
        }
        match self.duplicates {
            Duplicates::Refuse => Map::from_members(members).map(Value::Object),
            Duplicates::Keep => Ok(Value::Object(Map(members))),
        }
    }
}

/// The name with which serde_json passes a number as text, if a crate of the build enables its
/// feature `arbitrary_precision`.
const ARBITRARY_PRECISION: &str = "$serde_json::private::Number";

/// Whether that feature is enabled. All crates of a build together decide about the features of a
/// dependency, and this crate can find them out only by a test.
fn numbers_come_as_objects() -> bool {
    struct Probe;

    impl<'de> Visitor<'de> for Probe {
        type Value = bool;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a number")
        }

        fn visit_u64<E: de::Error>(self, _: u64) -> Result<bool, E> {
            Ok(false)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
            while map.next_entry::<String, String>()?.is_some() {}
            Ok(true)
        }
    }

    serde_json::Deserializer::from_str("0").deserialize_any(Probe).unwrap_or(false)
}

/// The unexpected value for a number beyond the range of a float.
pub(crate) const OUT_OF_RANGE: Unexpected<'static> = Unexpected::Float(f64::INFINITY);

impl Value {
    /// The kind of value, for a message to a person.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}
