//! A record whose entries are chained by hash, so that a changed or removed entry is detected.
//!
//! Each entry is a line of JSON: the entry, and SHA-256 over its bytes in the line. The entry
//! contains the hash of the one before it. The removal of entries at the end is detected only with
//! the hash of a removed entry that was kept elsewhere: in the transcript of a ceremony, on another
//! machine, on paper.

use std::{fmt, time::SystemTime};

use certificates::UnixSeconds;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::record::{event::AuditEvent, index::AuditIndex};

/// SHA-256 over an entry. The next entry contains it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct EntryHash([u8; 32]);

/// The end of a record: enough to append to it, or to read on.
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

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// Not an entry.
    #[error("line {line} is not an entry of a record: {reason}")]
    Malformed {
        /// Counted from 1.
        line: u64,
        /// The error of the JSON parser.
        reason: String,
    },
    /// The entry was changed.
    #[error("entry {line} was changed: its bytes do not match its hash")]
    Changed {
        /// Counted from 1.
        line: u64,
    },
    /// An entry before this one was removed, inserted or exchanged.
    #[error("entry {line} does not follow the one before it: an entry was removed, inserted or exchanged")]
    Broken {
        /// Counted from 1.
        line: u64,
    },
    /// The last line is incomplete: the machine stopped while it was written, and nothing was
    /// signed for it.
    #[error("the last line is incomplete: the machine stopped while it was written")]
    Cut,
    /// No entry has the hash that was kept elsewhere.
    #[error("no entry has the hash {0}: the end of the record was removed, or it is another record")]
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
    at: UnixSeconds,
    /// Hash of the entry before; zeros for the first entry.
    previous: String,
    event: AuditEvent,
}

impl AuditChain {
    /// An empty record.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a complete record.
    ///
    /// # Errors
    /// [`AuditError`] for the first entry that was changed. [`AuditError::Cut`] if the text does
    /// not end with a line end.
    pub fn read(text: &str) -> Result<Self, AuditError> {
        let mut chain = Self::new();
        for line in whole_lines(text).lines() {
            chain.read_line(line)?;
        }
        if whole_lines(text).len() < text.len() { Err(AuditError::Cut) } else { Ok(chain) }
    }

    /// Reads a record that must contain an entry whose hash was kept elsewhere.
    ///
    /// # Errors
    /// As [`AuditChain::read`]; [`AuditError::HeadMissing`].
    pub fn read_with(text: &str, kept: EntryHash) -> Result<Self, AuditError> {
        let chain = Self::read(text)?;
        let hashes = text.lines().filter_map(|line| serde_json::from_str::<Line<'_>>(line).ok());
        let found = hashes.into_iter().any(|line| line.hash == kept.to_string());
        if found { Ok(chain) } else { Err(AuditError::HeadMissing(kept)) }
    }

    /// Returns the line for an event, chained to the entries before. It counts as appended.
    pub fn append(&mut self, event: &AuditEvent, now: SystemTime) -> Result<String, AuditError> {
        let text = self.end.append(event, now)?;
        self.index.add(self.end.entries, event);
        Ok(text)
    }

    /// Reads the next line.
    ///
    /// # Errors
    /// [`AuditError`] if it was changed, or does not follow.
    pub fn read_line(&mut self, text: &str) -> Result<(), AuditError> {
        let event = self.end.follow(text)?;
        self.index.add(self.end.entries, &event);
        Ok(())
    }

    /// How many entries there are.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.end.entries
    }

    /// Hash of the last entry. Kept elsewhere, it proves later that no entry up to it was removed.
    #[must_use]
    pub fn head(&self) -> EntryHash {
        self.end.head
    }

    /// The content of the record.
    #[must_use]
    pub fn index(&self) -> &AuditIndex {
        &self.index
    }
}

