//! The security profiles of OCPP.

use std::fmt;

/// Which side proves its identity, and how (2.0.1 Part 2, A00).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecurityProfile {
    /// Profile 1: Basic authentication of the station, no TLS. For trusted networks only.
    UnsecuredWithBasicAuth,
    /// Profile 2: Basic authentication of the station, a certificate of the CSMS.
    TlsWithBasicAuth,
    /// Profile 3: certificates of both.
    TlsWithClientCertificate,
}

impl SecurityProfile {
    /// The number that the specification gives the profile.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::UnsecuredWithBasicAuth => 1,
            Self::TlsWithBasicAuth => 2,
            Self::TlsWithClientCertificate => 3,
        }
    }

    /// The profile with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::UnsecuredWithBasicAuth),
            2 => Some(Self::TlsWithBasicAuth),
            3 => Some(Self::TlsWithClientCertificate),
            _ => None,
        }
    }
}

impl fmt::Display for SecurityProfile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.number())
    }
}
