//! The high-water mark of a ledger, which is kept apart from it. A ledger that is older than its
//! mark was restored, damaged or exchanged.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use certificates::SerialNumber;
use serde::{Deserialize, Serialize};

use crate::ledger::revocation_list::ListOnDisk;

/// The last entry of a ledger and the last numbers of its lists. A mark may be behind the ledger.
/// It is never ahead of what is durable in the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    /// The ledger's own id; empty for a ledger of an earlier version.
    pub(crate) ledger: String,
    /// The number of the last entry of the record.
    pub(crate) entries: u64,
    /// The hash of that entry.
    pub(crate) head: String,
    /// The number of the last list of revoked certificates, by the issuer's subject key identifier.
    pub(crate) lists: BTreeMap<String, u64>,
}

/// The state of a ledger at the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reached {
    /// The mark of this state. A ledger that does not exist has no entries.
    pub(crate) mark: Mark,
    /// The serial numbers of the certificates that are revoked in the record.
    pub(crate) revoked: BTreeSet<SerialNumber>,
}

/// Where a mark was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the file beside the ledger.
    File(PathBuf),
    /// In the token with this label.
    Token(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "the high-water mark in {}", path.display()),
            Self::Token(label) => write!(formatter, "the high-water mark in the token \"{label}\""),
        }
    }
}

/// Why a ledger is not the expected one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerBehind {
    /// There is no ledger, or an empty one, although there was one before.
    #[error("there is no ledger, or an empty one, but {place} is at entry {entries}")]
    Missing {
        /// The place of the evidence.
        place: String,
        /// The number of entries that the ledger had.
        entries: u64,
    },
    /// The record ends too early.
    #[error(
        "the ledger is older than it was: its record ends at entry {entries}, but {place} is at entry {reached}"
    )]
    Older {
        /// The place of the evidence.
        place: String,
        /// The entries of the ledger.
        entries: u64,
        /// The entries that it had.
        reached: u64,
    },
    /// The entries are not those that the ledger had.
    #[error("the ledger is another one: entry {entry} of its record differs from the one in {place}")]
    Other {
        /// The place of the evidence.
        place: String,
        /// The number of the entry.
        entry: u64,
    },
    /// A list of revoked certificates was signed, and the ledger does not contain its number.
    #[error(
        "the ledger is older than it was: the list of revoked certificates {place} has number {number}, and the last one on record has number {recorded}"
    )]
    List {
        /// The place of the evidence.
        place: String,
        /// The number of the list.
        number: u64,
        /// The last number in the record.
        recorded: u64,
    },
    /// A list names a certificate that is not revoked in the record.
    #[error(
        "the ledger has lost revocations: the certificate {serial} is on the list {} but is not revoked in the record",
        file.display()
    )]
    NotRevoked {
        /// The list.
        file: PathBuf,
        /// The certificate's serial number.
        serial: SerialNumber,
    },
}

impl Reached {
    /// Compares the ledger with a mark. `there` is the hash of the ledger's entry with the mark's
    /// number; `None` if the record is shorter.
    pub(crate) fn check_mark(
        &self,
        mark: &Mark,
        place: &Place,
        there: Option<&str>,
    ) -> Result<(), LedgerBehind> {
        let place = || place.to_string();
        if mark.entries == 0 {
            return Ok(());
        }
        if self.mark.entries == 0 {
            return Err(LedgerBehind::Missing { place: place(), entries: mark.entries });
        }
        let same_ledger = mark.ledger.is_empty() || mark.ledger == self.mark.ledger;
        match there {
            // A ledger that has lost the entry with its id has another id, or none.
            None => {
                let (entries, reached) = (self.mark.entries, mark.entries);
                Err(LedgerBehind::Older { place: place(), entries, reached })
            }
            Some(hash) if hash == mark.head && same_ledger => Ok(()),
            Some(_) => Err(LedgerBehind::Other { place: place(), entry: mark.entries }),
        }?;
        for (issuer, number) in &mark.lists {
            let recorded = self.mark.lists.get(issuer).copied().unwrap_or(0);
            if *number > recorded {
                return Err(LedgerBehind::List { place: place(), number: *number, recorded });
            }
        }
        Ok(())
    }