impl ChainEnd {
    /// The end of a record with this last line, whose `number` is counted from 1, and the event in
    /// the line. The lines before it are not checked.
    ///
    /// # Errors
    /// [`AuditError`] if the line was changed.
    pub fn at(text: &str, number: u64) -> Result<(Self, AuditEvent), AuditError> {
        let (hash, entry) = read(text, number)?;
        if entry.number != number {
            return Err(AuditError::Broken { line: number });
        }
        Ok((Self { entries: number, head: hash }, entry.event))
    }

    /// Returns the line for an event, chained to the entries before, with a line end. It counts as
    /// appended.
    ///
    /// # Errors
    /// [`AuditError::Malformed`] if it cannot be encoded.
    pub fn append(&mut self, event: &AuditEvent, now: SystemTime) -> Result<String, AuditError> {
        let line = self.entries + 1;
        let malformed = |error: serde_json::Error| AuditError::Malformed { line, reason: error.to_string() };
        let entry =
            Entry { number: line, at: now.into(), previous: self.head.to_string(), event: event.clone() };
        let entry = serde_json::value::to_raw_value(&entry).map_err(malformed)?;
        let hash = EntryHash(Sha256::digest(entry.get()).into());
        let text =
            serde_json::to_string(&Line { hash: hash.to_string(), entry: &entry }).map_err(malformed)?;
        *self = Self { entries: line, head: hash };
        Ok(text + "\n")
    }

    /// Reads the next line and returns its event.
    ///
    /// # Errors
    /// [`AuditError`] if it was changed, or does not follow.
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
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Hash of the last entry.
    #[must_use]
    pub fn head(&self) -> EntryHash {
        self.head
    }
}

/// Reads one line and checks its hash.
fn read(text: &str, line: u64) -> Result<(EntryHash, Entry), AuditError> {
    let malformed = |error: serde_json::Error| AuditError::Malformed { line, reason: error.to_string() };
    let outer: Line<'_> = serde_json::from_str(text).map_err(malformed)?;
    let hash = EntryHash(Sha256::digest(outer.entry.get()).into());
    if hash.to_string() != outer.hash {
        return Err(AuditError::Changed { line });
    }
    Ok((hash, serde_json::from_str(outer.entry.get()).map_err(malformed)?))
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

    use certificates::{KeyHash, UnixSeconds};

    use super::{AuditChain, AuditError};
    use crate::record::event::{AuditEvent, Intent, RevocationReason};

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn key(number: usize) -> KeyHash {
        format!("{number:064x}").parse().unwrap()
    }

    fn intent(station: &str, serial: &str) -> Intent {
        Intent {
            station: Some(station.parse().unwrap()),
            subject: format!("CN={station}"),
            profile: "ChargingStationCertificate".into(),
            serial: Some(serial.parse().unwrap()),
            not_after: Some(UnixSeconds::new(1_900_000_000)),
            spki_sha256: key(serial.len()),
            csr_sha256: "00".into(),
            issuer_key_id: "aa".into(),
        }
    }

    fn record() -> (String, AuditChain) {
        let mut chain = AuditChain::new();
        let events = [
            AuditEvent::Signing(intent("CS1", "40")),
            AuditEvent::Signed { entry: 1, certificate_sha256: "ff".into(), chain_sha256: None },
            AuditEvent::Signing(intent("CS2", "4141")),
            AuditEvent::NotSigned { entry: 3, reason: "the token\nfailed".into() },
            AuditEvent::Signing(intent("CS3", "424242")),
            AuditEvent::Revoked {
                serial: "40".parse().unwrap(),
                at: UnixSeconds::new(1),
                reason: RevocationReason::KeyCompromise,
            },
            AuditEvent::Revoked {
                serial: "40".parse().unwrap(),
                at: UnixSeconds::new(2),
                reason: RevocationReason::Superseded,
            },
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
            assert_eq!(index.signed().map(|intent| intent.serial).collect::<Vec<_>>(), ["40".parse().ok()]);
            assert_eq!(index.unfinished(), 1);
            assert_eq!(index.owner_of_key(key(2)).map(|owner| owner.as_str()), Some("CS1"));
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
