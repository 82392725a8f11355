//! The store: combines catalog, rules and storage.

mod listing;
pub(crate) mod observer;
mod ocsp;
mod own;
mod pending;
mod roots;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use certificates::HashAlgorithm;
use program::causes;

pub use self::listing::InstalledRoot;
use self::observer::RootObserver;
use crate::catalog::{Catalog, Transition};
use crate::ocsp::retry::RetryWaits;
use crate::outcome::TrustError;
use crate::pending::key::Pending;
use crate::session::Sessions;
use crate::settings::Settings;
use crate::storage::record;
use crate::storage::{Damaged, Storage, StorageError};
use crate::uses::RootUse;

/// A charging station's inventory of certificates and of the names of its own keys.
///
/// A method that changes the store returns after the change is durable, and blocks until then. In
/// asynchronous code, call it on a thread that may block. Methods that only read answer from
/// memory, and never wait for the disk.
///
/// Invariant: a certificate that was accepted is listed, and a certificate that is listed can be
/// deleted, across any crash.
///
/// After a failed write, every further write fails with [`StorageError::Poisoned`] until the store
/// is reopened ([`Store::reopen`]), because the content of the disk is uncertain. Reads continue
/// with the state before that write.
pub struct Store {
    pub(super) settings: Settings,
    /// Locked before `catalog`, and held across plan, commit and application, so that changes are
    /// serialized.
    writer: Mutex<Writer>,
    catalog: RwLock<Catalog>,
    pub(super) sessions: Arc<Sessions>,
    retry_waits: Mutex<RetryWaits>,
    damaged: RwLock<Arc<[Damaged]>>,
}

struct Writer {
    storage: Box<dyn Storage>,
    poisoned: bool,
    /// Why the last write, or the last attempt to reopen the store, failed.
    failure: Option<String>,
    observer: Option<Box<dyn RootObserver>>,
    /// The uses whose roots the observer could not handle.
    behind: Vec<RootUse>,
}

impl Store {
    /// Opens a store on the records in `storage`.
    ///
    /// # Errors
    /// [`StorageError`] if nothing can be read.
    pub fn with_storage(mut storage: impl Storage, settings: Settings) -> Result<Self, StorageError> {
        let (catalog, damaged) = record::read_all(storage.load()?);
        for record in &damaged {
            tracing::error!(cause = record.source, "{record}");
        }
        Ok(Self {
            settings,
            writer: Mutex::new(Writer {
                storage: Box::new(storage),
                poisoned: false,
                failure: None,
                observer: None,
                behind: Vec::new(),
            }),
            catalog: RwLock::new(catalog),
            sessions: Arc::default(),
            retry_waits: Mutex::default(),
            damaged: RwLock::new(damaged.into()),
        })
    }

    /// Reopens the store after a failed write, in place: sessions and handles stay valid, and no
    /// other process can open the file meanwhile. The store then has the state before the failed
    /// change or the state after it, depending on the disk. A key whose announcement failed is
    /// condemned. Does nothing if no write has failed. Blocks on the disk.
    ///
    /// Success means that a commit has succeeded: there is room again.
    ///
    /// # Errors
    /// [`StorageError`]. The store is then unchanged, and the call may be retried.
    pub fn reopen(&self) -> Result<(), StorageError> {
        let mut writer = self.write();
        if writer.failure.is_none() {
            return Ok(());
        }
        // Also if this panics.
        writer.poisoned = true;
        match self.reopen_storage(&mut writer) {
            Ok(()) => {
                writer.poisoned = false;
                writer.failure = None;
                self.tell_observer(&mut writer, &RootUse::ALL);
                Ok(())
            }
            Err(error) => {
                writer.failure = Some(causes(&error).to_string());
                Err(error)
            }
        }
    }

    /// Why the last write failed, with its causes. `None` if writes succeed. [`Store::reopen`] is
    /// the way to recover. Waits for a change that is under way.
    pub fn write_failure(&self) -> Option<String> {
        self.write().failure.clone()
    }

