//! The content of a record.

use std::{
    collections::{BTreeSet, HashMap},
    time::SystemTime,
};

use certificates::{KeyHash, SerialNumber, StationIdentity, UnixSeconds};

use crate::record::event::{AuditEvent, Intent, RevocationReason};

/// The content of a record, collected while it was read: half a kilobyte for each certificate.
#[derive(Clone, Debug, Default)]
pub struct AuditIndex {
    /// By the number of the entry that announced it.
    announced: HashMap<u64, Intent>,
    signed: BTreeSet<u64>,
    /// The first station of each key.
    owners: HashMap<KeyHash, StationIdentity>,
    revoked: Vec<Revocation>,
    /// By issuer.
    crl_numbers: HashMap<String, u64>,
}

/// A certificate that was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revocation {
    /// Its serial number.
    pub serial: SerialNumber,
    /// When.
    pub at: UnixSeconds,
    /// Why.
    pub reason: RevocationReason,
}

impl AuditIndex {
    /// The station for which a key was certified first.
    pub fn owner_of_key(&self, key: KeyHash) -> Option<&StationIdentity> {
        self.owners.get(&key)
    }

    /// Every certificate that was signed, in order.
    pub fn signed(&self) -> impl Iterator<Item = &Intent> {
        self.signed.iter().filter_map(|entry| self.announced.get(entry))
    }

    /// Certificates that were announced and whose outcome is unknown: the token may have signed
    /// them.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.announced.keys().filter(|entry| !self.signed.contains(entry)).count() as u64
    }

    /// Every revocation, in order; a certificate that was revoked twice counts once.
    #[must_use]
    pub fn revoked(&self) -> &[Revocation] {
        &self.revoked
    }

    /// The revocations for an issuer's list: of the certificates that it issued, and of those that
    /// are not on record here, which may be its own.
    #[must_use]
    pub fn revoked_by(&self, issuer_key_id: &str) -> Vec<Revocation> {
        let issued =
            self.announced.values().filter_map(|intent| Some((intent.serial?, &*intent.issuer_key_id)));
        let issuers: HashMap<SerialNumber, &str> = issued.collect();
        let belongs = |serial| issuers.get(serial).is_none_or(|issuer: &&str| *issuer == issuer_key_id);
        self.revoked.iter().filter(|revocation| belongs(&revocation.serial)).cloned().collect()
    }

    /// Certificates of a station that were signed, have not expired and are not revoked.
    #[must_use]
    pub fn valid_of_station(&self, station: &StationIdentity, now: SystemTime) -> Vec<&Intent> {
        let now = UnixSeconds::from(now);
        let is_revoked = |serial| self.revoked.iter().any(|revocation| Some(revocation.serial) == serial);
        let of_station = self.signed().filter(|intent| intent.station.as_ref() == Some(station));
        let is_valid = |intent: &&Intent| intent.not_after.is_some_and(|not_after| not_after > now);
        of_station.filter(is_valid).filter(|intent| !is_revoked(intent.serial)).collect()
    }

    /// The number of the last CRL of an issuer.
    #[must_use]
    pub fn crl_number(&self, issuer_key_id: &str) -> u64 {
        self.crl_numbers.get(issuer_key_id).copied().unwrap_or(0)
    }

    /// Adds the event with this number, for a caller that stores a record elsewhere and reads a
    /// part of it.
    pub fn add(&mut self, number: u64, event: &AuditEvent) {
        match event {
            AuditEvent::Signing(intent) => {
                if let Some(station) = &intent.station {
                    self.owners.entry(intent.spki_sha256).or_insert_with(|| station.clone());
                }
                self.announced.insert(number, intent.clone());
            }
            AuditEvent::Signed { entry, .. } => drop(self.signed.insert(*entry)),
            AuditEvent::NotSigned { entry, .. } => drop(self.announced.remove(entry)),
            AuditEvent::Revoked { serial, at, reason } => {
                if !self.revoked.iter().any(|earlier| earlier.serial == *serial) {
                    self.revoked.push(Revocation { serial: *serial, at: *at, reason: *reason });
                }
            }
            AuditEvent::CrlSigning { issuer_key_id, number, .. } => {
                self.crl_numbers.insert(issuer_key_id.clone(), *number);
            }
            AuditEvent::Restored { lists, .. } => {
                for (issuer_key_id, number) in lists {
                    let known = self.crl_numbers.entry(issuer_key_id.clone()).or_default();
                    *known = (*known).max(*number);
                }
            }
            AuditEvent::Ledger { .. }
            | AuditEvent::Answered { .. }
            | AuditEvent::StationChanged { .. }
            | AuditEvent::StationEdited { .. }
            | AuditEvent::StationsImported { .. }
            | AuditEvent::PasswordsAccepted
            | AuditEvent::Ceremony { .. } => {}
        }
    }
}
