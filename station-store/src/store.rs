//! The store: catalog, rules and storage put together.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use rustls_pki_types::CertificateDer;

use crate::catalog::{Catalog, Deletion, NoRoom, RootUse, Transition};
use crate::certificate::Certificate;
use crate::chain::{self, ChainRefused, Expected};
use crate::hash::{CertificateHash, CertificateId};
use crate::pending::{
    CertificateSigningUse, Match, NewPending, Own, OwnCertificate, OwnId, OwnState, PendingCsr, PendingError,
    PendingId,
};
use crate::record;
use crate::rules::{RootRefused, root_from_pem};
use crate::settings::Settings;
use crate::storage::{Damaged, Storage, StorageError};

/// A charging station's inventory of certificates and of its own keys' names.
///
/// Every method that changes something returns after the change is durable, and blocks until then: in asynchronous code it
/// belongs on a thread that may block. Methods that only read are answered from memory and never wait for the disk.
///
/// Invariant: a certificate that was accepted is listed, and one that is listed can be deleted, across any crash.
///
/// After a write has failed, every further one fails with [`StorageError::Poisoned`] until the store is opened anew, because
/// what the disk holds is uncertain; reading goes on with the state before that write.
pub struct Store {
    settings: Settings,
    /// Taken before `catalog`, and held across plan, commit and application, so that changes follow one another.
    writer: Mutex<Writer>,
    catalog: RwLock<Catalog>,
    damaged: Vec<Damaged>,
}