    /// Compares the ledger with a list of revoked certificates that its authority signed.
    pub(crate) fn check_list(&self, list: &ListOnDisk) -> Result<(), LedgerBehind> {
        let recorded = self.mark.lists.get(&list.issuer_key_id).copied().unwrap_or(0);
        if list.number > recorded {
            let place = list.file.display().to_string();
            return Err(LedgerBehind::List { place, number: list.number, recorded });
        }
        match list.revoked.iter().find(|one| !self.revoked.contains(&one.serial)) {
            Some(one) => Err(LedgerBehind::NotRevoked { file: list.file.clone(), serial: one.serial }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use certificates::UnixSeconds;
    use signer_pkcs11::RevocationReason;

    use super::*;
    use crate::ledger::revocation_list::Listed;

    fn serial(text: &str) -> SerialNumber {
        text.parse().expect("a serial number")
    }

    fn reached(entries: u64) -> Reached {
        Reached {
            mark: Mark {
                ledger: "id".to_owned(),
                entries,
                head: format!("h{entries}"),
                lists: BTreeMap::from([("aa".to_owned(), 2)]),
            },
            revoked: BTreeSet::from([serial("40")]),
        }
    }

    #[test]
    fn a_ledger_may_be_ahead_of_its_mark_and_not_behind() {
        let place = Place::File(PathBuf::from("ledger.mark"));
        let check =
            |ledger: &Reached, mark: &Mark, there: Option<&str>| ledger.check_mark(mark, &place, there);
        let mark = reached(5).mark;
        assert_eq!(check(&reached(9), &mark, Some("h5")), Ok(()));
        assert_eq!(check(&reached(5), &mark, Some("h5")), Ok(()));
        assert_eq!(check(&reached(5), &Mark::default(), None), Ok(()));
        assert!(matches!(
            check(&reached(4), &mark, None),
            Err(LedgerBehind::Older { entries: 4, reached: 5, .. })
        ));
        assert!(matches!(
            check(&reached(9), &mark, Some("other")),
            Err(LedgerBehind::Other { entry: 5, .. })
        ));
        let other = Mark { ledger: "other".to_owned(), ..mark.clone() };
        assert!(matches!(check(&reached(9), &other, Some("h5")), Err(LedgerBehind::Other { entry: 5, .. })));
        assert!(matches!(
            check(&Reached::default(), &mark, None),
            Err(LedgerBehind::Missing { entries: 5, .. })
        ));
        let lists = BTreeMap::from([("aa".to_owned(), 3)]);
        let error = check(&reached(9), &Mark { lists, ..mark }, Some("h5"));
        assert!(matches!(error, Err(LedgerBehind::List { number: 3, recorded: 2, .. })));
    }

    #[test]
    fn a_list_on_disk_may_not_be_ahead_of_the_ledger() {
        let list = |number: u64, serial: &str| ListOnDisk {
            file: Path::new("cso.crl").to_path_buf(),
            issuer_key_id: "aa".to_owned(),
            number,
            revoked: vec![Listed {
                serial: self::serial(serial),
                at: UnixSeconds::new(1),
                reason: RevocationReason::KeyCompromise,
            }],
        };
        assert_eq!(reached(9).check_list(&list(2, "40")), Ok(()));
        assert_eq!(reached(9).check_list(&list(1, "40")), Ok(()));
        assert!(matches!(
            reached(9).check_list(&list(3, "40")),
            Err(LedgerBehind::List { number: 3, recorded: 2, .. })
        ));
        assert!(matches!(reached(9).check_list(&list(2, "41")), Err(LedgerBehind::NotRevoked { .. })));
    }
}
