//! The station that asks for a certificate.

use certificates::StationIdentity;

/// The station that asks for a certificate, as its connection has authenticated it. The claims of a
/// request prove nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Applicant {
    /// The identity in the connection URL.
    pub identity: StationIdentity,
    /// The serial number of the station that the CSMS has on record.
    pub serial_number: String,
}