struct Writer {
    storage: Box<dyn Storage>,
    poisoned: bool,
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
            writer: Mutex::new(Writer { storage: Box::new(storage), poisoned: false }),
            catalog: RwLock::new(catalog),
            damaged,
        })
    }

    /// Installs a root certificate that does not come from the CSMS: at the factory, or by an installer.
    ///
    /// The same rules hold as for InstallCertificate. A certificate that is installed already is replaced.
    ///
    /// # Errors
    /// [`InstallError`]; nothing is changed then, save that after [`InstallError::Storage`] it is uncertain.
    pub fn provision_root(
        &self,
        use_: impl Into<RootUse>,
        pem: &str,
        now: SystemTime,
    ) -> Result<CertificateHash, InstallError> {
        let root =
            root_from_pem(pem, now, self.settings.skew).map_err(|source| InstallError::Refused { source })?;
        let hash = CertificateId::of_root(&root).hash(self.settings.hash_algorithm);
        let use_ = use_.into();
        self.change(|catalog| {
            let transitions = catalog
                .plan_install(use_, root, self.settings.max_entries)
                .map_err(|NoRoom { max }| InstallError::NoRoom { max })?;
            Ok((hash, transitions))
        })
    }

    /// Deletes the certificate that `hash` names, for every use for which it is installed; returns for how many.
    ///
    /// # Errors
    /// [`DeleteError`]
    pub fn delete_by_hash(&self, hash: &CertificateHash) -> Result<usize, DeleteError> {
        self.change(|catalog| match catalog.plan_delete(hash) {
            Deletion::Roots(transitions) => Ok((transitions.len(), transitions)),
            Deletion::Own => Err(DeleteError::Own),
            Deletion::NotFound => Err(DeleteError::NotFound),
        })
    }

    /// The hash data of the roots installed for one of `uses`.
    pub fn installed(&self, uses: &[RootUse]) -> Vec<(RootUse, CertificateHash)> {
        let algorithm = self.settings.hash_algorithm;
        self.read().roots_for(uses).map(|root| (root.use_, root.id.hash(algorithm))).collect()
    }

    /// The roots installed for `use_`, the earliest installed first. Expired ones are among them.
    pub fn roots(&self, use_: impl Into<RootUse>) -> Vec<CertificateDer<'static>> {
        let uses = [use_.into()];
        self.read().roots_for(&uses).map(|root| root.certificate.to_certificate_der()).collect()
    }

    /// How many root certificates are installed: the value of `SecurityCtrlr.CertificateEntries`.
    pub fn entries(&self) -> usize {
        self.read().roots.len()
    }

    /// The records that were found damaged when the store was opened. They are left out of everything else.
    pub fn damaged(&self) -> &[Damaged] {
        &self.damaged
    }

    /// Writes down a key that is about to be generated in the token, so that no crash can orphan it.
    ///
    /// # Errors
    /// [`PendingError`]; the key must not be generated then.
    pub fn begin_pending(&self, new: &NewPending) -> Result<PendingId, PendingError> {
        self.change(|catalog| catalog.plan_begin(new))
    }

    /// Adds to a pending key its public key and CSR, which can be sent from then on. The same again changes nothing.
    ///
    /// # Errors
    /// [`PendingError`]
    pub fn complete_pending(
        &self,
        id: PendingId,
        spki_der: &[u8],
        csr_pem: &str,
    ) -> Result<(), PendingError> {
        self.change(|catalog| Ok(((), catalog.plan_complete(id, spki_der, csr_pem)?)))
    }

    /// The keys that wait for a certificate, oldest first.
    pub fn pending(&self) -> Vec<PendingCsr> {
        self.read().pending.iter().map(PendingCsr::from).collect()
    }

    /// Gives a pending key up. Returns the name of the key, to be destroyed in the token; until
    /// [`Store::key_destroyed`] it is among [`Store::condemned_keys`].
    ///
    /// # Errors
    /// [`PendingError`]
    pub fn drop_pending(&self, id: PendingId) -> Result<String, PendingError> {
        self.change(|catalog| catalog.plan_drop(id))
    }

    /// The station's own certificates, newest first.
    pub fn own_certificates(&self) -> Vec<OwnCertificate> {
        self.read().own.iter().map(OwnCertificate::from).collect()
    }

    /// Keeps the own certificate with which the station has connected, and discards the others of its use (A02.FR.10).
    ///
    /// Returns the names of the keys to be destroyed in the token; until [`Store::key_destroyed`] they are among
    /// [`Store::condemned_keys`]. Calling it again changes nothing.
    ///
    /// # Errors
    /// [`PendingError`]
    pub fn confirm_own(&self, id: OwnId) -> Result<Vec<String>, PendingError> {
        self.change(|catalog| catalog.plan_confirm(id))
    }

    /// The names of the keys that remain to be destroyed in the token. After a crash, go on here.
    pub fn condemned_keys(&self) -> Vec<String> {
        self.read().condemned.iter().cloned().collect()
    }

    /// Forgets a condemned key, which the token no longer holds. A key that is not condemned is left alone.
    ///
    /// # Errors
    /// [`StorageError`]
    pub fn key_destroyed(&self, key_uri: &str) -> Result<(), StorageError> {
        self.change(|catalog| Ok(((), catalog.plan_forget(key_uri))))
    }

    /// Takes in a chain that the CSMS had signed for a pending key.
    pub(crate) fn take_signed(
        &self,
        pem: &str,
        use_: CertificateSigningUse,
        now: SystemTime,
    ) -> Result<Signed, SignedError> {
        let refused = |source| SignedError::Refused { source };
        let chain = chain::read(pem, self.settings.max_chain_size).map_err(refused)?;
        self.change(|catalog| {
            let found = catalog.match_signed(&chain, use_).map_err(refused)?;
            let uses = [RootUse::Csms];
            let roots: Vec<&Certificate> = catalog.roots_for(&uses).map(|root| &root.certificate).collect();
            let expected = Expected {
                roots: &roots,
                now,
                skew: self.settings.skew,
                serial_number: &self.settings.serial_number,
                organization: self.settings.organization.as_deref(),
            };
            // Also what was accepted before: it may have expired since, and its root may have been deleted.
            let verified = chain::verify(chain, &expected).map_err(refused)?;
            let (key_uri, use_, pending) = match found {
                Match::Known(own) if own.state == OwnState::InUse => {
                    return Ok((Signed::AlreadyInUse, Vec::new()));
                }
                Match::Known(own) => return Ok((Signed::Renewed(own), Vec::new())),
                Match::New { key_uri, use_, pending } => (key_uri, use_, pending),
            };
            let (own, transitions) =
                catalog.plan_renew(verified, key_uri, use_, pending).map_err(|_| SignedError::NoRoom)?;
            Ok((Signed::Renewed(own), transitions))
        })
    }

    /// Plans a change, makes it durable, applies it; in this order, and one change at a time.
    fn change<T, E: From<StorageError>>(
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
        writer.storage.commit(&changes).inspect_err(|error| {
            tracing::error!(%error, cause = std::error::Error::source(error), "a change was not kept");
        })?;
        writer.poisoned = false;
        let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        for transition in transitions {
            catalog.apply(transition);
        }
        Ok(value)
    }

    /// A thread that panicked in a plan or in the storage changed nothing in memory, so its lock can be taken over;
    /// `poisoned` tells whether the disk is certain.
    fn write(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Store").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What became of a signed chain.
#[derive(Debug)]
pub(crate) enum Signed {
    /// It is kept, and the station should connect with it.
    Renewed(Own),
    /// The station is connected with it already.
    AlreadyInUse,
}

/// Why a root certificate was not installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The certificate is invalid (M05.FR.07).
    #[error("the certificate is not accepted as a root")]
    Refused {
        /// What is wrong with it.
        #[source]
        source: RootRefused,
    },
    /// The store is full (M05.FR.06).
    #[error("{max} certificates are installed, which is the most; delete one first (M05.FR.06)")]
    NoRoom {
        /// `CertificateEntries.maxLimit`.
        max: usize,
    },
    /// The disk failed (M05.FR.03).
    #[error("the certificate could not be stored")]
    Storage {
        /// How.
        #[source]
        source: StorageError,
    },
}

/// Why a certificate was not deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeleteError {
    /// Nothing with this hash is installed (M04.FR.04).
    #[error("no installed certificate has this hash")]
    NotFound,
    /// It is the station's own (M04.FR.06).
    #[error("the station's own certificate is not deleted on request (M04.FR.06)")]
    Own,
    /// The disk failed (M04.FR.03).
    #[error("the deletion could not be stored")]
    Storage {
        /// How.
        #[source]
        source: StorageError,
    },
}

/// Why a signed chain was not taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignedError {
    #[error("the certificate is not accepted as the station's own")]
    Refused {
        #[source]
        source: ChainRefused,
    },
    #[error("too many own certificates wait to be connected with; connect with one first")]
    NoRoom,
    #[error("the certificate could not be stored")]
    Storage {
        #[source]
        source: StorageError,
    },
}

impl From<StorageError> for InstallError {
    fn from(source: StorageError) -> Self {
        Self::Storage { source }
    }
}

impl From<StorageError> for DeleteError {
    fn from(source: StorageError) -> Self {
        Self::Storage { source }
    }
}

impl From<StorageError> for SignedError {
    fn from(source: StorageError) -> Self {
        Self::Storage { source }
    }
}