    fn reopen_storage(&self, writer: &mut Writer) -> Result<(), StorageError> {
        writer.storage.reopen()?;
        let (mut catalog, damaged) = record::read_all(writer.storage.load()?);
        let mut transitions = Vec::new();
        {
            // Their announcement failed, so the caller generates no keys for them.
            let known = self.read();
            let unknown = |pending: &&Pending| known.pending.iter().all(|known| known.id != pending.id);
            for pending in catalog.pending.iter().filter(unknown) {
                if let Ok((_, drops)) = catalog.plan_drop(pending.id) {
                    transitions.extend(drops);
                }
            }
        }
        // There is always a write, as the proof that writes succeed.
        transitions.push(Transition::Next(catalog.next));
        let changes = transitions.iter().map(record::write).collect::<Result<Vec<_>, _>>()?;
        writer.storage.commit(&changes)?;
        for transition in transitions {
            catalog.apply(transition);
        }
        for record in &damaged {
            tracing::error!(cause = record.source, "{record}");
        }
        *self.damaged.write().unwrap_or_else(PoisonError::into_inner) = damaged.into();
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = catalog;
        Ok(())
    }

    /// Passes the roots of each use to `observer`, and from then on every change of them. A use for
    /// which the observer fails is retried later.
    pub(crate) fn observe(&self, mut observer: Box<dyn RootObserver>) -> Result<(), TrustError> {
        let mut writer = self.write();
        let mut first_failure = Ok(());
        for use_ in RootUse::ALL {
            if let Err(error) = observer.handle_roots(use_, &self.read().root_certificates(use_)) {
                writer.behind.push(use_);
                first_failure = first_failure.and(Err(error));
            }
        }
        writer.observer = Some(observer);
        first_failure
    }

    /// The records that were found damaged when the store was opened. They are missing from all
    /// other results.
    pub fn damaged(&self) -> Arc<[Damaged]> {
        Arc::clone(&self.damaged.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Plans a change, makes it durable, and applies it, in this order and one change at a time.
    pub(super) fn change<T, E: From<StorageError>>(
        &self,
        plan: impl FnOnce(&Catalog) -> Result<(T, Vec<Transition>), E>,
    ) -> Result<T, E> {
        let mut writer = self.write();
        let (value, transitions) = plan(&self.read())?;
        if transitions.is_empty() {
            return Ok(value);
        }
        if writer.poisoned {
            return Err(StorageError::Poisoned.into());
        }
        let changes = transitions.iter().map(record::write).collect::<Result<Vec<_>, _>>()?;
        // Set before the commit: a storage that panics also leaves the store poisoned.
        writer.poisoned = true;
        writer.failure = Some("the storage panicked".to_owned());
        let committed = writer.storage.commit(&changes).inspect_err(|error| {
            tracing::error!(error = %causes(&error), "a change was not kept");
        });
        // If no write could begin, nothing is uncertain.
        writer.poisoned = !matches!(committed, Ok(()) | Err(StorageError::ReadOnly));
        writer.failure = committed.as_ref().err().map(|error| causes(error).to_string());
        committed?;
        let touched: Vec<RootUse> = transitions.iter().filter_map(Transition::root_use).collect();
        {
            let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
            for transition in transitions {
                catalog.apply(transition);
            }
        }
        self.tell_observer(&mut writer, &touched);
        Ok(value)
    }

    /// Passes the roots of `uses` to the observer, and those that it could not handle before.
    fn tell_observer(&self, writer: &mut Writer, uses: &[RootUse]) -> bool {
        let Writer { observer: Some(observer), behind, .. } = writer else { return true };
        let due = RootUse::ALL.into_iter().filter(|use_| uses.contains(use_) || behind.contains(use_));
        let due: Vec<RootUse> = due.collect();
        let before = std::mem::take(behind);
        for use_ in due {
            if let Err(error) = observer.handle_roots(use_, &self.read().root_certificates(use_)) {
                if !before.contains(&use_) {
                    tracing::error!(error = %causes(&error), "a trust bundle still has old roots");
                }
                behind.push(use_);
            }
        }
        behind.is_empty()
    }

    /// Retries the uses that the observer could not handle. Returns false if it still fails.
    pub(crate) fn retry_observer(&self) -> bool {
        self.tell_observer(&mut self.write(), &[])
    }

    /// A thread that panicked in a plan or in the storage changed nothing in memory, so its lock
    /// can be taken over. `poisoned` shows whether the content of the disk is known.
    fn write(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locked after `catalog`: a thread that holds this lock never locks `catalog`.
    pub(super) fn retry_waits(&self) -> MutexGuard<'_, RetryWaits> {
        self.retry_waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hash_algorithm(&self) -> HashAlgorithm {
        self.settings.hash_algorithm
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Store").field("settings", &self.settings).finish_non_exhaustive()
    }
}
