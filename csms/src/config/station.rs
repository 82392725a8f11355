//! A station in the configuration.

use certificates::StationIdentity;
use serde::Deserialize;

/// One station that may connect.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StationSection {
    /// The identity in the connection URL.
    pub identity: StationIdentity,
    /// The serial number: CN of its certificate (A00.FR.405), `chargingStation.serialNumber`
    /// (B01.FR.11).
    pub serial_number: String,
    /// `ocpp-csms hash-password` makes it; absent: the station may not use security profile 2.
    #[serde(default)]
    pub password_hash: Option<String>,
    /// Whether it may connect with a certificate that has expired, to be kept Pending and given a
    /// new one at once (A00.FR.429); default false.
    #[serde(default)]
    pub expired_certificate_permitted: bool,
}
