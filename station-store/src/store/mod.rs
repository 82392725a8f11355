//! The store: catalog, rules and storage put together.

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

/// A charging station's inventory of certificates and of its own keys' names.
///
/// Every method that changes something returns after the change is durable, and blocks until then:
/// in asynchronous code it belongs on a thread that may block. Methods that only read are answered
/// from memory and never wait for the disk.
///
/// Invariant: a certificate that was accepted is listed, and one that is listed can be deleted,
/// across any crash.
///
/// After a write has failed, every further one fails with [`StorageError::Poisoned`] until the
/// store is opened again ([`Store::reopen`]), because what the disk holds is uncertain; reading
/// goes on with the state before that write.
pub struct Store {
    pub(super) settings: Settings,
    /// Taken before `catalog`, and held across plan, commit and application, so that changes follow
    /// one another.
    writer: Mutex<Writer>,
    catalog: RwLock<Catalog>,
    pub(super) sessions: Arc<Sessions>,
    retry_waits: Mutex<RetryWaits>,
    damaged: RwLock<Arc<[Damaged]>>,
}

struct Writer {
    storage: Box<dyn Storage>,
    poisoned: bool,
    /// Why the last write, or the last attempt to open the store again, failed.
    failure: Option<String>,
    observer: Option<Box<dyn RootObserver>>,
    /// The uses of which the observer could not take note.
    behind: Vec<RootUse>,
}

impl Store {
    /// Serves the records in `storage`.
    ///
    /// # Errors
    /// [`StorageError`] when nothing can be read.
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

    /// Opens the store again after a failed write, in place: sessions and handles stay valid, and
    /// no other process can open the file meanwhile. What is served afterwards is the state before
    /// the failed change or the one after it, as the disk has it; a key whose announcement failed
    /// is given up. Does nothing where no write has failed. Blocks on the disk.
    ///
    /// That it succeeds means that a commit has: there is room again.
    ///
    /// # Errors
    /// [`StorageError`]; the store is as before then, and this may be tried again.
    pub fn reopen(&self) -> Result<(), StorageError> {
        let mut writer = self.write();
        if writer.failure.is_none() {
            return Ok(());
        }
        // Also where this panics.
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

    /// Why the last write failed, with its causes; `None` where writes succeed. [`Store::reopen`]
    /// is then the way on. Waits for a change that is under way.
    pub fn write_failure(&self) -> Option<String> {
        self.write().failure.clone()
    }

    fn reopen_storage(&self, writer: &mut Writer) -> Result<(), StorageError> {
        writer.storage.reopen()?;
        let (mut catalog, damaged) = record::read_all(writer.storage.load()?);
        let mut transitions = Vec::new();
        {
            // Their announcement failed, so no key is made for them.
            let known = self.read();
            let unknown = |pending: &&Pending| known.pending.iter().all(|known| known.id != pending.id);
            for pending in catalog.pending.iter().filter(unknown) {
                if let Ok((_, drops)) = catalog.plan_drop(pending.id) {
                    transitions.extend(drops);
                }
            }
        }
        // Something is written in any case: this is the proof that it can be.
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

    /// Tells `observer` the roots of each use, and from then on what becomes of them, also where it
    /// could not take note at first.
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

    /// The records that were found damaged when the store was opened. They are left out of
    /// everything else.
    pub fn damaged(&self) -> Arc<[Damaged]> {
        Arc::clone(&self.damaged.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Plans a change, makes it durable, applies it; in this order, and one change at a time.
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
        // Set first: a storage that panics leaves the store poisoned as well.
        writer.poisoned = true;
        writer.failure = Some("the storage panicked".to_owned());
        let committed = writer.storage.commit(&changes).inspect_err(|error| {
            tracing::error!(error = %causes(&error), "a change was not kept");
        });
        // Where nothing could be begun, nothing is uncertain.
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

    /// Tells the observer the roots of `uses`, and those of which it could not take note before.
    fn tell_observer(&self, writer: &mut Writer, uses: &[RootUse]) -> bool {
        let Writer { observer: Some(observer), behind, .. } = writer else { return true };
        let due = RootUse::ALL.into_iter().filter(|use_| uses.contains(use_) || behind.contains(use_));
        let due: Vec<RootUse> = due.collect();
        let before = std::mem::take(behind);
        for use_ in due {
            if let Err(error) = observer.handle_roots(use_, &self.read().root_certificates(use_)) {
                if !before.contains(&use_) {
                    tracing::error!(error = %causes(&error), "neighbours see old roots");
                }
                behind.push(use_);
            }
        }
        behind.is_empty()
    }

    /// Tells the observer again of what it could not take note. False: it still cannot.
    pub(crate) fn retry_observer(&self) -> bool {
        self.tell_observer(&mut self.write(), &[])
    }

    /// A thread that panicked in a plan or in the storage changed nothing in memory, so its lock
    /// can be taken over; `poisoned` says whether what the disk holds is known.
    fn write(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Taken after `catalog`, never held while that is taken.
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
