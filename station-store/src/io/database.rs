//! The storage of the crate: one redb file.
//!
//! redb is a copy-on-write B-tree with two commit slots and checksums: a commit is either there or not, whatever was torn.
//! Its default durability syncs the file before `commit` returns.

use std::error::Error;
#[cfg(unix)]
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use crate::settings::Settings;
use crate::storage::{Change, Damaged, Loaded, Record, Storage, StorageError, Table};
use crate::store::Store;

impl Store {
    /// Opens the store in the file `path`, and makes it if there is none.
    ///
    /// The file is locked: a second process, or a second call, gets [`OpenError::Locked`]. Blocks on the disk.
    ///
    /// # Errors
    /// [`OpenError`]. A record that cannot be read is no error here: see [`Store::damaged`].
    pub fn open(path: impl AsRef<Path>, settings: Settings) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let file = RedbFile::open(path)?;
        Self::with_storage(file, settings).map_err(|source| OpenError::Load { path: path.to_owned(), source })
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process; only one may have the store open", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A newer release wrote it.
    #[error(
        "{} is of format {found}, and this release knows formats up to {known}; use the release that wrote it, or a later one",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format in the file.
        found: u64,
        /// The newest format that is known.
        known: u64,
    },
    /// The file is no store.
    #[error("{} is not a certificate store; move it away, or name another file", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be opened or made.
    #[error("cannot open {}; the directory must exist and be writable", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the disk says.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The file is damaged beyond what redb repairs.
    #[error("{} is damaged; restore it from a copy, or move it away and provision the station anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What redb says.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The records cannot be read.
    #[error("cannot load {}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// How.
        #[source]
        source: StorageError,
    },
}

/// A redb file with the tables of [`Table::ALL`].
struct RedbFile {
    /// `None` only while it is dropped.
    database: Option<Database>,
}

impl RedbFile {
    fn open(path: &Path) -> Result<Self, OpenError> {
        match std::fs::metadata(path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path).map_err(|source| OpenError::Open { path: path.to_owned(), source })?;
            }
            Err(source) => return Err(OpenError::Open { path: path.to_owned(), source: Box::new(source) }),
        }
        let database = guarded(|| Database::builder().set_cache_size(CACHE_BYTES).open(path))
            .map_err(|source| OpenError::Damaged { path: path.to_owned(), source: Box::new(source) })?
            .map_err(|error| open_error(path, error))?;
        check_format(path, &database)?;
        Ok(Self { database: Some(database) })
    }
}

