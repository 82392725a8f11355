//! HTTP Basic authentication, as security profiles 1 and 2 use it.

use std::fmt;

use base64ct::{Base64, Encoding};
use certificates::StationIdentity;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A password for Basic authentication. `Debug` does not show it, and its memory is wiped.
///
/// It consists of bytes: OCPP 2.x sends a text in UTF-8, OCPP 1.6 the bytes of a key.
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Takes ownership of the bytes of a password.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The `AuthorizationKey` of OCPP 1.6: 32 to 40 hexadecimal digits for the 16 to 20 bytes that
    /// a station sends. `None` if the text is not such a key.
    #[must_use]
    pub fn from_authorization_key(hexadecimal: &str) -> Option<Self> {
        Self::from(hexadecimal).key_bytes()
    }

    /// The bytes as hexadecimal digits, for a station that can store only text.
    #[must_use]
    pub fn to_hexadecimal(&self) -> Zeroizing<String> {
        let digits = self.to_hex(b"0123456789abcdef");
        Zeroizing::new(digits.0.iter().map(|digit| char::from(*digit)).collect())
    }

    /// The password itself. Hash or compare it; never log or store it.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether both are equal. The duration depends on the lengths only.
    #[must_use]
    pub fn matches(&self, other: &Password) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }

    /// The candidates that a CSMS compares with the hash that it keeps: the password as it was
    /// sent, and, if it may be the `AuthorizationKey` of OCPP 1.6, the other forms of that key.
    ///
    /// Such a key has 16 to 20 bytes and is configured in hexadecimal. The security whitepaper
    /// requires that a station sends the bytes; its certification test and many stations send the
    /// text. Whichever form was hashed, the other one is accepted, with digits of either case. A
    /// password of OCPP 2.x is usually not such a key and has only this spelling.
    #[must_use]
    pub fn spellings(&self) -> Vec<Password> {
        let mut spellings = vec![self.clone()];
        let bytes = match self.key_bytes() {
            Some(bytes) => bytes,
            None if KEY_BYTES.contains(&self.0.len()) && !self.is_text() => self.clone(),
            None => return spellings,
        };
        let texts = [b"0123456789ABCDEF", b"0123456789abcdef"].map(|digits| bytes.to_hex(digits));
        for spelling in [bytes].into_iter().chain(texts) {
            if !spelling.matches(self) {
                spellings.push(spelling);
            }
        }
        spellings
    }

    /// Whether both are equal, or spellings of the same key (see [`Password::spellings`]). The
    /// duration does not depend on how many bytes are correct.
    #[must_use]
    pub fn is_spelling_of(&self, other: &Password) -> bool {
        let [own, other] =
            [self, other].map(|password| password.key_bytes().unwrap_or_else(|| password.clone()));
        own.matches(&other)
    }

    /// The bytes of a key in hexadecimal.
    fn key_bytes(&self) -> Option<Password> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digits = Zeroizing::new(self.0.iter().map(digit).collect::<Option<Vec<_>>>()?);
        let (pairs, rest) = digits.as_chunks::<2>();
        if !rest.is_empty() || !KEY_BYTES.contains(&pairs.len()) {
            return None;
        }
        Some(Self::new(pairs.iter().map(|[high, low]| high << 4 | low).collect::<Vec<_>>()))
    }

    /// Whether a person can type it.
    fn is_text(&self) -> bool {
        std::str::from_utf8(&self.0).is_ok_and(|text| !text.chars().any(char::is_control))
    }

    fn to_hex(&self, digits: &[u8; 16]) -> Password {
        let nibbles = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        Self::new(nibbles.map(|nibble| digits[usize::from(nibble)]).collect::<Vec<_>>())
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// User and password of a Basic header.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user. OCPP requires the station's identity (A00.FR.204, A00.FR.303).
    pub user: String,
    /// The password.
    pub password: Password,
}

impl Credentials {
    /// Reads the value of an `Authorization` header.
    ///
    /// The decoded text is split at its *first* colon, because a password may contain colons.
    ///
    /// # Errors
    /// If the scheme is not Basic, the base64 is invalid, the colon is missing, or the user is not
    /// UTF-8.
    pub fn parse(header: &[u8]) -> Result<Self, CredentialsError> {
        let (scheme, encoded) = header.split_at_checked(SCHEME.len()).ok_or(CredentialsError::Scheme)?;
        if !scheme.eq_ignore_ascii_case(SCHEME.as_bytes()) {
            return Err(CredentialsError::Scheme);
        }
        let encoded = std::str::from_utf8(encoded.trim_ascii()).map_err(|_| CredentialsError::Base64)?;
        let decoded = Zeroizing::new(Base64::decode_vec(encoded).map_err(|_| CredentialsError::Base64)?);
        let colon = decoded.iter().position(|byte| *byte == b':').ok_or(CredentialsError::Colon)?;
        let user = std::str::from_utf8(&decoded[..colon]).map_err(|_| CredentialsError::User)?;
        Ok(Self { user: user.to_owned(), password: Password::new(&decoded[colon + 1..]) })
    }
}

