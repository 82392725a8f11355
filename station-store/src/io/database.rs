//! The default storage of the crate: one redb file.
//!
//! redb is a copy-on-write B-tree with two commit slots and checksums: a commit is either complete
//! or absent, whatever was torn. Its default durability syncs the file before `commit` returns.

use std::cell::Cell;
use std::error::Error;
use std::io;

use program::causes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction};

use crate::storage::{Change, Damaged, Loaded, Record, Storage, StorageError, Table};

/// A redb database with the tables of [`Table::ALL`].
pub(super) struct RedbFile {
    /// `None` while it is dropped, and after it was closed and could not be reopened.
    database: Option<Database>,
    access: Access,
    again: Again,
}

/// Reopens a closed database.
pub(super) type Again = Box<dyn FnMut() -> Result<RedbFile, StorageError> + Send>;

/// The access to a database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadWrite,
    /// Read only: the database is a copy in memory of a file that cannot be written.
    Read,
}

impl RedbFile {
    /// `again` reopens the database after it was closed.
    pub(super) fn new(database: Database, access: Access, again: Again) -> Self {
        Self { database: Some(database), access, again }
    }

    pub(super) fn access(&self) -> Access {
        self.access
    }

    fn close(&mut self) {
        // Closing writes as well.
        let database = self.database.take();
        if let Err(error) = guarded(|| drop(database)) {
            tracing::debug!(error = %causes(&error), "the store was not closed properly; it is repaired when it is opened again");
        }
    }
}

impl Storage for RedbFile {
    fn load(&mut self) -> Result<Loaded, StorageError> {
        let read = |source: Box<dyn Error + Send + Sync>| StorageError::Read { source };
        let database = self.database.as_ref().ok_or(StorageError::Poisoned)?;
        guarded(|| read_all(database)).map_err(|source| read(Box::new(source)))?
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StorageError> {
        if self.access == Access::Read {
            return Err(StorageError::ReadOnly);
        }
        let database = self.database.as_ref().ok_or(StorageError::Poisoned)?;
        guarded(|| write(database, changes))
            .map_err(|source| StorageError::Write { source: Box::new(source) })?
    }

    fn reopen(&mut self) -> Result<(), StorageError> {
        self.close();
        *self = (self.again)()?;
        Ok(())
    }
}

impl Drop for RedbFile {
    fn drop(&mut self) {
        self.close();
    }
}

/// Reads every record, and names those that cannot be read.
pub(super) fn read_all(database: &Database) -> Result<Loaded, StorageError> {
    let mut loaded = Loaded::default();
    let transaction =
        database.begin_read().map_err(|error| StorageError::Read { source: Box::new(error) })?;
    for table in Table::ALL {
        let opened = match transaction.open_table(definition(table)) {
            Ok(opened) => opened,
            // The table was never written.
            Err(TableError::TableDoesNotExist(_)) => continue,
            Err(error) => {
                loaded.damaged.push(unreadable(table, error));
                continue;
            }
        };
        let rows = match opened.iter() {
            Ok(rows) => rows,
            Err(error) => {
                loaded.damaged.push(unreadable(table, error));
                continue;
            }
        };
        for row in rows {
            match row {
                Ok((key, value)) => loaded.records.push(Record {
                    table,
                    key: key.value().to_owned(),
                    value: value.value().to_vec(),
                }),
                Err(error) => {
                    loaded.damaged.push(unreadable(table, error));
                    break;
                }
            }
        }
    }
    Ok(loaded)
}

/// Commits one transaction. Its durability is redb's default, `Durability::Immediate`: synced when
/// `commit` returns.
fn write(database: &Database, changes: &[Change]) -> Result<(), StorageError> {
    let transaction = database.begin_write().map_err(failed)?;
    apply(&transaction, changes)?;
    transaction.commit().map_err(failed)
}

/// Applies the changes as part of `transaction`.
pub(super) fn apply(transaction: &WriteTransaction, changes: &[Change]) -> Result<(), StorageError> {
    for change in changes {
        match change {
            Change::Put(record) => {
                let mut table = transaction.open_table(definition(record.table)).map_err(failed)?;
                table.insert(record.key.as_str(), record.value.as_slice()).map_err(failed)?;
            }
            Change::Remove { table, key } => {
                let mut table = transaction.open_table(definition(*table)).map_err(failed)?;
                table.remove(key.as_str()).map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// Converts a panic of redb into an error.
///
/// redb reports nearly all damage as an error, but it trusts page contents whose checksums it has
/// not read yet, and may then panic. Bytes on a disk must not stop the station, so a panic becomes
/// an error here. (Not in a firmware that is built with `panic = "abort"`.)
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let before = CATCHING.replace(true);
    // After a panic in a commit the store is poisoned. After a panic while the store is opened or
    // loaded, the store is never created. So no broken state is read again.
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    CATCHING.set(before);
    done.map_err(|_| Panicked)
}

/// Whether the store would catch a panic of this thread and convert it into an error: redb may
/// panic on a damaged file.
///
/// A panic hook of the program calls this function, and prints nothing about such a panic. The
/// store itself sets no hook, because a hook belongs to the whole process.
///
/// ```
/// let print = std::panic::take_hook();
/// std::panic::set_hook(Box::new(move |panic| {
///     if !station_store::is_catching_panic() {
///         print(panic);
///     }
/// }));
/// ```
#[must_use]
pub fn is_catching_panic() -> bool {
    CATCHING.get()
}

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// See [`guarded`].
#[derive(Debug, thiserror::Error)]
#[error("the database contradicts itself")]
pub(super) struct Panicked;

fn unreadable(table: Table, error: impl Error + Send + Sync + 'static) -> Damaged {
    Damaged { table, key: "*".to_owned(), source: Box::new(error) }
}

pub(super) fn failed(error: impl Into<redb::Error>) -> StorageError {
    let error = error.into();
    let full = matches!(&error, redb::Error::Io(source) if is_full(source));
    let source = Box::new(error);
    if full { StorageError::Full { source } } else { StorageError::Write { source } }
}

/// Whether there is no room: on the disk, in the user's quota, or within the process's limit of
/// file sizes.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn definition(table: Table) -> TableDefinition<'static, &'static str, &'static [u8]> {
    TableDefinition::new(table.name())
}
