//! Why a request for a certificate is refused.

use std::time::Duration;

use crate::{csr::CsrError, policy::certificate_use::CertificateUse};

/// Why a request for a certificate is refused. The texts may be sent to the station.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The CSR itself is not acceptable.
    #[error(transparent)]
    Csr(#[from] CsrError),
    /// A00.FR.511 requires a CN.
    #[error("the subject has no CN; it must be \"{expected}\"")]
    NoCommonName {
        /// The required value.
        expected: String,
    },
    /// The CN names another station.
    #[error("the subject's CN is \"{found}\"; for this station it must be \"{expected}\"")]
    CommonName {
        /// The requested value.
        found: String,
        /// The required value.
        expected: String,
    },
    /// A00.FR.509 requires an O.
    #[error("the subject has no O; it must be \"{expected}\"")]
    NoOrganization {
        /// The required value.
        expected: String,
    },
    /// The O is not the operator's.
    #[error("the subject's O is \"{found}\"; it must be \"{expected}\"")]
    Organization {
        /// The requested value.
        found: String,
        /// The required value.
        expected: String,
    },
    /// A00.FR.511: a station's CN must not look like a URL or an IP address, otherwise it could
    /// pass for a CSMS.
    #[error("the CN \"{name}\" looks like a URL, a host name or an IP address")]
    LooksLikeAddress {
        /// The name on record.
        name: String,
    },
    /// The CN is a name of the CSMS.
    #[error("the CN \"{name}\" is a name of the CSMS")]
    Reserved {
        /// The name on record.
        name: String,
    },
    /// The name on record is empty, or too long for a certificate. The operator of the CSMS must
    /// fix it.
    #[error("the CSMS has no name on record for this station that a certificate can contain")]
    NoNameOnRecord,
    /// This authority does not issue such certificates.
    #[error("certificates of type {0} are not issued here")]
    UseNotOffered(CertificateUse),
    /// No issuer of the hierarchy that the profile names. The operator of the CSMS must fix it.
    #[error("the CSMS has no issuer for such certificates")]
    NoIssuer,
    /// The station requests a certificate under another root (A02.FR.27 of OCPP 2.1).
    #[error("no certificates are issued here under the root that hashRootCertificate names")]
    UnknownRoot,
    /// The key was certified for another station: its holder could pass for both.
    #[error("the key belongs to another station; generate a new one")]
    KeyOfAnother,
    /// Too many requests.
    #[error("more than {certificates} certificates within {} s were requested; try again later", window.as_secs())]
    TooMany {
        /// The limit.
        certificates: usize,
        /// The period of the limit.
        window: Duration,
    },
    /// A vendor's own rule.
    #[error("{info}")]
    ByPolicy {
        /// The kind of reason.
        code: ReasonCode,
        /// The text for the station.
        info: String,
    },
}

/// The official reason codes that a refusal uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReasonCode {
    /// The request is at fault.
    InvalidCsr,
    /// The CSMS is at fault.
    InternalError,
    /// A value that is not supported.
    UnsupportedParam,
    /// Too many requests. OCPP 2.0.1 has no code for it and uses `Unspecified`.
    RateLimitExceeded,
    /// Any other reason.
    Unspecified,
}

impl Refused {
    /// The official reason code.
    #[must_use]
    pub fn reason_code(&self) -> ReasonCode {
        match self {
            // The request is valid, but the value of one parameter is not supported.
            Self::UseNotOffered(_) | Self::UnknownRoot => ReasonCode::UnsupportedParam,
            // Not the request's fault.
            Self::NoNameOnRecord | Self::NoIssuer => ReasonCode::InternalError,
            Self::TooMany { .. } => ReasonCode::RateLimitExceeded,
            Self::ByPolicy { code, .. } => *code,
            _ => ReasonCode::InvalidCsr,
        }
    }
}
