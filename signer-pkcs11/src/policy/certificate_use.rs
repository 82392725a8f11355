//! The use of a certificate.

use std::{fmt, str::FromStr};

/// `CertificateSigningUseEnumType` of all versions. Absent in a request: one certificate for all
/// connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CertificateUse {
    /// The connection to the CSMS.
    ChargingStation,
    /// Connections to vehicles with ISO 15118-2.
    V2g,
    /// Connections to vehicles with ISO 15118-20 (OCPP 2.1).
    V2g20,
}

impl CertificateUse {
    /// The name in the specification.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChargingStation => "ChargingStationCertificate",
            Self::V2g => "V2GCertificate",
            Self::V2g20 => "V2G20Certificate",
        }
    }
}

impl fmt::Display for CertificateUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no name in the specification.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a type of certificate that can be signed")]
pub struct UnknownCertificateUse(String);

impl FromStr for CertificateUse {
    type Err = UnknownCertificateUse;

    fn from_str(text: &str) -> Result<Self, UnknownCertificateUse> {
        let all = [Self::ChargingStation, Self::V2g, Self::V2g20];
        all.into_iter()
            .find(|found| found.as_str() == text)
            .ok_or_else(|| UnknownCertificateUse(text.to_owned()))
    }
}
