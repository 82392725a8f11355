//! The identity of a charging station, as its connection URL carries it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The identity of a charging station: 1 to 48 characters, no `:` and no control character.
///
/// OCPP-J appends it, percent-encoded, to the endpoint's URL. A `:` is forbidden because it separates
/// user and password in the Basic header. The specification's `identifierString` is narrower; its own
/// example (`RDAM 123`) is not, so the other printable characters are let through.
///
/// The case of ASCII letters does not matter, as in every `identifierString`: `cs001` is the station `CS001`, however
/// either is written in URL, credentials and records. The spelling is kept as it was given.
///
/// ```
/// use ocpp_transport::Identity;
///
/// let identity: Identity = "RDAM|123".parse()?;
/// assert_eq!(identity.to_path_segment(), "RDAM%7C123");
/// assert_eq!(Identity::from_path_segment("RDAM%7C123")?, identity);
/// # Ok::<(), ocpp_transport::IdentityError>(())
/// ```
#[derive(Clone)]
pub struct Identity(String);

impl Identity {
    /// The longest identity, in characters (2.0.1 Part 2, `identity` of SecurityCtrlr).
    pub const MAX_CHARACTERS: usize = 48;

    /// Reads the last segment of a connection URL's path.
    ///
    /// # Errors
    /// If the decoded bytes are not UTF-8, or not an identity.
    pub fn from_path_segment(segment: &str) -> Result<Self, IdentityError> {
        // A percent sign that starts no escape stays as it is in percent_decode_str; here it is refused,
        // so that one identity has few spellings.
        let bytes = segment.as_bytes();
        let escapes_are_whole = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
            bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        });
        if !escapes_are_whole {
            return Err(IdentityError::Encoding);
        }
        let text = percent_decode_str(segment).decode_utf8().map_err(|_| IdentityError::Encoding)?;
        Self::try_from(text.as_ref())
    }

    /// The identity as the last segment of a connection URL's path, percent-encoded.
    #[must_use]
    pub fn to_path_segment(&self) -> String {
        utf8_percent_encode(&self.0, ESCAPED).to_string()
    }

    /// Whether a text is a spelling of this identity.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        self.0.eq_ignore_ascii_case(text)
    }

    /// The identity as text, spelled as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As a byte string that ends with what no UTF-8 has, so that no identity is the beginning of another.
        self.0.bytes().for_each(|byte| state.write_u8(byte.to_ascii_lowercase()));
        state.write_u8(0xff);
    }
}

impl PartialOrd for Identity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Identity {
    fn cmp(&self, other: &Self) -> Ordering {
        let lowercase = |byte: u8| byte.to_ascii_lowercase();
        self.0.bytes().map(lowercase).cmp(other.0.bytes().map(lowercase))
    }
}

impl TryFrom<&str> for Identity {
    type Error = IdentityError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        if text.is_empty() {
            return Err(IdentityError::Empty);
        }
        if text.chars().count() > Self::MAX_CHARACTERS {
            return Err(IdentityError::TooLong);
        }
        match text.chars().find(|character| *character == ':' || character.is_control()) {
            Some(character) => Err(IdentityError::Character { character }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Identity {
    type Error = IdentityError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::try_from(text.as_str())
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl AsRef<str> for Identity {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Why a text is not the identity of a charging station.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Nothing is there.
    #[error("the identity is empty")]
    Empty,
    /// More than 48 characters.
    #[error("the identity is longer than {max} characters", max = Identity::MAX_CHARACTERS)]
    TooLong,
    /// A `:` or a control character.
    #[error("the identity contains {character:?}")]
    Character {
        /// The first such character.
        character: char,
    },
    /// The percent-encoding is broken, or does not yield UTF-8.
    #[error("the identity is not percent-encoded UTF-8")]
    Encoding,
}

/// Everything but the unreserved characters of RFC 3986 is escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, segment: &str) {
        let identity = Identity::try_from(text).unwrap();
        assert_eq!(identity.to_path_segment(), segment);
        assert_eq!(Identity::from_path_segment(segment).unwrap(), identity);
    }

    #[test]
    fn the_examples_of_the_specification() {
        check("CS001", "CS001");
        check("RDAM 123", "RDAM%20123");
        check("RDAM|123", "RDAM%7C123");
    }

    #[test]
    fn other_letters_and_separators_survive() {
        check("Ladesäule/7", "Lades%C3%A4ule%2F7");
        check("a%b", "a%25b");
        check(&"é".repeat(48), &"%C3%A9".repeat(48));
    }

    #[test]
    fn the_case_of_letters_does_not_matter() {
        let identity = |text| Identity::try_from(text).unwrap();
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
        for (segment, expected) in [
            ("", IdentityError::Empty),
            ("a%3Ab", IdentityError::Character { character: ':' }),
            ("a%0Ab", IdentityError::Character { character: '\n' }),
            ("a%FF", IdentityError::Encoding),
            ("a%4", IdentityError::Encoding),
            ("100%", IdentityError::Encoding),
            (&"x".repeat(49), IdentityError::TooLong),
        ] {
            assert_eq!(Identity::from_path_segment(segment), Err(expected), "{segment}");
        }
    }
}
