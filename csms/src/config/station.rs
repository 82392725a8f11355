//! A station in the configuration.

use std::collections::BTreeSet;

use certificates::StationIdentity;
use serde::Deserialize;

use crate::{config::error::ConfigError, stations::login::StoredHash};

/// One station that may connect.
#[derive(Clone, Debug)]
pub struct StationSection {
    /// The identity in the connection URL.
    pub identity: StationIdentity,
    /// The serial number: CN of its certificate (A00.FR.405), `chargingStation.serialNumber`
    /// (B01.FR.11).
    pub serial_number: String,
    /// `ocpp-csms hash-password` makes it; absent: the station may not use security profile 2.
    pub password_hash: Option<PasswordHash>,
    /// Whether it may connect with a certificate that has expired, to be kept Pending and given a
    /// new one at once (A00.FR.429); default false.
    pub expired_certificate_permitted: bool,
}

/// The hash of a station's password: Argon2id in the PHC string format, within the bounds of what
/// one verification may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The PHC string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The members as they stand in the file.
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

/// The stations of a configuration.
pub(super) fn parse(stations: Vec<RawStation>) -> Result<Vec<StationSection>, ConfigError> {
    let (mut identities, mut serial_numbers) = (BTreeSet::new(), BTreeSet::new());
    let mut parsed = Vec::with_capacity(stations.len());
    for (index, station) in stations.into_iter().enumerate() {
        let refuse =
            |name: &str, rule: String| Err(ConfigError::value(format!("station[{index}].{name}"), rule));
        if !identities.insert(station.identity.clone()) {
            return refuse("identity", "stands twice (the case of letters does not matter)".to_owned());
        }
        // A00.FR.427: a certificate, and so a serial number, belongs to one station.
        if !serial_numbers.insert(station.serial_number.clone()) {
            return refuse("serial_number", "stands twice".to_owned());
        }
        if !(1..=25).contains(&station.serial_number.chars().count()) {
            return refuse("serial_number", "has to have 1 to 25 characters (BootNotification)".to_owned());
        }
        if let Some(Err(error)) = station.password_hash.as_deref().map(StoredHash::parse) {
            return refuse("password_hash", format!("of {} {error}", station.identity));
        }
        parsed.push(StationSection {
            identity: station.identity,
            serial_number: station.serial_number,
            password_hash: station.password_hash.map(PasswordHash),
            expired_certificate_permitted: station.expired_certificate_permitted,
        });
    }
    Ok(parsed)
}
