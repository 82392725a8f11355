//! A record whose entries are chained by hash, so that none can be changed or taken out unnoticed.
//!
//! Each entry is a line of JSON: the entry, and SHA-256 over its bytes as they stand there. The entry names the hash of
//! the one before it. Taking entries away at the end is noticed by whoever has kept the hash of a later one: the
//! transcript of a ceremony, another machine, a sheet of paper.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::record::{AuditEvent, Intent, RevocationReason};

/// SHA-256 over an entry, by which the next one is chained to it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct EntryHash([u8; 32]);

/// The end of a record: all that is needed to append to it, or to read on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainEnd {
    entries: u64,
    head: EntryHash,
}

/// Reads a record from its beginning, and appends to it.
#[derive(Clone, Debug, Default)]
pub struct AuditChain {
    end: ChainEnd,
    index: AuditIndex,
}

/// What a record says, gathered while it was read: half a kilobyte for each certificate.
#[derive(Clone, Debug, Default)]
pub struct AuditIndex {
    /// By the number of the entry that announced it.
    announced: HashMap<u64, Intent>,
    signed: BTreeSet<u64>,
    /// By SHA-256 over the SubjectPublicKeyInfo: the first station.
    owners: HashMap<String, String>,
    revoked: Vec<Revocation>,
    /// By issuer.
    crl_numbers: HashMap<String, u64>,
}

/// A certificate that was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Revocation {
    /// Serial number in lower-case hexadecimal.
    pub serial: String,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Why.
    pub reason: RevocationReason,
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// Not an entry.
    #[error("line {line} is no entry of a record: {reason}")]
    Malformed {
        /// Counted from 1.
        line: u64,
        /// What JSON says.
        reason: String,
    },
    /// The entry is not the one that was written.
    #[error("entry {line} was changed: its bytes have another hash than the one beside them")]
    Changed {
        /// Counted from 1.
        line: u64,
    },
    /// An entry before this one was taken out, put in or exchanged.
    #[error(
        "entry {line} does not follow the one before it: something was taken out, put in or exchanged there"
    )]
    Broken {
        /// Counted from 1.
        line: u64,
    },
    /// The last line is cut: the machine stopped while it was written, and nothing was signed for it.
    #[error("the last line is cut short: the machine stopped while it was written")]
    Cut,
    /// No entry has the hash that was kept elsewhere.
    #[error("no entry has the hash {0}: the end of the record was taken away, or it is another record")]
    HeadMissing(EntryHash),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    hash: String,
    #[serde(borrow)]
    entry: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Counted from 1.
    number: u64,
    /// Seconds since 1970.
    at: u64,
    /// Hash of the entry before; zeros for the first.
    previous: String,
    event: AuditEvent,
}

impl AuditChain {
    /// An empty record.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a whole record.
    ///
    /// # Errors
    /// [`AuditError`] for the first entry that is not as it was written. [`AuditError::Cut`] if the text does not end
    /// with a line end.
    pub fn read(text: &str) -> Result<Self, AuditError> {
        let mut chain = Self::new();
        for line in whole_lines(text).lines() {
            chain.read_line(line)?;
        }
        if whole_lines(text).len() < text.len() { Err(AuditError::Cut) } else { Ok(chain) }
    }

    /// Reads a record that must hold an entry whose hash was kept elsewhere.
    ///
    /// # Errors
    /// As [`AuditChain::read`]; [`AuditError::HeadMissing`].
    pub fn read_with(text: &str, kept: EntryHash) -> Result<Self, AuditError> {
        let chain = Self::read(text)?;
        let hashes = text.lines().filter_map(|line| serde_json::from_str::<Line<'_>>(line).ok());
        let found = hashes.into_iter().any(|line| line.hash == kept.to_string());
        if found { Ok(chain) } else { Err(AuditError::HeadMissing(kept)) }
    }

    /// The line that says what happened, chained to the entries before. It counts as appended.
    pub fn append(&mut self, event: &AuditEvent, now: SystemTime) -> Result<String, AuditError> {
        let text = self.end.append(event, now)?;
        self.index.add(self.end.entries, event);
        Ok(text)
    }

    /// Reads the line that follows.
    ///
    /// # Errors
    /// [`AuditError`] if it is not as it was written, or does not follow.
    pub fn read_line(&mut self, text: &str) -> Result<(), AuditError> {
        let event = self.end.follow(text)?;
        self.index.add(self.end.entries, &event);
        Ok(())
    }

    /// How many entries there are.
    pub fn entries(&self) -> u64 {
        self.end.entries
    }

    /// Hash of the last entry. Kept elsewhere, it proves later that nothing up to it was taken away.
    pub fn head(&self) -> EntryHash {
        self.end.head
    }

    /// What the record says.
    pub fn index(&self) -> &AuditIndex {
        &self.index
    }
}

impl ChainEnd {
    /// The end of a record whose last line this is, `number` counted from 1, and what the line says. What stands before it
    /// is not looked at.
    ///
    /// # Errors
    /// [`AuditError`] if the line is not as it was written.
    pub fn at(text: &str, number: u64) -> Result<(Self, AuditEvent), AuditError> {
        let (hash, entry) = read(text, number)?;
        if entry.number != number {
            return Err(AuditError::Broken { line: number });
        }
        Ok((Self { entries: number, head: hash }, entry.event))
    }

