//! A station in the configuration.

use std::{collections::BTreeSet, fmt, str::FromStr};

use certificates::StationIdentity;
use serde::Deserialize;

use crate::{
    config::error::ConfigError,
    stations::login::{StoredHash, UnusableHash},
};

/// One station that may connect.
#[derive(Clone, Debug)]
pub struct StationSection {
    /// The identity in the connection URL.
    pub identity: StationIdentity,
    /// The serial number: CN of the station's certificate (A00.FR.405),
    /// `chargingStation.serialNumber` (B01.FR.11).
    pub serial_number: String,
    /// The output of `ocpp-csms hash-password`; absent: the station may not use security profile 2.
    pub password_hash: Option<PasswordHash>,
    /// Whether the station may connect with an expired certificate. It then stays Pending and
    /// receives a new certificate at once (A00.FR.429); default false.
    pub expired_certificate_permitted: bool,
}

/// The hash of a station's password: Argon2id in the PHC string format, with a bounded cost of one
/// verification, or `$sha256$SALT$HASH` of a password of random bytes.
///
/// ```
/// let hash: csms::PasswordHash = csms::io::hash_password("correct-horse-battery")?.parse()?;
/// assert!(hash.as_str().starts_with("$argon2id$"));
/// assert!("correct-horse-battery".parse::<csms::PasswordHash>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

/// Why a text is not the hash of a password. The error does not contain the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct PasswordHashError(#[from] UnusableHash);

impl PasswordHash {
    /// The PHC string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PasswordHash {
    type Err = PasswordHashError;

    fn from_str(text: &str) -> Result<Self, PasswordHashError> {
        StoredHash::parse(text)?;
        Ok(Self(text.to_owned()))
    }
}

/// Omits the hash, because a thief could test passwords against it.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash(..)")
    }
}

/// The members as they are written in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStation {
    identity: StationIdentity,
    serial_number: String,
    #[serde(default)]
    password_hash: Option<String>,
    #[serde(default)]
    expired_certificate_permitted: bool,
}

/// Reads the stations of a configuration.
pub(super) fn parse(stations: Vec<RawStation>) -> Result<Vec<StationSection>, ConfigError> {
    let (mut identities, mut serial_numbers) = (BTreeSet::new(), BTreeSet::new());
    let mut parsed = Vec::with_capacity(stations.len());
    for (index, station) in stations.into_iter().enumerate() {
        let refuse =
            |name: &str, rule: String| Err(ConfigError::value(format!("station[{index}].{name}"), rule));
        if !identities.insert(station.identity.clone()) {
            return refuse("identity", "is used twice (the case of letters does not matter)".to_owned());
        }
        // A00.FR.427: a certificate belongs to one station, and therefore a serial number too.
        if !serial_numbers.insert(station.serial_number.clone()) {
            return refuse("serial_number", "is used twice".to_owned());
        }
        if !(1..=25).contains(&station.serial_number.chars().count()) {
            return refuse("serial_number", "has to have 1 to 25 characters (BootNotification)".to_owned());
        }
        let password_hash = match station.password_hash.as_deref().map(str::parse).transpose() {
            Ok(hash) => hash,
            Err::<_, PasswordHashError>(error) => {
                return refuse("password_hash", format!("of {} {error}", station.identity));
            }
        };
        parsed.push(StationSection {
            identity: station.identity,
            serial_number: station.serial_number,
            password_hash,
            expired_certificate_permitted: station.expired_certificate_permitted,
        });
    }
    Ok(parsed)
}
