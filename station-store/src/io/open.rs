//! Opening a store: the file or another place, its format, and what to do where it cannot be written.

use std::error::Error;
#[cfg(unix)]
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, StorageBackend, TableDefinition, TableError};

use crate::io::database::{Access, RedbFile, apply, failed, guarded, read_all};
use crate::migration::{FORMAT, migrate};
use crate::settings::Settings;
use crate::storage::StorageError;
use crate::store::Store;

impl Store {
    /// Opens the store in the file `path`, and makes it if there is none. One of an older format is migrated.
    ///
    /// The file is locked: a second process, or a second call, gets [`OpenError::Locked`]. On a file system that is
    /// read-only the store is served as it is, and every change fails with [`StorageError::ReadOnly`]. Blocks on the disk.
    ///
    /// # Errors
    /// [`OpenError`]. A record that cannot be read is no error here: see [`Store::damaged`].
    pub fn open(path: impl AsRef<Path>, settings: Settings) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let storage = open_file(path)?;
        Self::with_storage(storage, settings)
            .map_err(|source| OpenError::Load { path: path.to_owned(), source })
    }

    /// Serves a store that lies elsewhere than in a file: in flash without a file system, or in a test's memory. A backend
    /// that is empty, or holds no store yet because making one was interrupted, gets a new one.
    ///
    /// Errors name the place `backend`.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn on_backend(backend: impl StorageBackend, settings: Settings) -> Result<Self, OpenError> {
        let place = Path::new("backend");
        let failed = |source: io::Error| OpenError::Open { path: place.to_owned(), source: Box::new(source) };
        if !has_magic(&backend).map_err(failed)? {
            backend.set_len(0).map_err(failed)?;
        }
        let database = opened(place, || builder().create_with_backend(backend))?;
        let storage = checked(place, database, Access::ReadWrite)?;
        Self::with_storage(storage, settings)
            .map_err(|source| OpenError::Load { path: place.to_owned(), source })
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
    /// An older store cannot be brought to the present format. It is as it was.
    #[error("{} is of format {found} and cannot be migrated", path.display())]
    Migrate {
        /// The file.
        path: PathBuf,
        /// The format in the file.
        found: u64,
        /// How it failed.
        #[source]
        source: StorageError,
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

fn open_file(path: &Path) -> Result<RedbFile, OpenError> {
    let failed = |source| OpenError::Open { path: path.to_owned(), source };
    match std::fs::metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path).map_err(failed)?,
        Err(source) => return Err(failed(Box::new(source))),
    }
    // redb locks, repairs and so writes when it opens. Where that cannot be, a copy in memory can be repaired just as well.
    if let Err(error) = OpenOptions::new().read(true).write(true).open(path)
        && matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
    {
        let bytes = std::fs::read(path).map_err(|_| failed(Box::new(error)))?;
        let backend = InMemoryBackend::new();
        let filled = backend.set_len(bytes.len() as u64).and_then(|()| backend.write(0, &bytes));
        filled.map_err(|source| failed(Box::new(source)))?;
        if !has_magic(&backend).map_err(|source| failed(Box::new(source)))? {
            return Err(OpenError::NotAStore { path: path.to_owned() });
        }
        tracing::error!(path = %path.display(), "the store cannot be written; it is served as it is");
        let database = opened(path, || builder().create_with_backend(backend))?;
        return checked(path, database, Access::Read);
    }
    let database = opened(path, || builder().open(path))?;
    checked(path, database, Access::ReadWrite)
}

fn opened(
    path: &Path,
    open: impl FnOnce() -> Result<Database, DatabaseError>,
) -> Result<Database, OpenError> {
    guarded(open)
        .map_err(|source| OpenError::Damaged { path: path.to_owned(), source: Box::new(source) })?
        .map_err(|error| open_error(path, error))
}

/// The database, if it is a store, in the present format.
fn checked(path: &Path, database: Database, access: Access) -> Result<RedbFile, OpenError> {
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
    Ok(RedbFile::new(database, access))
}

/// The format that the file says it has. An empty database is a store whose making was interrupted, and gets it now.
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
            // A redb file of someone else's.
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
    let database = builder().create_file(file)?;
    set_format(&database)?;
    drop(database);
    OpenOptions::new().write(true).open(beside)?.sync_all()?;
    Ok(())
}

/// Whether the place holds a database, which redb makes known last of all when it makes one.
fn has_magic(backend: &impl StorageBackend) -> io::Result<bool> {
    let mut start = [0; MAGIC.len()];
    if backend.len()? < start.len() as u64 {
        return Ok(false);
    }
    backend.read(0, &mut start)?;
    Ok(start == *MAGIC)
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

/// The first bytes of a redb file.
const MAGIC: &[u8; 9] = b"redb\x1A\x0A\xA9\x0D\x0A";

const VERSION: TableDefinition<'static, &'static str, u64> = TableDefinition::new("format");
const VERSION_KEY: &str = "version";

/// redb's page cache. Everything is kept parsed in memory, so the cache only has to serve the next commit.
const CACHE_BYTES: usize = 512 * 1024;