    /// The line that says what happened, chained to the entries before, with a line end. It counts as appended.
    ///
    /// # Errors
    /// [`AuditError::Malformed`] where it cannot be written.
    pub fn append(&mut self, event: &AuditEvent, now: SystemTime) -> Result<String, AuditError> {
        let line = self.entries + 1;
        let malformed = |error: serde_json::Error| AuditError::Malformed { line, reason: error.to_string() };
        let at = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
        let entry = Entry { number: line, at, previous: self.head.to_string(), event: event.clone() };
        let entry = serde_json::value::to_raw_value(&entry).map_err(malformed)?;
        let hash = EntryHash(Sha256::digest(entry.get()).into());
        let text =
            serde_json::to_string(&Line { hash: hash.to_string(), entry: &entry }).map_err(malformed)?;
        *self = Self { entries: line, head: hash };
        Ok(text + "\n")
    }

    /// Reads the line that follows, and returns what it says.
    ///
    /// # Errors
    /// [`AuditError`] if it is not as it was written, or does not follow.
    pub fn follow(&mut self, text: &str) -> Result<AuditEvent, AuditError> {
        let line = self.entries + 1;
        let (hash, entry) = read(text, line)?;
        if entry.number != line || entry.previous != self.head.to_string() {
            return Err(AuditError::Broken { line });
        }
        *self = Self { entries: line, head: hash };
        Ok(entry.event)
    }

    /// How many entries there are.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Hash of the last entry.
    pub fn head(&self) -> EntryHash {
        self.head
    }
}

/// Reads one line, whose entry has to be as it was hashed.
fn read(text: &str, line: u64) -> Result<(EntryHash, Entry), AuditError> {
    let malformed = |error: serde_json::Error| AuditError::Malformed { line, reason: error.to_string() };
    let outer: Line<'_> = serde_json::from_str(text).map_err(malformed)?;
    let hash = EntryHash(Sha256::digest(outer.entry.get()).into());
    if hash.to_string() != outer.hash {
        return Err(AuditError::Changed { line });
    }
    Ok((hash, serde_json::from_str(outer.entry.get()).map_err(malformed)?))
}

impl AuditIndex {
    /// The station for which a key was certified first.
    pub fn owner_of_key(&self, spki_sha256: &str) -> Option<&str> {
        self.owners.get(spki_sha256).map(String::as_str)
    }

    /// Every certificate that was signed, in order.
    pub fn signed(&self) -> impl Iterator<Item = &Intent> {
        self.signed.iter().filter_map(|entry| self.announced.get(entry))
    }

    /// Certificates that were announced and of which it is not known what became: the token may have signed them.
    pub fn unfinished(&self) -> u64 {
        self.announced.keys().filter(|entry| !self.signed.contains(entry)).count() as u64
    }

    /// Every revocation, in order; a certificate that was revoked twice counts once.
    pub fn revoked(&self) -> &[Revocation] {
        &self.revoked
    }

    /// The revocations that belong on an issuer's list: of the certificates that it issued, and of those that are not on
    /// record here, which may be its own.
    pub fn revoked_by(&self, issuer_key_id: &str) -> Vec<Revocation> {
        let issuers: HashMap<&str, &str> =
            self.announced.values().map(|intent| (&*intent.serial, &*intent.issuer_key_id)).collect();
        let belongs = |serial: &str| issuers.get(serial).is_none_or(|issuer| *issuer == issuer_key_id);
        self.revoked.iter().filter(|revocation| belongs(&revocation.serial)).cloned().collect()
    }

    /// Certificates of a station that were signed, have not expired and are not revoked.
    pub fn valid_of_station(&self, station: &str, now: SystemTime) -> Vec<&Intent> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
        let is_revoked = |serial: &str| self.revoked.iter().any(|revocation| revocation.serial == serial);
        let of_station = self.signed().filter(|intent| intent.station == station);
        of_station.filter(|intent| intent.not_after > now && !is_revoked(&intent.serial)).collect()
    }

    /// The number of the last CRL of an issuer.
    pub fn crl_number(&self, issuer_key_id: &str) -> u64 {
        self.crl_numbers.get(issuer_key_id).copied().unwrap_or(0)
    }

