//! What the store needs from a disk: everything at once at the start, then one atomic and durable
//! commit for each change.

pub(crate) mod migration;
pub(crate) mod record;

use std::error::Error;

/// A place that keeps records across crashes.
///
/// The crate's own is a redb file ([`Store::open`](crate::Store::open)); a vendor with a database
/// of its own implements this and calls [`Store::with_storage`](crate::Store::with_storage).
pub trait Storage: Send + 'static {
    /// Reads every record.
    ///
    /// What cannot be read is named in [`Loaded::damaged`], so that the rest is still served.
    ///
    /// # Errors
    /// [`StorageError`] when nothing at all can be read.
    fn load(&mut self) -> Result<Loaded, StorageError>;

    /// Applies all `changes` or none, and returns only when they would survive a loss of power.
    ///
    /// # Errors
    /// [`StorageError`]; whether the changes are kept is then unknown. After an error the store
    /// calls [`Storage::reopen`] before it commits again.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StorageError>;

    /// Opens the place again after an error, so that [`Storage::load`] reads what is durable and a
    /// commit may succeed. What keeps other processes out of the place stays in force.
    ///
    /// A storage that cannot do this leaves the default, which fails: it is opened again by
    /// [`Store::with_storage`](crate::Store::with_storage).
    ///
    /// # Errors
    /// [`StorageError`]; it may be tried again.
    fn reopen(&mut self) -> Result<(), StorageError> {
        Err(StorageError::Poisoned)
    }
}

/// What [`Storage::load`] found.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Every record that could be read.
    pub records: Vec<Record>,
    /// What could not be read.
    pub damaged: Vec<Damaged>,
}

/// One record: a key within a table, and bytes that only this crate understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The table.
    pub table: Table,
    /// The key within the table.
    pub key: String,
    /// The content.
    pub value: Vec<u8>,
}

/// A step of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Writes a record, in the place of one with the same key.
    Put(Record),
    /// Removes the record with this key; it may be absent.
    Remove {
        /// The table.
        table: Table,
        /// The key within the table.
        key: String,
    },
}

/// The kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Table {
    /// Installed root certificates, one record for each use.
    Roots,
    /// The station's own certificates.
    Own,
    /// Keys and CSRs that wait for a certificate.
    Pending,
    /// Keys that remain to be destroyed in the token.
    Condemned,
    /// Verified OCSP answers.
    Ocsp,
    /// Counters.
    Meta,
}

impl Table {
    /// Each table.
    pub const ALL: [Self; 6] =
        [Self::Roots, Self::Own, Self::Pending, Self::Condemned, Self::Ocsp, Self::Meta];

    /// The name under which it is kept.
    pub fn name(self) -> &'static str {
        match self {
            Self::Roots => "roots",
            Self::Own => "own",
            Self::Pending => "pending",
            Self::Condemned => "condemned",
            Self::Ocsp => "ocsp",
            Self::Meta => "meta",
        }
    }
}

/// A record that is there but cannot be used. The rest of the store is served without it.
#[derive(Debug, thiserror::Error)]
#[error("the record {table}/{key} is damaged; install or request it again", table = .table.name())]
pub struct Damaged {
    /// The table.
    pub table: Table,
    /// The key within the table; `*` where the rest of the table could not be read.
    pub key: String,
    /// What is wrong with it.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// Why a storage failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// No room on the disk.
    #[error("the disk is full; make room and reopen the store")]
    Full {
        /// What the disk says.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Reading failed.
    #[error("the store cannot be read")]
    Read {
        /// What the disk says.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Writing or syncing failed.
    #[error("the store cannot be written; see to the disk and reopen the store")]
    Write {
        /// What the disk says.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Nothing can be written here. Reading goes on.
    #[error("the store is on a file system that is read-only; make it writable and reopen the store")]
    ReadOnly,
    /// An earlier write failed, so that what the disk holds is uncertain.
    #[error("an earlier write failed; reopen the store")]
    Poisoned,
}
