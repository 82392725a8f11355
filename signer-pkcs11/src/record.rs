//! What is written down before the token signs, and who writes it.

use std::{error::Error, fmt, future::Future, pin::Pin, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{answer::PendingCertificate, issue::IssuedCertificate};

/// The answer of a record, when it comes.
pub type RecordFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, RecordError>> + Send + 'a>>;

/// Where it is written down what an authority signs: before it signs, and what became of it.
///
/// An entry is durable when [`IssuanceRecord::append`] is done: only then the token is asked to sign. An authority whose
/// record cannot be written signs nothing.
pub trait IssuanceRecord: Send + Sync + fmt::Debug {
    /// Appends an entry, durably, and returns its number.
    fn append<'a>(&'a self, event: &'a AuditEvent) -> RecordFuture<'a, u64>;

    /// Appends that the certificate was signed which the entry of this number announced. `pending` is the request of a
    /// station, where there was one.
    ///
    /// A record that keeps certificates too writes both down at once, so that nothing is lost that was signed.
    fn signed<'a>(
        &'a self,
        entry: u64,
        certificate: &'a IssuedCertificate,
        pending: Option<&'a PendingCertificate>,
    ) -> RecordFuture<'a, u64> {
        let _ = pending;
        Box::pin(async move { self.append(&AuditEvent::signed(entry, certificate)).await })
    }

    /// The station for which a key was certified, by SHA-256 over the `SubjectPublicKeyInfo` in hexadecimal; of several,
    /// the first.
    fn owner_of_key<'a>(&'a self, spki_sha256: &'a str) -> RecordFuture<'a, Option<String>>;
}

/// Something that an authority is about to do, or has done. Hashes and serial numbers are in lower-case hexadecimal, times
/// in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum AuditEvent {
    /// A certificate is about to be signed.
    Signing(Intent),
    /// It was signed, and the signature verified.
    Signed {
        /// Number of the entry that announced it.
        entry: u64,
        /// SHA-256 over the certificate.
        certificate_sha256: String,
    },
    /// It was not signed.
    NotSigned {
        /// Number of the entry that announced it.
        entry: u64,
        /// Why.
        reason: String,
    },
    /// A certificate was revoked.
    Revoked {
        /// Its serial number.
        serial: String,
        /// When.
        at: u64,
        /// Why (RFC 5280 §5.3.1).
        reason: RevocationReason,
    },
    /// A list of revoked certificates is about to be signed.
    CrlSigning {
        /// The issuer's subject key identifier.
        issuer_key_id: String,
        /// CRL number.
        number: u64,
        /// How many certificates it lists.
        revoked: u64,
    },
    /// A step of a key ceremony.
    Ceremony {
        /// What was done.
        step: String,
        /// The key's URI.
        key: String,
    },
}

impl AuditEvent {
    /// The certificate that the entry of this number announced was signed.
    pub fn signed(entry: u64, certificate: &IssuedCertificate) -> Self {
        Self::Signed { entry, certificate_sha256: hex::encode(Sha256::digest(&certificate.der)) }
    }
}

/// A certificate that is about to be signed: who gets it, and what it will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Intent {
    /// The identity that the connection authenticated; empty for the CSMS's own certificate.
    pub station: String,
    /// The subject.
    pub subject: String,
    /// `ChargingStationCertificate`, `V2GCertificate`, `V2G20Certificate`, `combined`, `server` or `authority`.
    pub profile: String,
    /// The certificate's serial number. Empty where another authority chooses it.
    pub serial: String,
    /// End of validity. 0 where another authority chooses it.
    pub not_after: u64,
    /// SHA-256 over the `SubjectPublicKeyInfo`.
    pub spki_sha256: String,
    /// SHA-256 over the request; empty where there was none.
    pub csr_sha256: String,
    /// The issuer's subject key identifier. Empty where it is another authority.
    pub issuer_key_id: String,
}

/// Why a certificate was revoked (RFC 5280 §5.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RevocationReason {
    /// Nothing is said.
    #[default]
    Unspecified,
    /// The private key is known to others.
    KeyCompromise,
    /// The station belongs to another operator now.
    AffiliationChanged,
    /// Another certificate has taken its place.
    Superseded,
    /// The station is out of service.
    CessationOfOperation,
}

/// No such reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no reason of a revocation; write unspecified, key-compromise, affiliation-changed, superseded or cessation-of-operation"
)]
pub struct UnknownRevocationReason(String);

/// An entry could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("the record cannot be written or read")]
pub struct RecordError(#[source] Box<dyn Error + Send + Sync>);

impl RecordError {
    /// For the cause that a record's own technique gives.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: &[Self] = &[
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
    ];

    /// The word that is written in records and given on command lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
        }
    }
}

impl FromStr for RevocationReason {
    type Err = UnknownRevocationReason;

    fn from_str(text: &str) -> Result<Self, UnknownRevocationReason> {
        let found = Self::ALL.iter().find(|reason| reason.as_str() == text);
        found.copied().ok_or_else(|| UnknownRevocationReason(text.to_owned()))
    }
}
