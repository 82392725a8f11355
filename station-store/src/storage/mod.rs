//! The requirements of the store for a disk: it reads everything at the start, then makes one
//! atomic and durable commit for each change.

pub(crate) mod migration;
pub(crate) mod record;

use std::error::Error;

/// A place that keeps records across crashes.
///
/// The default is a redb file ([`Store::open`](crate::Store::open)). A vendor with another database
/// implements this trait and calls [`Store::with_storage`](crate::Store::with_storage).
pub trait Storage: Send + 'static {
    /// Reads every record.
    ///
    /// Records that cannot be read are named in [`Loaded::damaged`], so that the others can still
    /// be used.
    ///
    /// # Errors
    /// [`StorageError`] if nothing at all can be read.
    fn load(&mut self) -> Result<Loaded, StorageError>;

    /// Applies all `changes` or none, and returns only when they would survive a loss of power.
    ///
    /// # Errors
    /// [`StorageError`]. It is then unknown whether the changes are stored. After an error the
    /// store calls [`Storage::reopen`] before it commits again.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StorageError>;

    /// Reopens the place after an error, so that [`Storage::load`] reads the durable records and a
    /// commit may succeed. Other processes stay excluded from the place meanwhile.
    ///
    /// A storage that cannot do this keeps the default, which fails. It is opened again by
    /// [`Store::with_storage`](crate::Store::with_storage).
    ///
    /// # Errors
    /// [`StorageError`]; the call may be retried.
    fn reopen(&mut self) -> Result<(), StorageError> {
        Err(StorageError::Poisoned)
    }
}

/// The result of [`Storage::load`].
#[derive(Debug, Default)]
pub struct Loaded {
    /// Every record that could be read.
    pub records: Vec<Record>,
    /// The records that could not be read.
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
    /// Writes a record; replaces a record with the same key.
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
    /// Keys that are still to be destroyed in the token.
    Condemned,
    /// Verified OCSP answers.
    Ocsp,
    /// Counters.
    Meta,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 6] =
        [Self::Roots, Self::Own, Self::Pending, Self::Condemned, Self::Ocsp, Self::Meta];

    /// The name of the table in the storage.
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

/// A record that exists but cannot be used. The rest of the store can be used without it.
#[derive(Debug, thiserror::Error)]
#[error("the record {table}/{key} is damaged; install or request it again", table = .table.name())]
pub struct Damaged {
    /// The table.
    pub table: Table,
    /// The key within the table; `*` if the rest of the table could not be read.
    pub key: String,
    /// The fault of the record.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// Why a storage failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// There is no room on the disk.
    #[error("the disk is full; make room and reopen the store")]
    Full {
        /// The system's error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Reading failed.
    #[error("the store cannot be read")]
    Read {
        /// The system's error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Writing or syncing failed.
    #[error("the store cannot be written; check the disk and reopen the store")]
    Write {
        /// The system's error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The place is read-only. Reading continues.
    #[error("the store is on a file system that is read-only; make it writable and reopen the store")]
    ReadOnly,
    /// An earlier write failed, so the content of the disk is uncertain.
    #[error("an earlier write failed; reopen the store")]
    Poisoned,
}
