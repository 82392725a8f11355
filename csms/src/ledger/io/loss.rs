//! What is lost if a ledger is replaced by an older one.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use certificates::{SerialNumber, StationIdentity};
use serde::Serialize;
use signer_pkcs11::AuditEvent;

/// What a restoration loses, and what it takes over from other sources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Loss {
    /// The number of entries in the backup.
    pub entries: u64,
    /// The number of lost entries, as far as it is known.
    pub lost: u64,
    /// The certificates that were issued in the lost entries, with their stations. The serial
    /// number is missing if another authority chose it. `None`: the replaced ledger cannot be read.
    pub certificates: Option<Vec<(Option<SerialNumber>, StationIdentity)>>,
    /// The revocations that the backup lacks. They are taken over from the lists on disk and from
    /// the replaced ledger.
    pub revocations: Vec<SerialNumber>,
    /// The numbers of signed lists that the backup does not contain. The next list has a higher
    /// number.
    pub lists: BTreeMap<String, u64>,
    /// The path to which the replaced ledger was moved.
    pub set_aside: Option<PathBuf>,
    #[serde(skip)]
    pub(crate) lost_head: String,
    #[serde(skip)]
    pub(crate) events: Vec<AuditEvent>,
}

impl Loss {
    /// Whether anything is lost.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.lost > 0 || !self.revocations.is_empty() || !self.lists.is_empty()
    }

    /// Adds an entry that is known and is not in the backup.
    pub(crate) fn add_lost(&mut self, reached: u64, head: &str) {
        // The number of entries that another ledger has in common is not known. At least one is
        // lost.
        let lost = reached.saturating_sub(self.entries).max(1);
        if lost > self.lost {
            self.lost = lost;
            head.clone_into(&mut self.lost_head);
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} entries after entry {}", self.lost, self.entries)?;
        match &self.certificates {
            None => formatter.write_str("; which certificates they issued cannot be read any more")?,
            Some(certificates) => {
                write!(formatter, "; {} certificates", certificates.len())?;
                for (serial, station) in certificates {
                    match serial {
                        Some(serial) => write!(formatter, ", {serial} of {:?}", station.as_str())?,
                        None => write!(formatter, ", one of {:?}", station.as_str())?,
                    }
                }
            }
        }
        write!(formatter, "; {} revocations, which are taken over", self.revocations.len())?;
        self.revocations.iter().try_for_each(|serial| write!(formatter, ", {serial}"))?;
        self.lists.iter().try_for_each(|(issuer, number)| {
            write!(formatter, "; the lists of issuer {issuer} up to number {number}")
        })
    }
}
