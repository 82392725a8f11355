//! The station's store, which is opened again by itself after a failed write.

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

/// The store, to be read. Changes go through [`StationStore::writable`].
#[derive(Debug)]
pub(crate) struct StationStore {
    store: Store,
    faults: Arc<DiskFaults>,
    /// Requests that are over, and that the disk did not let go.
    given_up: Mutex<BTreeSet<PendingId>>,
}

/// The store, to be changed: opened again before, where the last write had failed. What becomes of
/// the change is noted when this is dropped.
pub(crate) struct Writable<'a>(&'a StationStore);

impl StationStore {
    pub(crate) fn new(store: Store, faults: Arc<DiskFaults>) -> Self {
        Self { store, faults, given_up: Mutex::default() }
    }

    /// Blocks on the disk where the last write had failed.
    pub(crate) fn writable(&self) -> Writable<'_> {
        self.reopen();
        Writable(self)
    }

    /// Finds out whether a change has a chance to be kept. Blocks where the last write had failed.
    ///
    /// # Errors
    /// [`StorageError::Poisoned`]: the last write failed, and so did opening the store again.
    pub(crate) fn check_writable(&self) -> Result<(), StorageError> {
        self.reopen();
        self.store.write_failure().map_or(Ok(()), |_| Err(StorageError::Poisoned))
    }

    /// Opens the store again where the last write has failed. Blocks.
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

    /// Forgets a request; where the disk fails, when it can be written again. Its key is condemned
    /// with it. Blocks.
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
