//! The questions about the status of certificates, and the answers to them.

use std::time::SystemTime;

use certificates::ocsp::{CertificateStatus, OcspRefused};
use certificates::{HashData, UnixSeconds};

use crate::storage::StorageError;

/// A certificate whose status must be requested with GetCertificateStatus.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OcspDue {
    /// The certificate: `ocspRequestData` without its URL.
    pub hash: HashData,
    /// `responderURL`: the responder in the certificate (authorityInfoAccess).
    pub responder_url: String,
}

impl OcspDue {
    /// A request for the status of the certificate with this hash, from this responder.
    pub fn new(hash: HashData, responder_url: impl Into<String>) -> Self {
        Self { hash, responder_url: responder_url.into() }
    }
}

/// A verified answer, for TLS towards vehicles (RFC 6066, RFC 8446 4.4.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OcspAnswer {
    /// OCSPResponse of RFC 6960 in DER, as received.
    pub response: Vec<u8>,
    /// The status in it.
    pub status: CertificateStatus,
    /// The end of its validity, if it has one.
    pub next_update: Option<SystemTime>,
}

/// A verified answer in the form of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CachedOcsp {
    /// The fingerprint of the certificate.
    pub(crate) fingerprint: String,
    pub(crate) response: Vec<u8>,
    pub(crate) status: CertificateStatus,
    pub(crate) next_update: Option<UnixSeconds>,
    /// The time of receipt, by the station's clock.
    pub(crate) fetched: UnixSeconds,
}

/// Why an answer is not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OcspError {
    /// No certificate for vehicles has this hash; it may have been deleted meanwhile.
    #[error("no certificate of a V2G chain has this hash")]
    UnknownCertificate,
    /// The root that issued the certificate has been deleted, so no signature can be verified.
    #[error("the issuer of the certificate is not installed")]
    IssuerNotInstalled,
    /// The text is not base64, which `ocspResult` must be.
    #[error("ocspResult is not base64")]
    Base64,
    /// Larger than OCPP can carry.
    #[error("the OCSP response has {octets} octets; at most {MAX_RESPONSE} are expected")]
    TooLarge {
        /// Octets of DER.
        octets: usize,
    },
    /// The answer cannot be relied on.
    #[error("the OCSP response is refused")]
    Refused {
        /// The fault of the answer.
        #[source]
        source: OcspRefused,
    },
    /// The disk failed.
    #[error("the OCSP response could not be stored")]
    Storage {
        /// The cause.
        #[source]
        source: StorageError,
    },
}

impl From<StorageError> for OcspError {
    fn from(source: StorageError) -> Self {
        Self::Storage { source }
    }
}

/// 18000 characters of base64, `ocspResult` of OCPP 2.1.
pub(crate) const MAX_RESPONSE: usize = 13_500;
