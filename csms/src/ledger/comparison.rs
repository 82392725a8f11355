//! Compares the certificates in the ledger with the record of what was signed.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use certificates::{Certificate, SerialNumber, StationIdentity, UnixSeconds, pem};
use sha2::{Digest as _, Sha256};
use signer_pkcs11::{AuditEvent, Intent};

use crate::ledger::entry::{Delivery, LedgerEntry};

/// How a certificate in the ledger differs from the record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// The record has no signature for it.
    #[error("nothing on record says that it was signed")]
    NotOnRecord,
    /// The chain is not the one that was signed.
    #[error("its chain is not the one that was signed (entry {entry})")]
    Chain {
        /// The entry that announced the certificate.
        entry: u64,
    },
    /// The certificate was signed for another station.
    #[error("it was signed for {} (entry {entry})", whom(recorded.as_ref()))]
    Station {
        /// The entry that announced the certificate.
        entry: u64,
        /// Its station; `None`: the CSMS itself, or a sub-authority.
        recorded: Option<StationIdentity>,
    },
    /// The serial number differs.
    #[error("the certificate that was signed has {} (entry {entry})", which(*recorded))]
    SerialNumber {
        /// The entry that announced the certificate.
        entry: u64,
        /// Its serial number; `None`: neither the record nor the certificate contains it.
        recorded: Option<SerialNumber>,
    },
    /// The key differs.
    #[error("it was signed for another key (entry {entry})")]
    Key {
        /// The entry that announced the certificate.
        entry: u64,
    },
    /// The end of validity differs.
    #[error("not_after is {found}, and the certificate that was signed ends at {recorded} (entry {entry})")]
    NotAfter {
        /// The entry that announced the certificate.
        entry: u64,
        /// The value in the record, or in the certificate.
        recorded: UnixSeconds,
        /// The value in the ledger.
        found: UnixSeconds,
    },
    /// The station's answer differs.
    #[error("its state is {found}, and on record it is {recorded}")]
    State {
        /// The value in the record.
        recorded: &'static str,
        /// The value in the ledger.
        found: &'static str,
    },
    /// The row cannot be read.
    #[error("{reason}")]
    Unreadable {
        /// Why it cannot be read, and which row it is.
        reason: String,
    },
    /// It was signed for a station, and the ledger does not have it.
    #[error("it was signed (entry {entry}), and its row is missing")]
    Missing {
        /// The entry that announced the certificate.
        entry: u64,
    },
}

/// A certificate that differs from the record, and how it differs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// `None` if the row cannot be read, or if it is missing and another authority chose the serial
    /// number.
    pub serial_number: Option<SerialNumber>,
    /// The station as the ledger names it, or as the record names it if the row is missing. `None`
    /// if the row cannot be read.
    pub station: Option<StationIdentity>,
    /// What is wrong.
    pub mismatch: Mismatch,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("certificate")?;
        if let Some(serial_number) = self.serial_number {
            write!(formatter, " {serial_number}")?;
        }
        if let Some(station) = &self.station {
            write!(formatter, " of {:?}", station.as_str())?;
        }
        write!(formatter, ": {}", self.mismatch)
    }
}

fn whom(station: Option<&StationIdentity>) -> String {
    station.map_or("no station".to_owned(), |station| format!("the station {:?}", station.as_str()))
}

fn which(serial_number: Option<SerialNumber>) -> String {
    serial_number.map_or("another serial number".to_owned(), |number| format!("the serial number {number}"))
}

/// The content of a record that concerns certificates, half a kilobyte for each.
#[derive(Debug, Default)]
pub(crate) struct RecordedCertificates {
    /// By the number of the entry that announced them.
    announced: HashMap<u64, Intent>,
    /// The entries that announced them, by serial number.
    by_serial: HashMap<SerialNumber, u64>,
    /// The announcements that led to a signature.
    completed: HashSet<u64>,
    /// By SHA-256 over the certificate.
    signed: HashMap<String, Signed>,
    /// By serial number: the number of the entry, and whether the station accepted the certificate.
    answered: HashMap<SerialNumber, (u64, bool)>,
    /// The entry from which on the record is complete, and the number of certificates that are
    /// older than the record.
    complete: Option<(u64, u64)>,
    /// Certificates in the ledger without an entry.
    unrecorded: Vec<Finding>,
    /// The certificates that are in the ledger.
    seen: HashSet<String>,
}

#[derive(Debug)]
struct Signed {
    /// The number of the entry that records the signature.
    number: u64,
    /// The entry that announced it.
    entry: u64,
    chain_sha256: Option<String>,
}

impl RecordedCertificates {
    /// Adds the entry with this number.
    pub(crate) fn add(&mut self, number: u64, event: AuditEvent) {
        match event {
            AuditEvent::Signing(intent) => {
                if let Some(serial) = intent.serial {
                    self.by_serial.insert(serial, number);
                }
                self.announced.insert(number, intent);
            }
            AuditEvent::NotSigned { entry, .. } => drop(self.announced.remove(&entry)),
            AuditEvent::Signed { entry, certificate_sha256, chain_sha256 } => {
                self.completed.insert(entry);
                self.signed.insert(certificate_sha256, Signed { number, entry, chain_sha256 });
            }
            AuditEvent::Answered { serial, accepted } => {
                self.answered.insert(serial, (number, accepted));
            }
            AuditEvent::Ledger { unrecorded, .. } if self.complete.is_none() => {
                self.complete = Some((number, unrecorded));
            }
            _ => {}
        }
    }