    /// Takes in what the entry of a number says, for who keeps a record elsewhere and looks at a part of it.
    pub fn add(&mut self, number: u64, event: &AuditEvent) {
        match event {
            AuditEvent::Signing(intent) => {
                if !intent.station.is_empty() {
                    self.owners.entry(intent.spki_sha256.clone()).or_insert_with(|| intent.station.clone());
                }
                self.announced.insert(number, intent.clone());
            }
            AuditEvent::Signed { entry, .. } => drop(self.signed.insert(*entry)),
            AuditEvent::NotSigned { entry, .. } => drop(self.announced.remove(entry)),
            AuditEvent::Revoked { serial, at, reason } => {
                if !self.revoked.iter().any(|earlier| earlier.serial == *serial) {
                    self.revoked.push(Revocation { serial: serial.clone(), at: *at, reason: *reason });
                }
            }
            AuditEvent::CrlSigning { issuer_key_id, number, .. } => {
                self.crl_numbers.insert(issuer_key_id.clone(), *number);
            }
            AuditEvent::Ceremony { .. } => {}
        }
    }
}

/// The part of a record up to the last line end.
pub(crate) fn whole_lines(text: &str) -> &str {
    text.rfind('\n').map_or("", |end| &text[..=end])
}

impl fmt::Display for EntryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for EntryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for EntryHash {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text.trim(), &mut hash)?;
        Ok(Self(hash))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{AuditChain, AuditError};
    use crate::record::{AuditEvent, Intent, RevocationReason};

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn intent(station: &str, serial: &str) -> Intent {
        Intent {
            station: station.into(),
            subject: format!("CN={station}"),
            profile: "ChargingStationCertificate".into(),
            serial: serial.into(),
            not_after: 1_900_000_000,
            spki_sha256: format!("{:064x}", serial.len()),
            csr_sha256: "00".into(),
            issuer_key_id: "aa".into(),
        }
    }

    fn record() -> (String, AuditChain) {
        let mut chain = AuditChain::new();
        let events = [
            AuditEvent::Signing(intent("CS1", "40")),
            AuditEvent::Signed { entry: 1, certificate_sha256: "ff".into() },
            AuditEvent::Signing(intent("CS2", "4141")),
            AuditEvent::NotSigned { entry: 3, reason: "the token\nfailed".into() },
            AuditEvent::Signing(intent("CS3", "424242")),
            AuditEvent::Revoked { serial: "40".into(), at: 1, reason: RevocationReason::KeyCompromise },
            AuditEvent::Revoked { serial: "40".into(), at: 2, reason: RevocationReason::Superseded },
            AuditEvent::CrlSigning { issuer_key_id: "aa".into(), number: 7, revoked: 1 },
        ];
        let text = events.iter().map(|event| chain.append(event, now()).unwrap()).collect();
        (text, chain)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let (text, written) = record();
        let read = AuditChain::read(&text).unwrap();
        assert_eq!((read.entries(), read.head()), (8, written.head()));
        for index in [read.index(), written.index()] {
            assert_eq!(index.signed().map(|intent| &*intent.serial).collect::<Vec<_>>(), ["40"]);
            assert_eq!(index.unfinished(), 1);
            assert_eq!(index.owner_of_key(&format!("{:064x}", 2)), Some("CS1"));
            assert_eq!(index.revoked().len(), 1);
            assert_eq!((index.crl_number("aa"), index.crl_number("bb")), (7, 0));
        }
        AuditChain::read_with(&text, written.head()).unwrap();
    }

    #[test]
    fn no_line_can_be_taken_out_put_in_or_exchanged() {
        let (text, _) = record();
        let lines: Vec<&str> = text.lines().collect();
        let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        for at in 0..lines.len() - 1 {
            let mut without = lines.clone();
            without.remove(at);
            let line = at as u64 + 1;
            assert_eq!(AuditChain::read(&joined(&without)).unwrap_err(), AuditError::Broken { line });
            let mut exchanged = lines.clone();
            exchanged.swap(at, at + 1);
            assert_eq!(AuditChain::read(&joined(&exchanged)).unwrap_err(), AuditError::Broken { line });
            let mut twice = lines.clone();
            twice.insert(at, lines[at]);
            let line = line + 1;
            assert_eq!(AuditChain::read(&joined(&twice)).unwrap_err(), AuditError::Broken { line });
        }
    }

    #[test]
    fn no_byte_can_be_changed() {
        let (text, _) = record();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(AuditChain::read(&changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn an_end_that_was_taken_away_is_noticed_by_the_hash_that_was_kept() {
        let (text, chain) = record();
        let shorter = &text[..text.trim_end().rfind('\n').unwrap() + 1];
        assert_eq!(AuditChain::read(shorter).unwrap().entries(), 7);
        assert_eq!(
            AuditChain::read_with(shorter, chain.head()).unwrap_err(),
            AuditError::HeadMissing(chain.head())
        );
        assert_eq!(AuditChain::read(text.trim_end()).unwrap_err(), AuditError::Cut);
    }
}
