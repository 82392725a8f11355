//! Security events of the CSMS: what the transport sees and nobody else does.

use core::net::SocketAddr;
use std::fmt;

use crate::tls::presented::PresentedCertificate;

/// A connection was refused in a way that OCPP has a security event for (2.0.1 Part 2, appendix 1).
///
/// [`Admission::security_event`](crate::Admission::security_event) is told once per episode
/// (A00.FR.316, A00.FR.419): failures of the same kind from the same [`Network`](crate::Network)
/// with the same certificate are one, because many stations come from one address where a proxy
/// stands before them. An episode is over after an hour without a failure, or when a station is
/// admitted from there with that certificate, or with any where none was refused; then it is told
/// again, four times a minute at most. Beyond 256 certificates of one network the others are one
/// episode, told once an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecurityEvent {
    /// Which event it is.
    pub kind: SecurityEventKind,
    /// Where the connection came from.
    pub remote: SocketAddr,
    /// What was wrong, for people. It also reports if this event stands for others that are not told
    /// apart.
    pub reason: String,
    /// The station's certificate, if the connection was refused for it.
    pub certificate: Option<PresentedCertificate>,
}

/// The events of a CSMS's TLS, under OCPP's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SecurityEventKind {
    /// The station offers nothing newer than TLS 1.1 (A00.FR.313, A00.FR.416).
    InvalidTlsVersion,
    /// The station offers no permitted cipher suite (A00.FR.322, A00.FR.425).
    InvalidTlsCipherSuite,
    /// The station's certificate is not valid, or is another station's (A00.FR.407, A00.FR.408).
    InvalidChargingStationCertificate,
}

impl SecurityEventKind {
    /// The name in the specification.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidTlsVersion => "InvalidTLSVersion",
            Self::InvalidTlsCipherSuite => "InvalidTLSCipherSuite",
            Self::InvalidChargingStationCertificate => "InvalidChargingStationCertificate",
        }
    }
}

impl fmt::Display for SecurityEventKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
