//! Security events of the CSMS that only the transport can detect.

use core::net::SocketAddr;
use std::fmt;

use crate::tls::presented::PresentedCertificate;

/// A connection was refused for a reason that is a security event of OCPP (2.0.1 Part 2, appendix
/// 1).
///
/// [`Admission::security_event`](crate::Admission::security_event) is called once per episode
/// (A00.FR.316, A00.FR.419). An episode contains the failures of the same kind, from the same
/// [`Network`](crate::Network), with the same certificate, because a proxy gives many stations one
/// address. An episode ends after an hour without a failure. It also ends when a station from that
/// network is admitted with that certificate, or with any certificate if none was refused; then the
/// failure is reported again, at most four times a minute. If more than 256 certificates of one
/// network are refused, the further ones form one episode, which is reported at most once an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecurityEvent {
    /// Which event it is.
    pub kind: SecurityEventKind,
    /// The address that the connection came from.
    pub remote: SocketAddr,
    /// The reason, for people. It includes a note if the event stands for further failures
    /// that are not distinguished.
    pub reason: String,
    /// The station's certificate, if the connection was refused for it.
    pub certificate: Option<PresentedCertificate>,
}

/// The events of a CSMS's TLS, with OCPP's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SecurityEventKind {
    /// The station offers nothing newer than TLS 1.1 (A00.FR.313, A00.FR.416).
    InvalidTlsVersion,
    /// The station offers no permitted cipher suite (A00.FR.322, A00.FR.425).
    InvalidTlsCipherSuite,
    /// The station's certificate is not valid, or belongs to another station (A00.FR.407,
    /// A00.FR.408).
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
