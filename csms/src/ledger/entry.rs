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
    /// As SignCertificate carried it; `None`: for both uses.
    pub certificate_type: Option<String>,
    /// As SignCertificate carried it (OCPP 2.1).
    pub request_id: Option<i64>,
    /// The certified key.
    pub spki_sha256: KeyHash,
    /// PEM, leaf first: what CertificateSigned carries.
    pub chain: String,
    /// End of validity.
    pub not_after: UnixSeconds,
    /// What became of it.
    pub state: Delivery,
}

/// A certificate as a list has it.
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
    /// What became of it.
    pub state: Delivery,
    /// How often it was sent without an answer.
    pub attempts: u32,
    /// What came in the place of the last answer.
    pub problem: Option<String>,
    /// Whether and why it was revoked.
    pub revoked: Option<Revocation>,
}

/// Which certificates are listed: those for which all of this holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFilter {
    /// The identity of their station, in any spelling.
    pub station: Option<StationIdentity>,
    /// What became of them.
    pub state: Option<CertificateState>,
    /// Their validity ends before this.
    pub expiring_before: Option<UnixSeconds>,
}

/// What became of a certificate, in one word.
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

/// That a certificate was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// When.
    pub at: UnixSeconds,
    /// As [`signer_pkcs11::RevocationReason`] writes it.
    pub reason: String,
}

/// What became of an issued certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// Signed; the station has not answered CertificateSigned.
    Issued,
    /// The station answered Accepted.
    Accepted,
    /// The station answered Rejected: final, for the operator to look at.
    Rejected {
        /// As the station gave it.
        reason: Option<String>,
    },
}
