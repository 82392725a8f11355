//! What is lost if a ledger is replaced by an older one.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use certificates::{SerialNumber, StationIdentity};
use serde::Serialize;
use signer_pkcs11::AuditEvent;

/// What a restoration loses, and what it takes over from elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Loss {
    /// The entries of the backup.
    pub entries: u64,
    /// The number of entries that are lost, as far as it is known.
    pub lost: u64,
    /// The certificates that were issued in these entries, with their stations, and without serial
    /// numbers where another authority has chosen them; `None`: the ledger that is replaced cannot
    /// be read.
    pub certificates: Option<Vec<(Option<SerialNumber>, StationIdentity)>>,
    /// The revocations that the backup lacks. They are taken over from the lists on disk, and from
    /// the ledger that is replaced.
    pub revocations: Vec<SerialNumber>,
    /// Numbers of lists that were signed and that the backup does not know. The next list has a
    /// higher one.
    pub lists: BTreeMap<String, u64>,
    /// Where the ledger was put that was replaced.
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

    /// Takes note of an entry that is known and not in the backup.
    pub(crate) fn add_lost(&mut self, reached: u64, head: &str) {
        // How many entries another ledger has in common is not known: it is one at least.
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
