//! The identity of a charging station.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use super::text::serde_as_text;

/// The identity of a charging station: 1 to 48 characters, no `:` and no control character.
///
/// OCPP-J appends the percent-encoded identity to the endpoint's URL. A `:` is forbidden because it
/// separates user and password in the Basic header. The specification's `identifierString` is
/// narrower; its own example (`RDAM 123`) is not, so the other printable characters are accepted.
///
/// The case of ASCII letters does not matter, as in every `identifierString`: `cs001` is the
/// station `CS001`, with any spelling in URL, credentials and records. The given spelling is kept.
///
/// ```
/// use certificates::StationIdentity;
///
/// let identity: StationIdentity = "CS001".parse()?;
/// assert_eq!(identity, "cs001".parse()?);
/// # Ok::<(), certificates::StationIdentityError>(())
/// ```
#[derive(Clone)]
pub struct StationIdentity(String);

impl StationIdentity {
    /// The longest identity, in characters (2.0.1 Part 2, `identity` of SecurityCtrlr).
    pub const MAX_CHARACTERS: usize = 48;

    /// Whether a text is a spelling of this identity.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        self.0.eq_ignore_ascii_case(text)
    }

    /// The identity as text, in the given spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The spelling by which identities are compared as texts, such as in a database: ASCII letters
    /// in lower case.
    ///
    /// ```
    /// let identity: certificates::StationIdentity = "CS001".parse()?;
    /// assert_eq!(identity.key(), "cs001");
    /// # Ok::<(), certificates::StationIdentityError>(())
    /// ```
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for StationIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Eq for StationIdentity {}

impl Hash for StationIdentity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The bytes are followed by one that never occurs in UTF-8, so that no identity is a prefix
        // of another.
        self.0.bytes().for_each(|byte| state.write_u8(byte.to_ascii_lowercase()));
        state.write_u8(0xff);
    }
}

impl PartialOrd for StationIdentity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for StationIdentity {
    fn cmp(&self, other: &Self) -> Ordering {
        let lowercase = |byte: u8| byte.to_ascii_lowercase();
        self.0.bytes().map(lowercase).cmp(other.0.bytes().map(lowercase))
    }
}

impl TryFrom<&str> for StationIdentity {
    type Error = StationIdentityError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        if text.is_empty() {
            return Err(StationIdentityError::Empty);
        }
        if text.chars().count() > Self::MAX_CHARACTERS {
            return Err(StationIdentityError::TooLong);
        }
        match text.chars().find(|character| *character == ':' || character.is_control()) {
            Some(character) => Err(StationIdentityError::Character { character }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for StationIdentity {
    type Error = StationIdentityError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::try_from(text.as_str())
    }
}

impl FromStr for StationIdentity {
    type Err = StationIdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text)
    }
}

impl fmt::Display for StationIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl fmt::Debug for StationIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl AsRef<str> for StationIdentity {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

serde_as_text!(StationIdentity, "the identity of a charging station", str::parse);

/// Why a text is not the identity of a charging station.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StationIdentityError {
    /// The text is empty.
    #[error("the identity is empty")]
    Empty,
    /// More than 48 characters.
    #[error("the identity is longer than {max} characters", max = StationIdentity::MAX_CHARACTERS)]
    TooLong,
    /// A `:` or a control character.
    #[error("the identity contains {character:?}")]
    Character {
        /// The first such character.
        character: char,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(text: &str) -> StationIdentity {
        StationIdentity::try_from(text).unwrap()
    }

    #[test]
    fn the_case_of_letters_does_not_matter() {
        let mut known = std::collections::HashMap::from([(identity("CS001"), 1), (identity("Säule-1"), 2)]);
        for spelling in ["CS001", "cs001", "Cs001"] {
            assert_eq!(known.get(&identity(spelling)), Some(&1));
            assert_eq!(identity(spelling).cmp(&identity("CS001")), Ordering::Equal);
            assert_eq!(identity(spelling).as_str(), spelling);
        }
        assert_eq!(known.get(&identity("sÄule-1")), None, "of ASCII letters only");
        assert_eq!(known.get(&identity("CS0010")), None);
        assert_eq!(known.insert(identity("cs001"), 3), Some(1));
    }

    #[test]
    fn what_is_no_identity() {
        for (text, expected) in [
            ("", StationIdentityError::Empty),
            ("a:b", StationIdentityError::Character { character: ':' }),
            ("a\nb", StationIdentityError::Character { character: '\n' }),
            (&"x".repeat(49), StationIdentityError::TooLong),
        ] {
            assert_eq!(text.parse::<StationIdentity>(), Err(expected), "{text:?}");
        }
        assert_eq!(identity(&"é".repeat(48)).as_str().chars().count(), 48);
        serde_json::from_str::<StationIdentity>("\"a:b\"").unwrap_err();
    }
}