    /// Compares a row of the ledger with the record.
    pub(crate) fn compare(&mut self, row: &LedgerEntry) -> Vec<Finding> {
        let finding = |mismatch| Finding {
            serial_number: Some(row.serial_number),
            station: Some(row.station.clone()),
            mismatch,
        };
        let hash = leaf_sha256(&row.chain);
        let of_serial = self.by_serial.get(&row.serial_number).copied();
        let recorded = hash.as_ref().and_then(|hash| self.signed.get(hash));
        let recorded = recorded.filter(|signed| of_serial.is_none_or(|entry| entry == signed.entry));
        let known = recorded.and_then(|signed| Some((signed, self.announced.get(&signed.entry)?)));
        let Some((signed, intent)) = known else {
            let Some(entry) = of_serial else {
                self.unrecorded.push(finding(Mismatch::NotOnRecord));
                return Vec::new();
            };
            // The row of this certificate exists, but it is wrong.
            let of_entry = self.signed.iter().filter(|(_, signed)| signed.entry == entry);
            self.seen.extend(of_entry.map(|(hash, _)| hash.clone()));
            return vec![finding(Mismatch::Chain { entry })];
        };
        self.seen.extend(hash);
        let mut found = check_row(row, signed.entry, intent, signed.chain_sha256.as_deref());
        let entry = signed.entry;
        // If the record has no value, another authority chose it.
        let not_after = intent.not_after.or_else(|| Some(leaf(&row.chain)?.not_after()));
        if let Some(recorded) = not_after.filter(|not_after| *not_after != row.not_after) {
            found.push(Mismatch::NotAfter { entry, recorded, found: row.not_after });
        }
        // Entries of an earlier version do not record the stations' answers.
        let is_complete = self.complete.is_some_and(|(since, _)| since < entry);
        let answer = self.answered.get(&row.serial_number).filter(|(number, _)| *number > signed.number);
        let recorded = match answer {
            Some((_, true)) => Some("Accepted"),
            Some((_, false)) => Some("Rejected"),
            None => is_complete.then_some("Issued"),
        };
        let state = state(&row.state);
        if let Some(recorded) = recorded.filter(|recorded| *recorded != state) {
            found.push(Mismatch::State { recorded, found: state });
        }
        found.into_iter().map(finding).collect()
    }

    /// The number of certificates that were signed, and the number of those for which this is not
    /// known.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let unfinished = self.announced.keys().filter(|entry| !self.completed.contains(entry)).count();
        (self.completed.len() as u64, unfinished as u64)
    }

    /// The number of compared rows that have no entry.
    pub(crate) fn unrecorded(&self) -> u64 {
        self.unrecorded.len() as u64
    }

    /// Returns the faults that concern more than one row: signed certificates without a row, and
    /// rows without a signature. Call it after all rows were compared.
    pub(crate) fn finish(self) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut missing =
            self.signed.iter().filter(|(hash, _)| !self.seen.contains(*hash)).collect::<Vec<_>>();
        missing.sort_by_key(|(_, signed)| signed.entry);
        for (_, signed) in missing {
            // The CSMS's own certificates, and those of sub-authorities, have no row.
            let intent = self.announced.get(&signed.entry);
            if let Some((intent, station)) =
                intent.and_then(|intent| Some((intent, intent.station.as_ref()?)))
            {
                found.push(Finding {
                    serial_number: intent.serial,
                    station: Some(station.clone()),
                    mismatch: Mismatch::Missing { entry: signed.entry },
                });
            }
        }
        let older_than_the_record = match self.complete {
            Some((_, unrecorded)) => usize::try_from(unrecorded).unwrap_or(usize::MAX),
            // An earlier version wrote the record and did not count them.
            None => usize::MAX,
        };
        if self.unrecorded.len() > older_than_the_record {
            found.extend(self.unrecorded);
        }
        found
    }
}

/// Compares a certificate in the ledger with the entry that announced it. If the record has the
/// hash of the signed chain, the chain is compared as well.
pub(crate) fn check_row(
    row: &LedgerEntry,
    entry: u64,
    intent: &Intent,
    chain_sha256: Option<&str>,
) -> Vec<Mismatch> {
    let mut found = Vec::new();
    if chain_sha256.is_some_and(|recorded| recorded != hex::encode(Sha256::digest(&row.chain))) {
        found.push(Mismatch::Chain { entry });
    }
    if intent.station.as_ref() != Some(&row.station) {
        found.push(Mismatch::Station { entry, recorded: intent.station.clone() });
    }
    if intent.spki_sha256 != row.spki_sha256 {
        found.push(Mismatch::Key { entry });
    }
    let serial = intent.serial.or_else(|| Some(leaf(&row.chain)?.serial_number()));
    if serial != Some(row.serial_number) {
        found.push(Mismatch::SerialNumber { entry, recorded: serial });
    }
    found
}

/// SHA-256 over the first certificate of a chain in PEM, in the form that the record uses.
pub(crate) fn leaf_sha256(chain: &str) -> Option<String> {
    let chain = pem::certificates(chain.as_bytes(), MAX_CHAIN).ok()?;
    Some(hex::encode(Sha256::digest(chain.first()?)))
}

/// The first certificate of a chain in PEM.
pub(crate) fn leaf(chain: &str) -> Option<Certificate> {
    let chain = pem::certificates(chain.as_bytes(), MAX_CHAIN).ok()?;
    Certificate::from_der(chain.first()?.to_vec()).ok()
}

fn state(state: &Delivery) -> &'static str {
    match state {
        Delivery::Issued => "Issued",
        Delivery::Accepted => "Accepted",
        Delivery::Rejected { .. } => "Rejected",
    }
}

/// The most certificates in a chain; no authority issues longer chains.
const MAX_CHAIN: usize = 100;
