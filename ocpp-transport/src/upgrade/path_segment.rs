//! The identity of a charging station as the last segment of its connection URL's path (OCPP-J,
//! 3.1).

use certificates::{StationIdentity, StationIdentityError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Reads the last segment of a connection URL's path.
///
/// ```
/// use ocpp_transport::{StationIdentity, path_segment};
///
/// let identity: StationIdentity = "RDAM|123".parse()?;
/// assert_eq!(path_segment::write(&identity), "RDAM%7C123");
/// assert_eq!(path_segment::read("RDAM%7C123")?, identity);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`PathSegmentError`] if the decoded bytes are not UTF-8, or not an identity.
pub fn read(segment: &str) -> Result<StationIdentity, PathSegmentError> {
    // percent_decode_str keeps a percent sign that begins no escape. It is refused here, so that
    // one identity has few spellings.
    let bytes = segment.as_bytes();
    let escapes_are_whole = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !escapes_are_whole {
        return Err(PathSegmentError::Encoding);
    }
    let text = percent_decode_str(segment).decode_utf8().map_err(|_| PathSegmentError::Encoding)?;
    text.parse().map_err(|source| PathSegmentError::Identity { source })
}

/// The identity as the last segment of a connection URL's path, percent-encoded.
#[must_use]
pub fn write(identity: &StationIdentity) -> String {
    utf8_percent_encode(identity.as_str(), ESCAPED).to_string()
}

/// Why a segment of a path is not the identity of a charging station.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathSegmentError {
    /// The percent-encoding is invalid, or does not yield UTF-8.
    #[error("the identity is not percent-encoded UTF-8")]
    Encoding,
    /// The decoded segment is not an identity.
    #[error("the segment is not the identity of a charging station")]
    Identity {
        /// The cause.
        #[source]
        source: StationIdentityError,
    },
}

/// Everything except the unreserved characters of RFC 3986 is escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, segment: &str) {
        let identity = StationIdentity::try_from(text).unwrap();
        assert_eq!(write(&identity), segment);
        assert_eq!(read(segment).unwrap(), identity);
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
    fn what_is_no_identity() {
        for (segment, source) in [
            ("", StationIdentityError::Empty),
            ("a%3Ab", StationIdentityError::Character { character: ':' }),
            ("a%0Ab", StationIdentityError::Character { character: '\n' }),
            (&"x".repeat(49), StationIdentityError::TooLong),
        ] {
            assert_eq!(read(segment), Err(PathSegmentError::Identity { source }), "{segment}");
        }
        for segment in ["a%FF", "a%4", "100%"] {
            assert_eq!(read(segment), Err(PathSegmentError::Encoding), "{segment}");
        }
    }
}