impl Storage for RedbFile {
    fn load(&mut self) -> Result<Loaded, StorageError> {
        let read = |source: Box<dyn Error + Send + Sync>| StorageError::Read { source };
        let database = self.database.as_ref().ok_or(StorageError::Poisoned)?;
        guarded(|| {
            let mut loaded = Loaded::default();
            let transaction = database.begin_read().map_err(|error| read(Box::new(error)))?;
            for table in Table::ALL {
                let opened = match transaction.open_table(definition(table)) {
                    Ok(opened) => opened,
                    // Nothing was ever written to it.
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
        })
        .map_err(|source| read(Box::new(source)))?
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StorageError> {
        let database = self.database.as_ref().ok_or(StorageError::Poisoned)?;
        guarded(|| write(database, changes))
            .map_err(|source| StorageError::Write { source: Box::new(source) })?
    }
}

impl Drop for RedbFile {
    fn drop(&mut self) {
        // Closing writes as well.
        let database = self.database.take();
        if let Err(error) = guarded(|| drop(database)) {
            tracing::error!(%error, "the store was not closed properly; it is repaired when it is opened again");
        }
    }
}

/// One transaction. Its durability is redb's default, `Durability::Immediate`: synced when `commit` returns.
fn write(database: &Database, changes: &[Change]) -> Result<(), StorageError> {
    let transaction = database.begin_write().map_err(failed)?;
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
    transaction.commit().map_err(failed)
}

/// Makes an empty store beside `path` and moves it there, so that a crash never leaves half a store under the name.
fn create(path: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    // Two processes that start at the same time must neither write into the same file beside it, nor move a new store
    // over one that is in use already. The lock ends with the handle. (Elsewhere than on Unix a directory is no file.)
    #[cfg(unix)]
    let directory = {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = File::open(parent.unwrap_or(Path::new(".")))?;
        // A file system that cannot lock directories keeps nobody out, and is served all the same.
        while directory.lock().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
        if path.try_exists()? {
            return Ok(());
        }
        directory
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    if let Err(error) = create_beside(&beside).and_then(|()| Ok(std::fs::rename(&beside, path)?)) {
        // Half a store on a full disk would only take room.
        let _ = std::fs::remove_file(&beside);
        return Err(error);
    }
    // The new name is durable only when the directory is.
    #[cfg(unix)]
    directory.sync_all()?;
    Ok(())
}

/// An empty store, synced.
fn create_beside(beside: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // The names of the keys are nobody else's business.
        options.mode(0o600);
    }
    let file = options.open(beside)?;
    let database = Database::builder().set_cache_size(CACHE_BYTES).create_file(file)?;
    let transaction = database.begin_write()?;
    transaction.open_table(FORMAT)?.insert(FORMAT_KEY, FORMAT_VERSION)?;
    transaction.commit()?;
    drop(database);
    OpenOptions::new().write(true).open(beside)?.sync_all()?;
    Ok(())
}

fn check_format(path: &Path, database: &Database) -> Result<(), OpenError> {
    let damaged = |source| OpenError::Damaged { path: path.to_owned(), source };
    let found = guarded(|| -> Result<Option<u64>, redb::Error> {
        let transaction = database.begin_read()?;
        match transaction.open_table(FORMAT) {
            Ok(table) => Ok(table.get(FORMAT_KEY)?.map(|value| value.value())),
            Err(TableError::TableDoesNotExist(_) | TableError::TableTypeMismatch { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
    .map_err(|source| damaged(Box::new(source)))?
    .map_err(|source| damaged(Box::new(source)))?;
    match found {
        Some(FORMAT_VERSION) => Ok(()),
        Some(found) if found > FORMAT_VERSION => {
            Err(OpenError::NewerFormat { path: path.to_owned(), found, known: FORMAT_VERSION })
        }
        // A redb file of someone else's.
        _ => Err(OpenError::NotAStore { path: path.to_owned() }),
    }
}

/// redb reports nearly all damage as an error, but it trusts page contents whose checksums it has not read yet; what it
/// then runs into may be a panic. Bytes on a disk must not take the station down, so a panic becomes an error here. (Not in a
/// firmware that is built with `panic = "abort"`.)
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    // After a panic in a commit the store is poisoned, after one in opening or loading it never comes to be: no broken
    // state is looked at again.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).map_err(|_| Panicked)
}

/// See [`guarded`].
#[derive(Debug, thiserror::Error)]
#[error("the database contradicts itself")]
struct Panicked;

fn open_error(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::Locked { path },
        // What redb says of a file without its magic number.
        DatabaseError::Storage(redb::StorageError::Io(source))
            if source.kind() == io::ErrorKind::InvalidData =>
        {
            OpenError::NotAStore { path }
        }
        DatabaseError::Storage(redb::StorageError::Io(source)) => {
            OpenError::Open { path, source: Box::new(source) }
        }
        other => OpenError::Damaged { path, source: Box::new(other) },
    }
}

fn unreadable(table: Table, error: impl Error + Send + Sync + 'static) -> Damaged {
    Damaged { table, key: "*".to_owned(), source: Box::new(error) }
}

fn failed(error: impl Into<redb::Error>) -> StorageError {
    let error = error.into();
    let full = matches!(&error, redb::Error::Io(source)
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded));
    let source = Box::new(error);
    if full { StorageError::Full { source } } else { StorageError::Write { source } }
}

fn definition(table: Table) -> TableDefinition<'static, &'static str, &'static [u8]> {
    TableDefinition::new(table.name())
}

const FORMAT: TableDefinition<'static, &'static str, u64> = TableDefinition::new("format");
const FORMAT_KEY: &str = "version";

/// Raised with every change that an older release would misread.
const FORMAT_VERSION: u64 = 1;

/// redb's page cache. Everything is kept parsed in memory, so the cache only has to serve the next commit.
const CACHE_BYTES: usize = 512 * 1024;
