//! What the certificate service has promised and done, and what it needs from a database to remember it.

use std::future::Future;

use signer_pkcs11::IssuanceRecord;

/// A certificate that was issued to a station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Hexadecimal, lower case, no leading zeros.
    pub serial_number: String,
    /// The identity in the station's connection URL.
    pub station: String,
    /// As SignCertificate carried it; `None`: for both uses.
    pub certificate_type: Option<String>,
    /// As SignCertificate carried it (OCPP 2.1).
    pub request_id: Option<i64>,
    /// The SHA-256 of the certified key's SubjectPublicKeyInfo, hexadecimal.
    pub spki_sha256: String,
    /// PEM, leaf first: what CertificateSigned carries.
    pub chain: String,
    /// Seconds since 1970.
    pub not_after: i64,
    /// What became of it.
    pub state: Delivery,
    /// Whether and why it was revoked.
    pub revoked: Option<Revoked>,
}

/// That a certificate was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Seconds since 1970.
    pub at: i64,
    /// As [`signer_pkcs11::RevocationReason`] writes it.
    pub reason: String,
}

/// A request that was accepted and passed on to another authority (A02.FR.04).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedRequest {
    /// The ledger's own number.
    pub id: i64,
    /// The identity in the station's connection URL.
    pub station: String,
    /// The SHA-256 of the key's SubjectPublicKeyInfo, hexadecimal.
    pub spki_sha256: String,
    /// As SignCertificate carried it; `None`: for all connections.
    pub certificate_type: Option<String>,
    /// As SignCertificate carried it (OCPP 2.1).
    pub request_id: Option<i64>,
    /// PEM.
    pub csr: String,
    /// Seconds since 1970.
    pub asked_at: i64,
    /// Why there is no certificate; `None`: it waits.
    pub failure: Option<String>,
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

/// The hashes of a station's passwords that were changed over a connection (A01).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedPasswords {
    /// The one that the station has taken: it counts instead of the configuration's.
    pub taken: Option<String>,
    /// The one that it was offered, without an answer so far.
    pub offered: Option<String>,
}

/// What became of the password that a station was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordAnswer {
    /// It has it, and no other one (A01.FR.03).
    Taken,
    /// It keeps the one before (A01.FR.04).
    Refused,
}

/// A ledger could not be read or written; nothing that relied on it was done.
#[derive(Debug, thiserror::Error)]
#[error("the ledger failed to {action}")]
pub struct LedgerError {
    /// What it was asked to do.
    pub action: &'static str,
    /// The database's own error.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Two certificates have one serial number, which no other try changes.
#[derive(Debug, thiserror::Error)]
#[error("the serial number {0} is that of another certificate")]
pub(crate) struct SerialNumberTaken(pub(crate) String);

/// The memory of the certificate service. Each method returns after the change is durable.
///
/// It is the authority's record, too: [`IssuanceRecord::signed`] remembers a certificate before anybody else learns of it,
/// as due to its station.
pub trait Ledger: IssuanceRecord + 'static {
    /// Remembers that a certificate that is due was asked for again, in a request with this id: CertificateSigned repeats
    /// the newest (A02.FR.25).
    fn asked_again(
        &self,
        serial_number: &str,
        request_id: Option<i64>,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Remembers the station's answer to CertificateSigned.
    fn answered(
        &self,
        serial_number: &str,
        state: &Delivery,
        now: i64,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The certificates that a station has not answered for, oldest first, expired and revoked ones left out.
    fn undelivered(
        &self,
        station: &str,
        now: i64,
    ) -> impl Future<Output = Result<Vec<LedgerEntry>, LedgerError>> + Send;

    /// Every certificate issued, newest first, at most `limit`.
    fn certificates(&self, limit: u32) -> impl Future<Output = Result<Vec<LedgerEntry>, LedgerError>> + Send;

    /// Whether a certificate of a station was revoked.
    fn is_revoked(
        &self,
        station: &str,
        serial_number: &str,
    ) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// Remembers that a request waits for another authority; its number is of no account. One for the same key and use
    /// takes the place of the one before. [`IssuanceRecord::signed`] ends it.
    fn ask(&self, request: &ForwardedRequest) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The requests that wait, oldest first.
    fn waiting(&self) -> impl Future<Output = Result<Vec<ForwardedRequest>, LedgerError>> + Send;

    /// The requests that wait or have failed, newest first, at most `limit`.
    fn requests(&self, limit: u32)
    -> impl Future<Output = Result<Vec<ForwardedRequest>, LedgerError>> + Send;

    /// Remembers why a request brought no certificate: it waits no longer.
    fn request_failed(&self, id: i64, reason: &str) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Whether a key must not be certified again: a certificate for it was revoked because others have the key.
    fn is_compromised(&self, spki_sha256: &str) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// The highest security profile that a station has connected with.
    fn security_profile(&self, station: &str)
    -> impl Future<Output = Result<Option<u8>, LedgerError>> + Send;

    /// Raises it to `profile` where it is lower, and returns it: the station is refused on any lower profile from now on
    /// (A05.FR.07).
    fn raise_security_profile(
        &self,
        station: &str,
        profile: u8,
    ) -> impl Future<Output = Result<u8, LedgerError>> + Send;

    /// Whether a BootNotification of a station was ever accepted.
    fn registered(&self, station: &str) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// Remembers that a station's BootNotification is accepted, before the station learns of it.
    fn register(&self, station: &str, now: i64) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The hashes of a station's passwords that were changed over a connection.
    fn passwords(&self, station: &str) -> impl Future<Output = Result<ChangedPasswords, LedgerError>> + Send;

    /// Remembers a password before the station learns of it.
    fn offer_password(
        &self,
        station: &str,
        hash: &str,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Remembers whether the station has the password that it was offered.
    fn settle_password(
        &self,
        station: &str,
        answer: PasswordAnswer,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Forgets its profile, its registration and its changed passwords, on an operator's word: a replaced station enrols anew.
    fn release(&self, station: &str) -> impl Future<Output = Result<(), LedgerError>> + Send;
}
