//! The place under the database. It stays open and locked while the database in it is closed and
//! reopened.

use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use program::causes;
use redb::{BackendError, StorageBackend};

/// A handle to a place. redb closes a handle with each database; the place itself is closed with
/// the last handle.
#[derive(Clone, Debug)]
pub(super) struct Kept(Arc<Place>);

#[derive(Debug)]
struct Place {
    backend: Box<dyn StorageBackend>,
    /// The locks that redb has taken. Another process must not gain access between two databases.
    locked: Mutex<Vec<Range>>,
    /// A sync has failed, and there was no successful sync after a complete rewrite since then.
    is_unsynced: AtomicBool,
}

type Range = (Bound<u64>, Bound<u64>);

impl Kept {
    pub(super) fn new(backend: impl StorageBackend) -> Self {
        Self(Arc::new(Place {
            backend: Box::new(backend),
            locked: Mutex::default(),
            is_unsynced: AtomicBool::new(false),
        }))
    }

    /// Writes everything again after a failed sync, and syncs it.
    ///
    /// Linux reports a failed write-back once, and then counts the pages as written: data that is
    /// read afterwards may never reach the disk, although the next sync succeeds.
    pub(super) fn write_again(&self) -> io::Result<()> {
        if !self.0.is_unsynced.load(Ordering::Acquire) {
            return Ok(());
        }
        let (mut offset, length) = (0, self.len()?);
        let mut page = [0; PAGE_BYTES];
        while offset < length {
            let rest = usize::try_from(length - offset).unwrap_or(PAGE_BYTES);
            let page = &mut page[..rest.min(PAGE_BYTES)];
            self.read(offset, page)?;
            // A hole stays a hole, because writing it would take room.
            if page.iter().any(|byte| *byte != 0) {
                self.write(offset, page)?;
            }
            offset += page.len() as u64;
        }
        self.0.backend.sync_data()?;
        self.0.is_unsynced.store(false, Ordering::Release);
        Ok(())
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Range>> {
        self.0.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = self.backend.close() {
            tracing::error!(error = %causes(&error), "the file of the store was not closed properly");
        }
    }
}

impl StorageBackend for Kept {
    fn len(&self) -> io::Result<u64> {
        self.0.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.backend.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.backend.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.backend.sync_data().inspect_err(|_| self.0.is_unsynced.store(true, Ordering::Release))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.backend.write(offset, data)
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        let mut locked = self.locked();
        if locked.contains(&(start, end)) {
            return Ok(true);
        }
        let taken = self.0.backend.try_lock_range(start, end)?;
        if taken {
            locked.push((start, end));
        }
        Ok(taken)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.locked().retain(|range| *range != (start, end));
        self.0.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.backend.query_lock_range(start, end)
    }

    fn close(&self) -> io::Result<()> {
        Ok(())
    }
}

const PAGE_BYTES: usize = 4096;
