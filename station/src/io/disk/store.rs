//! The station's store. It is reopened by itself after a failed write.

use std::{
    collections::BTreeSet,
    ops::Deref,
    sync::{Arc, Mutex},
};

use program::causes;
use station_store::{PendingError, PendingId, StorageError, Store};

use crate::io::{
    disk::faults::{DiskFaults, DiskFile},
    locking::lock,
};

/// Read access to the store. Changes go through [`StationStore::writable`].
#[derive(Debug)]
pub(crate) struct StationStore {
    store: Store,
    faults: Arc<DiskFaults>,
    /// Requests that have ended, but could not be removed from the disk.
    given_up: Mutex<BTreeSet<PendingId>>,
}

/// Write access to the store. The store is reopened first if the last write failed. The result of
/// the change is noted when this value is dropped.
pub(crate) struct Writable<'a>(&'a StationStore);

impl StationStore {
    pub(crate) fn new(store: Store, faults: Arc<DiskFaults>) -> Self {
        Self { store, faults, given_up: Mutex::default() }
    }

    /// Blocks on the disk if the last write failed.
    pub(crate) fn writable(&self) -> Writable<'_> {
        self.reopen();
        Writable(self)
    }

    /// Checks whether a change can be stored. Blocks if the last write failed.
    ///
    /// # Errors
    /// [`StorageError::Poisoned`]: the last write failed, and reopening the store failed too.
    pub(crate) fn check_writable(&self) -> Result<(), StorageError> {
        self.reopen();
        self.store.write_failure().map_or(Ok(()), |_| Err(StorageError::Poisoned))
    }

    /// Reopens the store if the last write failed. Blocks.
    pub(crate) fn reopen(&self) {
        let Some(reason) = self.store.write_failure() else {
            return self.faults.handle_written(DiskFile::Store);
        };
        self.faults.handle_failed(DiskFile::Store, reason);
        if let Err(error) = self.store.reopen() {
            return self.faults.handle_failed(DiskFile::Store, causes(&error).to_string());
        }
        self.faults.handle_written(DiskFile::Store);
        for pending in std::mem::take(&mut *lock(&self.given_up)) {
            self.give_up(pending);
        }
    }

    /// Removes a request, and condemns its key. If the disk fails, this happens when the disk takes
    /// writes again. Blocks.
    pub(crate) fn give_up(&self, pending: PendingId) {
        match self.writable().drop_pending(pending) {
            Ok(_) | Err(PendingError::UnknownPending { .. }) => {}
            Err(error) => {
                let is_storage = matches!(error, PendingError::Storage { .. });
                tracing::warn!(error = %causes(&error), request = %pending, "a request that is over is kept for now");
                if is_storage {
                    lock(&self.given_up).insert(pending);
                }
            }
        }
    }
}

impl Deref for StationStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Deref for Writable<'_> {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.0.store
    }
}

impl Drop for Writable<'_> {
    fn drop(&mut self) {
        if let Some(reason) = self.0.store.write_failure() {
            self.0.faults.handle_failed(DiskFile::Store, reason);
        }
    }
}
