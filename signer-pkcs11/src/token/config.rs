//! The section of a configuration file that names a token.

use program::causes;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::token::uri::Uri;

/// A token, as the configuration files of a station and of a CSMS name it.
///
/// Apply it with [`TokenOptions::configured`](crate::TokenOptions::configured).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TokenConfig {
    /// An RFC 7512 URI with the token's label or serial number, and a pin-source.
    #[serde(deserialize_with = "uri")]
    pub uri: Uri,
    /// How often an idle session is tested by a signature, in seconds. 0 tests none: for tokens
    /// that bill or log each signature. Default 60.
    pub keep_alive_seconds: Option<u64>,
}

/// No error repeats a part of the URI, which might be a PIN.
fn uri<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uri, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| D::Error::custom(format_args!("is no PKCS #11 URI: {}", causes(&error))))
}
