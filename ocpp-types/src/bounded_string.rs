//! Strings with a maximum length.

use alloc::{boxed::Box, format, string::String};
use core::{fmt, ops::Deref, str::FromStr};

use serde_core::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Unexpected, Visitor},
};

/// A string of at most `MAX` Unicode characters (JSON Schema's `maxLength` counts characters, not
/// bytes).
///
/// ```
/// use ocpp_types::BoundedString;
///
/// let serial: BoundedString<8> = "CS-00042".parse()?;
/// assert_eq!(serial.as_str(), "CS-00042");
/// assert_eq!(BoundedString::<3>::try_from("four").unwrap_err().characters(), 4);
/// # Ok::<(), ocpp_types::TooLong>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
// `Box<str>` has no capacity, unlike `String`: messages consist mostly of strings, and are moved
// more often than they are changed.
pub struct BoundedString<const MAX: usize>(Box<str>);

impl<const MAX: usize> BoundedString<MAX> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text without a copy.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0.into_string()
    }

    /// The longest beginning of `text` that fits, for texts that may be shortened, such as
    /// additional information for a reader.
    #[must_use]
    pub fn truncated(text: &str) -> Self {
        let end = text.char_indices().nth(MAX).map_or(text.len(), |(index, _)| index);
        Self(text.get(..end).unwrap_or_default().into())
    }
}

fn check<const MAX: usize>(text: &str) -> Result<(), TooLong> {
    // A character has at least one byte, so most texts need no counting.
    if text.len() <= MAX {
        return Ok(());
    }
    match text.chars().count() {
        characters if characters <= MAX => Ok(()),
        characters => Err(TooLong { characters, max: MAX }),
    }
}

impl<const MAX: usize> TryFrom<String> for BoundedString<MAX> {
    type Error = TooLong;

    fn try_from(text: String) -> Result<Self, TooLong> {
        check::<MAX>(&text)?;
        Ok(Self(text.into_boxed_str()))
    }
}

impl<const MAX: usize> TryFrom<&str> for BoundedString<MAX> {
    type Error = TooLong;

    fn try_from(text: &str) -> Result<Self, TooLong> {
        check::<MAX>(text)?;
        Ok(Self(text.into()))
    }
}

impl<const MAX: usize> FromStr for BoundedString<MAX> {
    type Err = TooLong;

    fn from_str(text: &str) -> Result<Self, TooLong> {
        Self::try_from(text)
    }
}

impl<const MAX: usize> From<BoundedString<MAX>> for String {
    fn from(text: BoundedString<MAX>) -> Self {
        text.into_string()
    }
}

impl<const MAX: usize> Deref for BoundedString<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> AsRef<str> for BoundedString<MAX> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> PartialEq<str> for BoundedString<MAX> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl<const MAX: usize> PartialEq<&str> for BoundedString<MAX> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl<const MAX: usize> fmt::Display for BoundedString<MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl<const MAX: usize> fmt::Debug for BoundedString<MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl<const MAX: usize> Serialize for BoundedString<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for BoundedString<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_string(TextVisitor::<MAX>)
    }
}

struct TextVisitor<const MAX: usize>;

impl<const MAX: usize> TextVisitor<MAX> {
    fn refuse<E: de::Error>(too_long: TooLong) -> E {
        let found = format!("{} characters", too_long.characters);
        E::invalid_value(Unexpected::Other(&found), &format!("at most {MAX}").as_str())
    }
}

impl<const MAX: usize> Visitor<'_> for TextVisitor<MAX> {
    type Value = BoundedString<MAX>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a string of at most {MAX} characters")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        BoundedString::try_from(text).map_err(Self::refuse)
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
        BoundedString::try_from(text).map_err(Self::refuse)
    }
}

/// A text with more characters than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    characters: usize,
    max: usize,
}

impl TooLong {
    /// The number of characters of the text.
    #[must_use]
    pub fn characters(&self) -> usize {
        self.characters
    }

    /// The maximum number of characters.
    #[must_use]
    pub fn max(&self) -> usize {
        self.max
    }
}

impl fmt::Display for TooLong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} characters, at most {} are allowed", self.characters, self.max)
    }
}

impl core::error::Error for TooLong {}
