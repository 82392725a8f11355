//! Names of token keys in the configuration.

use program::causes;
use signer_pkcs11::Uri;

use crate::config::error::ConfigError;

/// Reads an RFC 7512 URI.
pub(super) fn parse_uri(field: &str, text: &str) -> Result<Uri, ConfigError> {
    text.parse().map_err(|error| ConfigError::value(field, format!("is no PKCS #11 URI: {}", causes(&error))))
}
