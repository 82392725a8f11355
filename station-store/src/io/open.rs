//! Opens a store: the file or another backend, its format, and the case that it cannot be written.

use std::error::Error;
#[cfg(unix)]
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database, DatabaseError, ReadableDatabase, StorageBackend, TableDefinition, TableError};

use crate::io::database::{Access, RedbFile, apply, failed, guarded, is_full, read_all};
use crate::io::kept::Kept;
use crate::settings::Settings;
use crate::storage::StorageError;
use crate::storage::migration::{FORMAT, migrate};
use crate::store::Store;

impl Store {
    /// Opens the store in the file `path`, and creates it if there is none. A store of an older
    /// format is migrated.
    ///
    /// The file is locked: a second process, or a second call, gets [`OpenError::Locked`]. On a
    /// read-only file system the store can be read, and every change fails with
    /// [`StorageError::ReadOnly`]. Blocks on the disk.
    ///
    /// # Errors
    /// [`OpenError`]. A record that cannot be read is not an error: see [`Store::damaged`].
    pub fn open(path: impl AsRef<Path>, settings: Settings) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let storage = open_file(path)?;
        if storage.access() == Access::Read {
            tracing::error!(path = %path.display(), "the store cannot be written; it is served as it is");
        }
        Self::with_storage(storage, settings)
            .map_err(|source| OpenError::Load { path: path.to_owned(), source })
    }

    /// Opens a store on a backend other than a file: in flash without a file system, or in a test's
    /// memory. If the backend is empty, or holds no store because its creation was interrupted, a
    /// new store is created.
    ///
    /// Errors name the place `backend`.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn on_backend(backend: impl StorageBackend, settings: Settings) -> Result<Self, OpenError> {
        let place = Path::new("backend");
        let failed = |source: io::Error| OpenError::Open { path: place.to_owned(), source: Box::new(source) };
        match start(&backend).map_err(failed)? {
            Start::Store => {}
            Start::Nothing => backend.set_len(0).map_err(failed)?,
            Start::Other => return Err(OpenError::NotAStore { path: place.to_owned() }),
        }
        let storage = open_kept(place.to_owned(), Kept::new(backend))?;
        Self::with_storage(storage, settings)
            .map_err(|source| OpenError::Load { path: place.to_owned(), source })
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the store open.
    #[error("{} is in use by another process; only one may have the store open", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A newer release wrote the store.
    #[error(
        "{} is of format {found}, and this release knows formats up to {known}; use the release that wrote it, or a later one",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format in the file.
        found: u64,
        /// The newest format that this release supports.
        known: u64,
    },
    /// The file is not a store, or its first bytes are damaged.
    #[error(
        "{} is not a certificate store, or its first bytes are damaged; restore it from a copy, move it away, or name another file",
        path.display()
    )]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be opened or created.
    #[error("cannot open {}; the directory must exist and be writable", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The file is damaged beyond redb's repair.
    #[error("{} is damaged; restore it from a copy, or move it away and provision the station again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// redb's error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// An older store cannot be migrated to the present format. It is unchanged.
    #[error("{} is of format {found} and cannot be migrated", path.display())]
    Migrate {
        /// The file.
        path: PathBuf,
        /// The format in the file.
        found: u64,
        /// The cause.
        #[source]
        source: StorageError,
    },
    /// The records cannot be read.
    #[error("cannot load {}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: StorageError,
    },
}

fn open_file(path: &Path) -> Result<RedbFile, OpenError> {
    let failed = |source| OpenError::Open { path: path.to_owned(), source };
    match std::fs::metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path).map_err(failed)?,
        Err(source) => return Err(failed(Box::new(source))),
    }
    // redb locks and repairs a file when it opens it, and so writes to it. If the file cannot be
    // written, a copy in memory is repaired instead.
    if let Err(error) = OpenOptions::new().read(true).write(true).open(path)
        && matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
    {
        let bytes = std::fs::read(path).map_err(|_| failed(Box::new(error)))?;
        let backend = InMemoryBackend::new();
        let filled = backend.set_len(bytes.len() as u64).and_then(|()| backend.write(0, &bytes));
        filled.map_err(|source| failed(Box::new(source)))?;
        if start(&backend).map_err(|source| failed(Box::new(source)))? != Start::Store {
            return Err(OpenError::NotAStore { path: path.to_owned() });
        }
        let database = opened(path, || builder().create_with_backend(backend))?;
        let database = checked(path, database)?;
        let path = path.to_owned();
        let again = Box::new(move || open_file(&path).map_err(not_reopened));
        return Ok(RedbFile::new(database, Access::Read, again));
    }
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(|source| failed(Box::new(source)))?;
    let backend = Kept::new(FileBackend::new(file).map_err(|error| open_error(path, error))?);
    if start(&backend).map_err(|source| failed(Box::new(source)))? != Start::Store {
        return Err(OpenError::NotAStore { path: path.to_owned() });
    }
    open_kept(path.to_owned(), backend)
}

/// Opens the database in a place that stays locked while the database is closed and reopened.
fn open_kept(path: PathBuf, kept: Kept) -> Result<RedbFile, OpenError> {
    let database = opened(&path, || builder().create_with_backend(kept.clone()))?;
    let database = checked(&path, database)?;
    let again = Box::new(move || {
        kept.write_again().map_err(|error| failed(redb::Error::Io(error)))?;
        open_kept(path.clone(), kept.clone()).map_err(not_reopened)
    });
    Ok(RedbFile::new(database, Access::ReadWrite, again))
}

fn not_reopened(error: OpenError) -> StorageError {
    let disk = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let full = disk.is_some_and(is_full);
    let source = Box::new(error);
    if full { StorageError::Full { source } } else { StorageError::Read { source } }
}

