//! The ledger: what the certificate service has promised and done, and the operations that it needs
//! from a database.

mod attempts;
mod comparison;
mod entry;
mod high_water;
pub(crate) mod io;
mod revocation_list;

use std::future::Future;

use certificates::{KeyHash, SerialNumber, StationIdentity, UnixSeconds};
use signer_pkcs11::IssuanceRecord;

pub(crate) use self::{
    attempts::{MAX_ATTEMPTS, wait_after},
    comparison::{RecordedCertificates, check_row, leaf, leaf_sha256},
    high_water::{Mark, Place, Reached},
    revocation_list::ListOnDisk,
};
pub use self::{
    comparison::{Finding, Mismatch},
    entry::{CertificateFilter, CertificateState, Delivery, LedgerEntry, ListedCertificate, Revocation},
    high_water::LedgerBehind,
};

/// A request that was accepted and passed on to another authority (A02.FR.04).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedRequest {
    /// The ledger's own number.
    pub id: i64,
    /// The identity in the station's connection URL.
    pub station: StationIdentity,
    /// The key.
    pub spki_sha256: KeyHash,
    /// As SignCertificate carried it; `None`: for all connections.
    pub certificate_type: Option<String>,
    /// As SignCertificate carried it (OCPP 2.1).
    pub request_id: Option<i64>,
    /// The request in PEM.
    pub csr: String,
    /// The time of the last SignCertificate for it.
    pub asked_at: UnixSeconds,
    /// Why there is no certificate; `None`: the request is waiting.
    pub failure: Option<String>,
}

/// The hashes of a station's passwords that were changed over a connection (A01).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedPasswords {
    /// The password that the station has accepted. It replaces the one in the configuration.
    pub taken: Option<String>,
    /// The password that was sent to the station and that it has not answered yet.
    pub offered: Option<String>,
}

/// The station's answer to a new password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordAnswer {
    /// The station uses the new password only (A01.FR.03).
    Taken,
    /// The station keeps the former password (A01.FR.04).
    Refused,
}

/// A ledger could not be read or written. Nothing that depends on it was done.
#[derive(Debug, thiserror::Error)]
#[error("the ledger failed to {action}")]
pub struct LedgerError {
    /// The action that failed.
    pub action: &'static str,
    /// The database's own error.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Two certificates have the same serial number. Another attempt has the same result.
#[derive(Debug, thiserror::Error)]
#[error("the serial number {0} is that of another certificate")]
pub(crate) struct SerialNumberTaken(pub(crate) SerialNumber);

/// The durable state of the certificate service. Each method returns after the change is durable.
///
/// The ledger is also the authority's record. [`IssuanceRecord::signed`] stores a certificate, as
/// due to its station, before any other component receives it.
pub trait Ledger: IssuanceRecord + 'static {
    /// Records that a certificate that is due was requested again, with this request id.
    /// CertificateSigned repeats the newest id (A02.FR.25).
    fn asked_again(
        &self,
        serial_number: SerialNumber,
        request_id: Option<i64>,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Records the station's answer to CertificateSigned.
    fn answered(
        &self,
        serial_number: SerialNumber,
        state: &Delivery,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The certificates that a station has not answered, oldest first, without expired and revoked
    /// ones.
    fn undelivered(
        &self,
        station: &StationIdentity,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<Vec<LedgerEntry>, LedgerError>> + Send;

    /// The undelivered certificates that may be sent now. A certificate that was sent without an
    /// answer waits longer after each attempt. After `MAX_ATTEMPTS` it waits for a new request.
    fn due(
        &self,
        station: &StationIdentity,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<Vec<LedgerEntry>, LedgerError>> + Send;

    /// Records that a certificate was sent, and the error that took the place of an answer. Returns
    /// the number of attempts without an answer.
    fn not_answered(
        &self,
        serial_number: SerialNumber,
        reason: &str,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<u32, LedgerError>> + Send;

    /// Records that a station has connected with a certificate. The connection proves the delivery,
    /// whatever the station has answered (A02.FR.08, A02.FR.10). Returns whether the ledger has
    /// changed.
    fn proved(
        &self,
        station: &StationIdentity,
        serial_number: SerialNumber,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// The stations with a certificate that was sent without an answer and whose wait is over.
    fn due_again(
        &self,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<Vec<StationIdentity>, LedgerError>> + Send;

    /// Compares a certificate with the record of its signature. A certificate that differs is not
    /// sent.
    fn check_signed(
        &self,
        entry: &LedgerEntry,
    ) -> impl Future<Output = Result<Option<Mismatch>, LedgerError>> + Send;

    /// Issued certificates, newest first: at most `limit` of those that match the filter and whose
    /// number is below `before`. A list of any length is thus read page by page, and the ledger
    /// keeps no state between two pages.
    fn certificates(
        &self,
        filter: &CertificateFilter,
        before: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<ListedCertificate>, LedgerError>> + Send;

    /// Whether a certificate of a station was revoked.
    fn is_revoked(
        &self,
        station: &StationIdentity,
        serial_number: SerialNumber,
    ) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// Records that a request waits for another authority. The request's number is ignored. A
    /// request for the same key and use replaces the former one. [`IssuanceRecord::signed`] removes
    /// it.
    fn ask(&self, request: &ForwardedRequest) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The waiting requests, oldest first.
    fn waiting(&self) -> impl Future<Output = Result<Vec<ForwardedRequest>, LedgerError>> + Send;

    /// The waiting and failed requests, newest first: at most `limit` of those whose number is
    /// below `before`.
    fn requests(
        &self,
        before: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<ForwardedRequest>, LedgerError>> + Send;

    /// Records why a request led to no certificate. The request then no longer waits.
    fn request_failed(&self, id: i64, reason: &str) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Whether a key must not be certified again, because a certificate for it was revoked after
    /// the key was compromised.
    fn is_compromised(&self, key: KeyHash) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// The highest security profile that a station has connected with.
    fn security_profile(
        &self,
        station: &StationIdentity,
    ) -> impl Future<Output = Result<Option<u8>, LedgerError>> + Send;

    /// Raises the stored profile to `profile` if it is lower, and returns the stored profile. From
    /// now on the station is refused on any lower profile (A05.FR.07).
    fn raise_security_profile(
        &self,
        station: &StationIdentity,
        profile: u8,
    ) -> impl Future<Output = Result<u8, LedgerError>> + Send;

    /// Whether a BootNotification of a station was ever accepted.
    fn registered(&self, station: &StationIdentity)
    -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// Records that a station's BootNotification is accepted, before the answer is sent.
    fn register(
        &self,
        station: &StationIdentity,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The hashes of a station's passwords that were changed over a connection.
    fn passwords(
        &self,
        station: &StationIdentity,
    ) -> impl Future<Output = Result<ChangedPasswords, LedgerError>> + Send;

    /// Records a password before it is sent to the station.
    fn offer_password(
        &self,
        station: &StationIdentity,
        hash: &str,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Records whether the station has accepted the password that was sent to it.
    fn settle_password(
        &self,
        station: &StationIdentity,
        answer: PasswordAnswer,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Deletes the station's profile, registration and changed passwords, at an operator's request:
    /// a replaced station enrols again.
    fn release(&self, station: &StationIdentity) -> impl Future<Output = Result<(), LedgerError>> + Send;
}
