//! What the certificate service has promised and done, and what it needs from a database to
//! remember it.

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
    /// PEM.
    pub csr: String,
    /// When it was last asked for.
    pub asked_at: UnixSeconds,
    /// Why there is no certificate; `None`: it waits.
    pub failure: Option<String>,
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
pub(crate) struct SerialNumberTaken(pub(crate) SerialNumber);

/// The memory of the certificate service. Each method returns after the change is durable.
///
/// It is the authority's record, too: [`IssuanceRecord::signed`] remembers a certificate before
/// anybody else learns of it, as due to its station.
pub trait Ledger: IssuanceRecord + 'static {
    /// Remembers that a certificate that is due was asked for again, in a request with this id:
    /// CertificateSigned repeats the newest (A02.FR.25).
    fn asked_again(
        &self,
        serial_number: SerialNumber,
        request_id: Option<i64>,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Remembers the station's answer to CertificateSigned.
    fn answered(
        &self,
        serial_number: SerialNumber,
        state: &Delivery,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The certificates that a station has not answered for, oldest first, expired and revoked ones
    /// left out.
    fn undelivered(
        &self,
        station: &StationIdentity,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<Vec<LedgerEntry>, LedgerError>> + Send;

    /// Those of them that may be sent now: one that was sent without an answer waits longer and
    /// longer, and after `MAX_ATTEMPTS` for a new request.
    fn due(
        &self,
        station: &StationIdentity,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<Vec<LedgerEntry>, LedgerError>> + Send;

    /// Remembers that a certificate was sent, and what came in the place of an answer. Returns how
    /// often that has happened.
    fn not_answered(
        &self,
        serial_number: SerialNumber,
        reason: &str,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<u32, LedgerError>> + Send;

    /// Remembers that a station has connected with a certificate, which proves its delivery
    /// whatever the station has answered (A02.FR.08, A02.FR.10). Returns whether that is news.
    fn proved(
        &self,
        station: &StationIdentity,
        serial_number: SerialNumber,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// The stations for which the wait of a certificate that was sent without an answer is over.
    fn due_again(
        &self,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<Vec<StationIdentity>, LedgerError>> + Send;

    /// Compares a certificate with what is on record of its signature. One that differs is not
    /// sent.
    fn check_signed(
        &self,
        entry: &LedgerEntry,
    ) -> impl Future<Output = Result<Option<Mismatch>, LedgerError>> + Send;

    /// Certificates that were issued, newest first: at most `limit` of those that the filter names
    /// and whose number is below `before`. So a list of any length is read page by page, and
    /// nothing is held between two pages.
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

    /// Remembers that a request waits for another authority; its number is of no account. One for
    /// the same key and use takes the place of the one before. [`IssuanceRecord::signed`] ends it.
    fn ask(&self, request: &ForwardedRequest) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The requests that wait, oldest first.
    fn waiting(&self) -> impl Future<Output = Result<Vec<ForwardedRequest>, LedgerError>> + Send;

    /// The requests that wait or have failed, newest first: at most `limit` of those whose number
    /// is below `before`.
    fn requests(
        &self,
        before: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<ForwardedRequest>, LedgerError>> + Send;

    /// Records why a request led to no certificate: it waits no longer.
    fn request_failed(&self, id: i64, reason: &str) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Whether a key must not be certified again: a certificate for it was revoked because others
    /// have the key.
    fn is_compromised(&self, key: KeyHash) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// The highest security profile that a station has connected with.
    fn security_profile(
        &self,
        station: &StationIdentity,
    ) -> impl Future<Output = Result<Option<u8>, LedgerError>> + Send;

    /// Raises it to `profile` where it is lower, and returns it: the station is refused on any
    /// lower profile from now on (A05.FR.07).
    fn raise_security_profile(
        &self,
        station: &StationIdentity,
        profile: u8,
    ) -> impl Future<Output = Result<u8, LedgerError>> + Send;

    /// Whether a BootNotification of a station was ever accepted.
    fn registered(&self, station: &StationIdentity)
    -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// Remembers that a station's BootNotification is accepted, before the station learns of it.
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

    /// Remembers a password before the station learns of it.
    fn offer_password(
        &self,
        station: &StationIdentity,
        hash: &str,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Remembers whether the station has the password that it was offered.
    fn settle_password(
        &self,
        station: &StationIdentity,
        answer: PasswordAnswer,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Forgets its profile, its registration and its changed passwords, on an operator's word: a
    /// replaced station enrols anew.
    fn release(&self, station: &StationIdentity) -> impl Future<Output = Result<(), LedgerError>> + Send;
}
