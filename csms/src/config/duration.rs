//! Durations in the configuration.

use std::time::Duration;

use serde::{Deserialize as _, Deserializer, de::Error as _};
use signer_pkcs11::parse_duration;

/// Reads a duration such as `10m`.
pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// Reads a duration such as `10m`, or `never`, which is zero.
pub(super) fn duration_or_never<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    match String::deserialize(from)?.as_str() {
        "never" => Ok(Duration::ZERO),
        text => parse_duration(text).map_err(D::Error::custom),
    }
}
