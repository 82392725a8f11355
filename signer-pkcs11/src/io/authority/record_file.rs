//! A record in a file: one line per entry, synced before anything is signed.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use certificates::{KeyHash, StationIdentity};
use program::sync_folder_of;
use tokio::task::spawn_blocking;

use crate::{
    issuing::{
        answer::PendingCertificate,
        certificate::IssuedCertificate,
        record::{IssuanceRecord, RecordFuture},
    },
    record::{
        chain::{AuditChain, AuditError, whole_lines},
        event::{AuditEvent, RecordError},
    },
};

/// A record in a file that one process writes. Clones share it.
///
/// After a failed write it accepts no more entries, because the content of the disk is unknown.
/// Open it again.
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
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another process has it open.
    #[error("cannot open the record {}: another process is writing it", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// It was changed. Nothing is appended to such a record.
    #[error("cannot use the record {}: it was changed", path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// The problem.
        #[source]
        source: AuditError,
    },
    /// A write has failed before.
    #[error("cannot write to the record {}: an earlier write failed; restart", path.display())]
    Poisoned {
        /// The file.
        path: PathBuf,
    },
}

impl FileRecord {
    /// Opens a record, or creates an empty one that only its owner may read. Reads all of it.
    /// Blocks.
    ///
    /// An incomplete last line is removed: the machine stopped while it was written, before
    /// anything was signed for it.
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
            tracing::warn!(record = %path.display(), "the last entry is incomplete and is removed");
            file.set_len(whole.len() as u64).map_err(failed)?;
        }
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        sync_folder_of(&path).map_err(failed)?;
        Ok(Self(Arc::new(Mutex::new(Inner { path, file, chain, poisoned: false }))))
    }

    /// Appends an entry durably and returns its number. Blocks.
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

    /// The content of the record.
    #[must_use]
    pub fn chain(&self) -> AuditChain {
        self.lock().chain.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IssuanceRecord for FileRecord {
    fn append<'a>(&'a self, event: &'a AuditEvent) -> RecordFuture<'a, u64> {
        append(self.clone(), event.clone())
    }

    fn signed<'a>(
        &'a self,
        entry: u64,
        certificate: &'a IssuedCertificate,
        _pending: Option<&'a PendingCertificate>,
    ) -> RecordFuture<'a, u64> {
        append(self.clone(), AuditEvent::signed(entry, certificate))
    }

    fn owner_of_key(&self, key: KeyHash) -> RecordFuture<'_, Option<StationIdentity>> {
        let owner = self.lock().chain.index().owner_of_key(key).cloned();
        Box::pin(std::future::ready(Ok(owner)))
    }
}

/// An fsync takes milliseconds, so it runs on a thread that may block.
fn append(record: FileRecord, event: AuditEvent) -> RecordFuture<'static, u64> {
    Box::pin(async move {
        let appended = spawn_blocking(move || record.append_blocking(&event)).await;
        appended.map_err(RecordError::new)?.map_err(RecordError::new)
    })
}
