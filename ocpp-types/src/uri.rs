//! Addresses.

use alloc::{borrow::ToOwned as _, string::String};
use core::{fmt, net::Ipv6Addr, ops::Deref, str::FromStr};

use serde_core::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

/// A URI of RFC 3986, with its scheme (JSON Schema's `uri`). Its spelling is kept.
///
/// ```
/// use ocpp_types::Uri;
///
/// let location: Uri = "ftp://cs@files.example.org:21/logs?id=7".parse()?;
/// assert_eq!(location.as_str(), "ftp://cs@files.example.org:21/logs?id=7");
/// assert!("files.example.org/logs".parse::<Uri>().is_err());
/// # Ok::<(), ocpp_types::NotAUri>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uri(String);

impl Uri {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text without a copy.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl TryFrom<String> for Uri {
    type Error = NotAUri;

    fn try_from(text: String) -> Result<Self, NotAUri> {
        if is_uri(&text) { Ok(Self(text)) } else { Err(NotAUri) }
    }
}

impl TryFrom<&str> for Uri {
    type Error = NotAUri;

    fn try_from(text: &str) -> Result<Self, NotAUri> {
        if is_uri(text) { Ok(Self(text.to_owned())) } else { Err(NotAUri) }
    }
}

impl FromStr for Uri {
    type Err = NotAUri;

    fn from_str(text: &str) -> Result<Self, NotAUri> {
        Self::try_from(text)
    }
}

impl From<Uri> for String {
    fn from(uri: Uri) -> Self {
        uri.0
    }
}

impl Deref for Uri {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Uri {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl Serialize for Uri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Uri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_string(UriVisitor)
    }
}

struct UriVisitor;

impl Visitor<'_> for UriVisitor {
    type Value = Uri;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, a URI by RFC 3986 with its scheme")
    }

    // The errors do not contain the text: the address of an upload may contain a password.
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Uri, E> {
        Uri::try_from(text).map_err(E::custom)
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Uri, E> {
        Uri::try_from(text).map_err(E::custom)
    }
}

/// RFC 3986, appendix A: `URI = scheme ":" hier-part [ "?" query ] [ "#" fragment ]`.
fn is_uri(text: &str) -> bool {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    is_scheme(scheme)
        && is_authority(authority)
        && consists_of(path, |letter| is_pchar(letter) || letter == b'/')
        && [query, fragment]
            .iter()
            .all(|part| consists_of(part, |letter| is_pchar(letter) || matches!(letter, b'/' | b'?')))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'+' | b'-' | b'.'))
}

/// `[ userinfo "@" ] host [ ":" port ]`.
fn is_authority(text: &str) -> bool {
    let (user, place) = text.split_once('@').unwrap_or(("", text));
    let (is_host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
        Some((literal, port)) => match port.strip_prefix(':') {
            Some(port) => (is_ip_literal(literal), port),
            None => (is_ip_literal(literal) && port.is_empty(), ""),
        },
        None => {
            let (host, port) = place.split_once(':').unwrap_or((place, ""));
            (consists_of(host, is_of_a_name), port)
        }
    };
    is_host
        && consists_of(user, |letter| is_of_a_name(letter) || letter == b':')
        && port.bytes().all(|digit| digit.is_ascii_digit())
}

fn is_ip_literal(text: &str) -> bool {
    let Some(future) = text.strip_prefix(['v', 'V']) else {
        return text.parse::<Ipv6Addr>().is_ok();
    };
    future.split_once('.').is_some_and(|(version, address)| {
        !version.is_empty()
            && version.bytes().all(|digit| digit.is_ascii_hexdigit())
            && !address.is_empty()
            && address.bytes().all(|letter| is_of_a_name(letter) || letter == b':')
    })
}

/// Whether every character is allowed or part of a percent-encoded one.
fn consists_of(text: &str, is_allowed: impl Fn(u8) -> bool) -> bool {
    let mut letters = text.bytes();
    while let Some(letter) = letters.next() {
        let is_fine = match letter {
            b'%' => {
                let mut digit = || letters.next().is_some_and(|digit| digit.is_ascii_hexdigit());
                digit() && digit()
            }
            letter => is_allowed(letter),
        };
        if !is_fine {
            return false;
        }
    }
    true
}

fn is_pchar(letter: u8) -> bool {
    is_of_a_name(letter) || matches!(letter, b':' | b'@')
}

/// `unreserved / sub-delims`.
fn is_of_a_name(letter: u8) -> bool {
    letter.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&letter)
}

/// A text that is not a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAUri;

impl fmt::Display for NotAUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a URI by RFC 3986 with its scheme")
    }
}

impl core::error::Error for NotAUri {}