/// The value of the `Authorization` header for a station (A00.FR.204, A00.FR.303).
#[must_use]
pub fn header(identity: &StationIdentity, password: &Password) -> Zeroizing<String> {
    let plain = Zeroizing::new([identity.as_str().as_bytes(), b":", password.expose()].concat());
    let encoded = Zeroizing::new(Base64::encode_string(&plain));
    Zeroizing::new(format!("{SCHEME}{}", *encoded))
}

/// Why the value of an `Authorization` header cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// A scheme other than Basic.
    #[error("the Authorization header does not use the scheme Basic")]
    Scheme,
    /// Not base64 (RFC 4648, with padding).
    #[error("the Authorization header is not base64")]
    Base64,
    /// No colon between user and password.
    #[error("the Authorization header has no colon between user and password")]
    Colon,
    /// The user is not UTF-8.
    #[error("the user in the Authorization header is not UTF-8")]
    User,
}

const SCHEME: &str = "Basic ";

/// The length of an `AuthorizationKey` of OCPP 1.6.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a00_fr_204_the_header_names_identity_and_password() {
        let identity = StationIdentity::try_from("AL1000").unwrap();
        let key = Password::new(
            *b"\x00\x01\x02\x03\x04\x05\x06\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        );
        let value = header(&identity, &key);
        assert_eq!(*value, "Basic QUwxMDAwOgABAgMEBQYH////////////////");
        let read = Credentials::parse(value.as_bytes()).unwrap();
        assert_eq!(read.user, "AL1000");
        assert!(read.password.matches(&key));
    }

    /// The example of the whitepaper.
    const KEY: &str = "0001020304050607FFFFFFFFFFFFFFFFFFFFFFFF";

    #[test]
    fn the_key_of_1_6_is_known_by_each_of_its_spellings() {
        let bytes = b"\x00\x01\x02\x03\x04\x05\x06\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
        let [raw, upper, lower] =
            [Password::new(*bytes), Password::from(KEY), Password::from(KEY.to_lowercase().as_str())];
        for sent in [&raw, &upper, &lower] {
            let spellings = sent.spellings();
            assert!(spellings[0].matches(sent), "first as it was sent");
            assert_eq!(spellings.len(), 3);
            for kept in [&raw, &upper, &lower] {
                assert!(spellings.iter().any(|spelling| spelling.matches(kept)));
                assert!(sent.is_spelling_of(kept) && kept.is_spelling_of(sent));
            }
        }
        assert!(!Password::from(&KEY[2..]).is_spelling_of(&upper));
    }

    #[test]
    fn a_password_of_2_x_has_one_spelling() {
        for text in [
            "correct horse battery",
            "0123456789abcdef",
            "pässwörter-16-ch",
            &"f".repeat(31),
            &"0".repeat(42),
        ] {
            let password = Password::from(text);
            assert_eq!(password.spellings().len(), 1, "{text}");
            assert!(password.is_spelling_of(&password));
        }
    }

    #[test]
    fn the_first_colon_separates() {
        let read = Credentials::parse(b"basic  QUI6Yzpk").unwrap();
        assert_eq!((read.user.as_str(), read.password.expose()), ("AB", b"c:d".as_slice()));
    }

    #[test]
    fn broken_headers() {
        for (value, expected) in [
            ("", CredentialsError::Scheme),
            ("Bearer QUI6Yw==", CredentialsError::Scheme),
            ("Basic ***", CredentialsError::Base64),
            ("Basic QUI6Yw", CredentialsError::Base64),
            ("Basic QUJD", CredentialsError::Colon),
            ("Basic /zpj", CredentialsError::User),
        ] {
            assert_eq!(Credentials::parse(value.as_bytes()).err(), Some(expected), "{value}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(format!("{:?}", Password::from("0123456789abcdef")), "Password(…)");
    }

    #[test]
    fn passwords_of_other_length_or_content_differ() {
        assert!(!Password::from("abc").matches(&Password::from("abcd")));
        assert!(!Password::from("abc").matches(&Password::from("abd")));
        assert!(Password::from("abc").matches(&Password::from("abc")));
    }
}
