//! A record in a file: one line per entry, synced before anything is signed.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use tokio::task::spawn_blocking;

use crate::{
    audit::{AuditChain, AuditError, whole_lines},
    record::{AuditEvent, IssuanceRecord, RecordError, RecordFuture},
};

/// A record in a file that one process writes. Clones share it.
///
/// After a failed write it takes no more entries: what the disk holds is unknown then. Open it anew.
#[derive(Clone, Debug)]
pub struct FileRecord(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    chain: AuditChain,
    /// A write has failed.
    poisoned: bool,
}

/// Why a record in a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileRecordError {
    /// The file cannot be opened, read or written.
    #[error("cannot read or write the record {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process has it open.
    #[error("the record {} is being written by another process", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// It is not as it was written. Nothing is appended to such a record.
    #[error("the record {} is not as it was written", path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: AuditError,
    },
    /// A write has failed before.
    #[error("an earlier write into the record {} failed: restart", path.display())]
    Poisoned {
        /// The file.
        path: PathBuf,
    },
}

impl FileRecord {
    /// Opens a record, or makes an empty one, readable for its owner only. Reads all of it, and blocks.
    ///
    /// A last line that is cut short is taken away: the machine stopped while it was written, before anything was signed
    /// for it.
    ///
    /// # Errors
    /// [`FileRecordError`]
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FileRecordError> {
        let path = path.into();
        let failed = |source| FileRecordError::Io { path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(failed)?;
        // Two writers would chain to the same entry.
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(FileRecordError::Locked { path }),
            Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let whole = whole_lines(&text);
        let chain = AuditChain::read(whole)
            .map_err(|source| FileRecordError::Audit { path: path.clone(), source })?;
        if whole.len() < text.len() {
            tracing::warn!(record = %path.display(), "the last entry was cut short and is taken away");
            file.set_len(whole.len() as u64).map_err(failed)?;
        }
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        sync_folder(&path).map_err(failed)?;
        Ok(Self(Arc::new(Mutex::new(Inner { path, file, chain, poisoned: false }))))
    }

    /// Appends an entry, durably, and returns its number. Blocks.
    ///
    /// # Errors
    /// [`FileRecordError`]
    pub fn append_blocking(&self, event: &AuditEvent) -> Result<u64, FileRecordError> {
        let mut inner = self.lock();
        if inner.poisoned {
            return Err(FileRecordError::Poisoned { path: inner.path.clone() });
        }
        let line = inner.chain.append(event, SystemTime::now());
        let line = line.map_err(|source| FileRecordError::Audit { path: inner.path.clone(), source })?;
        let written = inner.file.write_all(line.as_bytes()).and_then(|()| inner.file.sync_data());
        if let Err(source) = written {
            inner.poisoned = true;
            return Err(FileRecordError::Io { path: inner.path.clone(), source });
        }
        Ok(inner.chain.entries())
    }

    /// What the record says.
    pub fn chain(&self) -> AuditChain {
        self.lock().chain.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IssuanceRecord for FileRecord {
    fn append<'a>(&'a self, event: &'a AuditEvent) -> RecordFuture<'a, u64> {
        let (record, event) = (self.clone(), event.clone());
        // An fsync takes milliseconds.
        Box::pin(async move {
            let appended = spawn_blocking(move || record.append_blocking(&event)).await;
            appended.map_err(RecordError::new)?.map_err(RecordError::new)
        })
    }

    fn owner_of_key<'a>(&'a self, spki_sha256: &'a str) -> RecordFuture<'a, Option<String>> {
        let owner = self.lock().chain.index().owner_of_key(spki_sha256).map(str::to_owned);
        Box::pin(std::future::ready(Ok(owner)))
    }
}

/// A new name is durable only when its folder is; elsewhere than on Unix a folder cannot be synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
