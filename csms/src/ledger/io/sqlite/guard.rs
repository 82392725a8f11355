//! Detects that the ledger's files were removed or replaced while they are open. What is written
//! then is lost.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use program::causes;
use sqlx::{AnyConnection, ConnectOptions as _, Connection as _};
use tokio::sync::Mutex;

use crate::ledger::{
    LedgerError,
    io::database::{
        connect::{Access, sqlite_options},
        failure::failed,
    },
};

/// Holds the ledger open, so that SQLite itself never replaces its files, and stores the identity
/// of the files.
#[derive(Debug)]
pub(crate) struct Guard {
    /// As long as one connection is open, the write-ahead log stays.
    connection: Mutex<Option<AnyConnection>>,
    files: [Watched; 2],
    lost: OnceLock<LedgerLost>,
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// The open ledger is not the one that the next start would open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerLost {
    /// A file no longer exists.
    #[error("{} was removed while the service runs, and nothing that is written now would last; {AFTER}", path.display())]
    Removed {
        /// The ledger or its write-ahead log.
        path: PathBuf,
    },
    /// Another file has taken its place.
    #[error("{} was replaced while the service runs, and nothing that is written now would last; {AFTER}", path.display())]
    Replaced {
        /// The ledger or its write-ahead log.
        path: PathBuf,
    },
    /// The content is older than it was.
    #[error("the ledger went back from entry {reached} to entry {entries} while the service runs; {AFTER}")]
    WentBack {
        /// The last entry that was written.
        reached: u64,
        /// The last entry that is there.
        entries: u64,
    },
    /// The content is another one than it was.
    #[error("entry {entry} of the ledger is not the one that was written while the service runs; {AFTER}")]
    Forked {
        /// The last entry that was written.
        entry: u64,
    },
}

impl Guard {
    pub(crate) async fn new(path: &Path) -> Result<Self, LedgerError> {
        let action = "open";
        let mut connection = sqlite_options(path, Access::Write)?.connect().await.map_err(failed(action))?;
        // The first statement opens the write-ahead log.
        sqlx::query("SELECT count(*) FROM sqlite_master")
            .execute(&mut connection)
            .await
            .map_err(failed(action))?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let watch = |path: PathBuf| {
            let found = fs::metadata(&path);
            let found = found.map_err(|source| LedgerError { action, source: source.into() })?;
            Ok::<_, LedgerError>(Watched { path, device: found.dev(), inode: found.ino() })
        };
        let files = [watch(path.to_path_buf())?, watch(log.into())?];
        Ok(Self { connection: Mutex::new(Some(connection)), files, lost: OnceLock::new() })
    }

    /// Closes the connection. What it has written is durable already.
    pub(crate) async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(error = %causes(&error), "the ledger was not closed in order");
        }
    }

    /// Checks the files. A lost ledger stays lost. The check takes two system calls, so that each
    /// change can make it.
    pub(crate) fn check(&self) -> Result<(), LedgerLost> {
        if let Some(lost) = self.lost.get() {
            return Err(lost.clone());
        }
        match self.files.iter().try_for_each(Watched::check) {
            Ok(()) => Ok(()),
            Err(lost) => Err(self.lose(lost)),
        }
    }

    /// Notes that the ledger is lost.
    fn lose(&self, lost: LedgerLost) -> LedgerLost {
        self.lost.get_or_init(|| lost).clone()
    }

    /// Writes the content of a write-ahead log that was removed into the ledger's file, if that
    /// file is still in its place. Returns whether the file is complete.
    pub(crate) async fn rescue(&self) -> bool {
        let [ledger, _] = &self.files;
        if ledger.check().is_err() {
            return false;
        }
        self.checkpoint().await
    }

    /// Writes the content of the write-ahead log into the ledger's file, so that the file alone is
    /// the ledger.
    pub(crate) async fn checkpoint(&self) -> bool {
        let mut connection = self.connection.lock().await;
        let Some(connection) = connection.as_mut() else { return false };
        let done: Result<(i64, i64, i64), _> =
            sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(connection).await;
        matches!(done, Ok((0, pages, moved)) if pages == moved)
    }
}

impl Watched {
    fn check(&self) -> Result<(), LedgerLost> {
        match fs::metadata(&self.path) {
            Ok(found) if found.dev() == self.device && found.ino() == self.inode => Ok(()),
            Ok(_) => Err(LedgerLost::Replaced { path: self.path.clone() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(LedgerLost::Removed { path: self.path.clone() })
            }
            // There are no free file descriptors or no memory. This proves nothing about the file.
            Err(_) => Ok(()),
        }
    }
}

const AFTER: &str =
    "the service ends; start it again, and if it refuses the ledger then, use `ocpp-csms restore`";