fn opened(
    path: &Path,
    open: impl FnOnce() -> Result<Database, DatabaseError>,
) -> Result<Database, OpenError> {
    guarded(open)
        .map_err(|source| OpenError::Damaged { path: path.to_owned(), source: Box::new(source) })?
        .map_err(|error| open_error(path, error))
}

/// The database in the present format, if it is a store.
fn checked(path: &Path, database: Database) -> Result<Database, OpenError> {
    match format(path, &database)? {
        Some(FORMAT) => {}
        Some(found) if found > FORMAT => {
            return Err(OpenError::NewerFormat { path: path.to_owned(), found, known: FORMAT });
        }
        Some(found) if found > 0 => {
            guarded(|| bring_up(&database, found))
                .map_err(|source| OpenError::Damaged { path: path.to_owned(), source: Box::new(source) })?
                .map_err(|source| OpenError::Migrate { path: path.to_owned(), found, source })?;
        }
        _ => return Err(OpenError::NotAStore { path: path.to_owned() }),
    }
    Ok(database)
}

/// The format number in the file. An empty database is a store whose creation was interrupted; it
/// gets the format number now.
fn format(path: &Path, database: &Database) -> Result<Option<u64>, OpenError> {
    let damaged = |source| OpenError::Damaged { path: path.to_owned(), source };
    guarded(|| -> Result<Option<u64>, redb::Error> {
        let transaction = database.begin_read()?;
        match transaction.open_table(VERSION) {
            Ok(table) => return Ok(table.get(VERSION_KEY)?.map(|value| value.value())),
            Err(TableError::TableDoesNotExist(_)) => {}
            Err(TableError::TableTypeMismatch { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let empty = transaction.list_tables()?.next().is_none()
            && transaction.list_multimap_tables()?.next().is_none();
        if !empty || path != Path::new("backend") {
            // A redb file of another program.
            return Ok(None);
        }
        drop(transaction);
        set_format(database)?;
        Ok(Some(FORMAT))
    })
    .map_err(|source| damaged(Box::new(source)))?
    .map_err(|source| damaged(Box::new(source)))
}

fn set_format(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(VERSION)?.insert(VERSION_KEY, FORMAT)?;
    transaction.commit()?;
    Ok(())
}

/// Migrates every record and the format in one transaction.
fn bring_up(database: &Database, found: u64) -> Result<(), StorageError> {
    let changes = migrate(found, &read_all(database)?.records);
    let transaction = database.begin_write().map_err(failed)?;
    apply(&transaction, &changes)?;
    transaction.open_table(VERSION).map_err(failed)?.insert(VERSION_KEY, FORMAT).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    tracing::info!(from = found, to = FORMAT, records = changes.len(), "the store was migrated");
    Ok(())
}

/// Creates an empty store beside `path` and moves it there, so that a crash never leaves half a
/// store under the name.
fn create(path: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    // Two processes that start at the same time must neither write into the same temporary file,
    // nor move a new store over one that is already in use. The lock ends with the handle. (On
    // systems other than Unix a directory cannot be opened as a file.)
    #[cfg(unix)]
    let directory = {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = File::open(parent.unwrap_or(Path::new(".")))?;
        // A file system that cannot lock directories excludes no process, but is supported
        // nevertheless.
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
    // The new name is durable only after the directory is synced.
    #[cfg(unix)]
    directory.sync_all()?;
    Ok(())
}

/// Creates an empty store, and syncs it.
fn create_beside(beside: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Only the owner may read the names of the keys.
        options.mode(0o600);
    }
    let file = options.open(beside)?;
    let database = builder().create_file(file)?;
    set_format(&database)?;
    drop(database);
    OpenOptions::new().write(true).open(beside)?.sync_all()?;
    Ok(())
}

/// The kind of data at the beginning of a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// A database.
    Store,
    /// No database yet: when redb creates a database, it writes the magic number last.
    Nothing,
    /// Data of another program, or a database whose first bytes are damaged.
    Other,
}

fn start(backend: &impl StorageBackend) -> io::Result<Start> {
    let mut start = [0; MAGIC.len()];
    let there = usize::try_from(backend.len()?).map_or(start.len(), |length| length.min(start.len()));
    backend.read(0, &mut start[..there])?;
    Ok(match &start {
        MAGIC => Start::Store,
        start if start.iter().all(|byte| *byte == 0) => Start::Nothing,
        _ => Start::Other,
    })
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn open_error(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::Locked { path },
        // redb's error for a file without its magic number.
        DatabaseError::Storage(redb::StorageError::Io(source))
            if source.kind() == io::ErrorKind::InvalidData =>
        {
            OpenError::NotAStore { path }
        }
        // A read beyond the end, or at an offset that no file reaches: pointers of the database are
        // damaged, or its end is missing.
        DatabaseError::Storage(redb::StorageError::Io(source))
            if matches!(source.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput) =>
        {
            OpenError::Damaged { path, source: Box::new(source) }
        }
        DatabaseError::Storage(redb::StorageError::Io(source)) => {
            OpenError::Open { path, source: Box::new(source) }
        }
        other => OpenError::Damaged { path, source: Box::new(other) },
    }
}

/// The first bytes of a redb file.
const MAGIC: &[u8; 9] = b"redb\x1A\x0A\xA9\x0D\x0A";

const VERSION: TableDefinition<'static, &'static str, u64> = TableDefinition::new("format");
const VERSION_KEY: &str = "version";

/// redb's page cache. All records are kept parsed in memory, so the cache only has to serve the
/// next commit.
const CACHE_BYTES: usize = 512 * 1024;
