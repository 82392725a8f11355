//! A certificate in the ledger.

use certificates::{KeyHash, SerialNumber, StationIdentity, UnixSeconds};
use serde::{Deserialize, Serialize};

/// A certificate that was issued to a station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its serial number.
    pub serial_number: SerialNumber,
    /// The identity in the station's connection URL.
    pub station: StationIdentity,
    /// The value in SignCertificate; `None`: for both uses.
    pub certificate_type: Option<String>,
    /// The value in SignCertificate (OCPP 2.1).
    pub request_id: Option<i64>,
    /// The certified key.
    pub spki_sha256: KeyHash,
    /// The chain that CertificateSigned carries: PEM, leaf first.
    pub chain: String,
    /// End of validity.
    pub not_after: UnixSeconds,
    /// The state of its delivery.
    pub state: Delivery,
}

/// A certificate as an entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedCertificate {
    /// The ledger's own number; the newest certificate has the highest.
    pub number: i64,
    /// Its serial number.
    pub serial_number: SerialNumber,
    /// The identity in the station's connection URL.
    pub station: StationIdentity,
    /// End of validity.
    pub not_after: UnixSeconds,
    /// The state of its delivery.
    pub state: Delivery,
    /// How often it was sent without an answer.
    pub attempts: u32,
    /// The error that took the place of the last answer.
    pub problem: Option<String>,
    /// Whether and why it was revoked.
    pub revoked: Option<Revocation>,
}

/// Selects the certificates of a list. A certificate is listed if it meets all conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFilter {
    /// The identity of their station, in any spelling.
    pub station: Option<StationIdentity>,
    /// The state of the certificates.
    pub state: Option<CertificateState>,
    /// Their validity ends before this.
    pub expiring_before: Option<UnixSeconds>,
}

/// The state of a certificate, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CertificateState {
    /// [`Delivery::Issued`], and not revoked.
    Issued,
    /// [`Delivery::Accepted`], and not revoked.
    Accepted,
    /// [`Delivery::Rejected`], and not revoked.
    Rejected,
    /// Revoked.
    Revoked,
}

/// The revocation of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The time of the revocation.
    pub at: UnixSeconds,
    /// The reason, as [`signer_pkcs11::RevocationReason`] writes it.
    pub reason: String,
}

/// The state of the delivery of an issued certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// The certificate was signed; the station has not answered CertificateSigned.
    Issued,
    /// The station answered Accepted.
    Accepted,
    /// The station answered Rejected. This state is final; an operator has to look at it.
    Rejected {
        /// The reason that the station gave.
        reason: Option<String>,
    },
}
