//! The ledger: what the certificate service has promised and done, and the operations that it needs
//! from a database.

mod attempts;
mod comparison;
mod entry;
mod high_water;
pub(crate) mod io;
mod revocation_list;

use certificates::{KeyHash, SerialNumber, StationIdentity, UnixSeconds};

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
    io::database::{ledger::Ledger, schema::SchemaError},
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
