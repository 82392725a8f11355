//! The section of a configuration file that names a token.

use serde::Deserialize;

/// A token, as the configuration files of a station and of a CSMS name it.
///
/// Apply it with [`TokenOptions::configured`](crate::TokenOptions::configured).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TokenConfig {
    /// An RFC 7512 URI with the token's label or serial number, and a pin-source.
    pub uri: String,
    /// How often an idle session is tested by a signature, in seconds. 0 tests none: for tokens
    /// that bill or log each signature. Default 60.
    pub keep_alive_seconds: Option<u64>,
}
