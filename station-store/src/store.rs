//! The store: catalog, rules and storage put together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use certificates::ocsp::CertificateStatus;
use certificates::{Certificate, CertificateId, HashAlgorithm, HashData, UnixSeconds};
use program::causes;
use rustls_pki_types::CertificateDer;

use crate::catalog::{Catalog, Root, RootUse, Standing, Transition};
use crate::chain::{self, Expected};
use crate::leaf::Names;
use crate::ocsp::{OcspAnswer, OcspDue, OcspError, Patience};
use crate::outcome::{DeleteError, InstallError, Signed, SignedError, TrustError};
use crate::own::{Own, OwnCertificate, OwnId, OwnState};
use crate::pending::{
    Answered, CertificateSigningUse, Match, NewPending, Pending, PendingCsr, PendingError, PendingId,
    SendNote,
};
use crate::record;
use crate::roots::{Deletion, NoRoom};
use crate::rules::{self, RootRefused};
use crate::session::{Session, Sessions};
use crate::settings::{AdditionalRootCheck, RootInUse, Settings};
use crate::storage::{Damaged, Storage, StorageError};

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
    settings: Settings,
    /// Taken before `catalog`, and held across plan, commit and application, so that changes follow
    /// one another.
    writer: Mutex<Writer>,
    catalog: RwLock<Catalog>,
    sessions: Arc<Sessions>,
    patience: Mutex<Patience>,
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

/// Someone who wants to know the roots that are trusted, after each change of them.
pub(crate) trait RootObserver: Send {
    /// The roots for `use_` are `roots` now, and durable. To fail does not undo that; it is tried
    /// again with the next change.
    fn handle_roots(&mut self, use_: RootUse, roots: &[&Certificate]) -> Result<(), TrustError>;
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
            patience: Mutex::default(),
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
            // Whoever announced them was told that they are not kept, and makes no key for them.
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
            if let Err(error) = observer.handle_roots(use_, &certificates(&self.read(), use_)) {
                writer.behind.push(use_);
                first_failure = first_failure.and(Err(error));
            }
        }
        writer.observer = Some(observer);
        first_failure
    }

    /// Installs a root certificate that does not come from the CSMS: at the factory, or by an
    /// installer.
    ///
    /// The same rules hold as for InstallCertificate. A certificate that is installed already is
    /// replaced.
    ///
    /// # Errors
    /// [`InstallError`]; nothing is changed then, save that after [`InstallError::Storage`] it is
    /// uncertain.
    pub fn provision_root(
        &self,
        use_: impl Into<RootUse>,
        pem: &str,
        now: SystemTime,
    ) -> Result<HashData, InstallError> {
        let now = UnixSeconds::from(now);
        let refused = |source| InstallError::Refused { source };
        let no_room = |NoRoom { max }| InstallError::NoRoom { max };
        let skew = self.settings.skew;
        let root = rules::read(pem, now, skew).map_err(refused)?;
        let use_ = use_.into();
        let algorithm = self.settings.hash_algorithm;
        self.change(|catalog| {
            let trusted = |root: &&Root| root.standing == Standing::Trusted;
            let csms: Vec<&Root> = catalog.roots_for(&[RootUse::Csms]).filter(trusted).collect();
            // M05.FR.09; M05.FR.17 where it is installed already.
            let checked = use_ == RootUse::Csms
                && self.settings.additional_root_check == AdditionalRootCheck::On
                && !csms.is_empty()
                && !csms.iter().any(|known| known.certificate == root);
            if !checked {
                // Installed again, also a root that the one before it signed stays what it is.
                let known =
                    catalog.roots_for(std::slice::from_ref(&use_)).find(|known| known.certificate == root);
                let issuer_key = known.and_then(|known| known.issuer_key.clone());
                if issuer_key.is_none() {
                    rules::check_self_signed(&root).map_err(refused)?;
                }
                let issuer = issuer_key.as_deref().unwrap_or(root.public_key());
                let hash = CertificateId::new(&root, issuer).hash_data(algorithm);
                let transitions =
                    catalog.plan_install(use_, root, issuer_key, &self.settings).map_err(no_room)?;
                return Ok((hash, transitions));
            }
            // M05.FR.10, .11
            let mut reason = RootRefused::NotSignedByOldRoot;
            let signer = csms.into_iter().find(|old| {
                let checked = rules::check_signed_by(&root, &old.certificate, now, skew);
                checked.map_err(|error| reason = error).is_ok()
            });
            let signer = signer.ok_or(refused(reason))?;
            let hash = CertificateId::new(&root, signer.certificate.public_key()).hash_data(algorithm);
            let transitions = catalog.plan_rotate(root, signer, &self.settings).map_err(no_room)?;
            Ok((hash, transitions))
        })
    }

    /// Deletes the certificate that `hash` names, for every use for which it is installed; returns
    /// how many entries of the inventory went.
    ///
    /// The keys of V2G chains that go with it are among [`Store::condemned_keys`] then.
    ///
    /// # Errors
    /// [`DeleteError`]
    pub fn delete_by_hash(&self, hash: &HashData) -> Result<usize, DeleteError> {
        self.delete_unless_in_use(hash, RootInUse::Delete)
    }

    /// As [`Store::delete_by_hash`]; `of_version` is what OCPP wants of a root in use where the
    /// settings do not say.
    pub(crate) fn delete_unless_in_use(
        &self,
        hash: &HashData,
        of_version: RootInUse,
    ) -> Result<usize, DeleteError> {
        let policy = match self.settings.root_in_use {
            RootInUse::AsVersionSays => of_version,
            decided => decided,
        };
        let kept = (policy == RootInUse::Keep).then(|| self.sessions.roots());
        let last = self.settings.last_csms_root;
        self.change(|catalog| match catalog.plan_delete(hash, kept.as_deref()) {
            Deletion::Found { .. } if last.keeps(catalog, hash) => Err(DeleteError::LastCsmsRoot),
            Deletion::Found { entries, transitions } => Ok((entries, transitions)),
            Deletion::Own => Err(DeleteError::Own),
            Deletion::InUse => Err(DeleteError::InUse),
            Deletion::NotFound => Err(DeleteError::NotFound),
        })
    }

    /// The hash data of the roots installed for one of `uses`.
    pub fn installed(&self, uses: &[RootUse]) -> Vec<(RootUse, HashData)> {
        let algorithm = self.settings.hash_algorithm;
        self.read().roots_for(uses).map(|root| (root.use_, root.id.hash_data(algorithm))).collect()
    }

    /// The hash data of the certificates that vehicles see, a list for each chain: the leaf, then
    /// its sub-CAs, nearest first.
    pub fn installed_chains(&self) -> Vec<Vec<HashData>> {
        let algorithm = self.settings.hash_algorithm;
        let catalog = self.read();
        let listed = catalog.own.iter().map(Own::listed).filter(|chain| !chain.is_empty());
        listed.map(|chain| chain.iter().map(|id| id.hash_data(algorithm)).collect()).collect()
    }

    /// The roots that are trusted for `use_`, the earliest installed first. Expired ones are among
    /// them; the fallback is not ([`Store::fallback_root`]).
    pub fn roots(&self, use_: impl Into<RootUse>) -> Vec<CertificateDer<'static>> {
        let uses = [use_.into()];
        let catalog = self.read();
        let trusted = catalog.roots_for(&uses).filter(|root| root.standing == Standing::Trusted);
        trusted.map(|root| root.certificate.to_certificate_der()).collect()
    }

    /// The CSMS root before the present one, until a connection has proved that (M05.FR.12, .13):
    /// what to rely on where a connection fails with [`Store::roots`] (M05.FR.14, .16).
    pub fn fallback_root(&self) -> Option<CertificateDer<'static>> {
        let catalog = self.read();
        let mut roots = catalog.roots_for(&[RootUse::Csms]);
        roots
            .find(|root| root.standing == Standing::Fallback)
            .map(|root| root.certificate.to_certificate_der())
    }

    /// A connection to the CSMS stands, whose certificate was proved by the CSMS root `root`.
    ///
    /// Keep the [`Session`] as long as the connection: until then the root is in use, and OCPP 1.6
    /// forbids to delete it. If `root` is the present one, the fallback root goes (M05.FR.13,
    /// TC_M_30); if it is the fallback, both stay (TC_M_31).
    ///
    /// # Errors
    /// [`StorageError`]; the session counts all the same.
    pub fn session(&self, root: &CertificateDer<'_>) -> (Session, Result<(), StorageError>) {
        let session = self.sessions.begin(root.as_ref());
        (session, self.change(|catalog| Ok(((), catalog.plan_connected(root)))))
    }

    /// How many root certificates are installed: the value of `SecurityCtrlr.CertificateEntries`. A
    /// fallback root counts, for it is listed; the station's own certificates do not.
    pub fn entries(&self) -> usize {
        self.read().roots.len()
    }

    /// The records that were found damaged when the store was opened. They are left out of
    /// everything else.
    pub fn damaged(&self) -> Arc<[Damaged]> {
        Arc::clone(&self.damaged.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes down a key that is about to be generated in the token, so that no crash can orphan
    /// it.
    ///
    /// # Errors
    /// [`PendingError`]; the key must not be generated then.
    pub fn begin_pending(&self, new: &NewPending) -> Result<PendingId, PendingError> {
        self.change(|catalog| catalog.plan_begin(new))
    }

    /// Adds to a pending key its public key and CSR, which can be sent from then on. The same again
    /// changes nothing.
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

    /// Gives a key that was announced and never completed another name, after a restart: the token
    /// may still be making the key that the process before asked for. The name before is among
    /// [`Store::condemned_keys`] then.
    ///
    /// # Errors
    /// [`PendingError`]
    pub fn rename_pending(&self, id: PendingId, key_uri: &str) -> Result<(), PendingError> {
        self.change(|catalog| Ok(((), catalog.plan_rename(id, key_uri)?)))
    }

    /// Notes that the CSR of a pending key is about to be sent, so that a restart sends it neither
    /// too early nor too often (A02.FR.17–19).
    ///
    /// # Errors
    /// [`PendingError`]; it must not be sent then.
    pub fn note_send(&self, id: PendingId, note: SendNote) -> Result<(), PendingError> {
        self.change(|catalog| Ok(((), catalog.plan_note(id, note)?)))
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

    /// The station's certificates for the connection to its CSMS, newest first.
    pub fn own_certificates(&self) -> Vec<OwnCertificate> {
        self.read().own.iter().filter(|own| own.use_.connects()).map(OwnCertificate::from).collect()
    }

    /// The station's certificates for vehicles, the one to prefer first: by A02.FR.15 the newest by
    /// notBefore, of those that are valid at `now`; after them those that are not. Which of them
    /// serves a vehicle depends on the roots that the vehicle names, on the SECC and on the edition
    /// of ISO 15118.
    pub fn vehicle_certificates(&self, now: SystemTime) -> Vec<OwnCertificate> {
        let now = UnixSeconds::from(now);
        let catalog = self.read();
        let mut own: Vec<&Own> = catalog.own.iter().filter(|own| own.use_.is_for_vehicles()).collect();
        own.sort_by_key(|own| {
            let leaf = &own.chain[0];
            let valid = leaf.not_before() <= now && now <= leaf.not_after();
            (std::cmp::Reverse(valid), std::cmp::Reverse(leaf.not_before()), std::cmp::Reverse(own.id))
        });
        own.into_iter().map(OwnCertificate::from).collect()
    }

    /// Keeps the own certificate with which the station has connected, and discards the others for
    /// the connection (A02.FR.10).
    ///
    /// Returns the names of the keys to be destroyed in the token; until [`Store::key_destroyed`]
    /// they are among [`Store::condemned_keys`]. Calling it again changes nothing.
    ///
    /// # Errors
    /// [`PendingError`]
    pub fn confirm_own(&self, id: OwnId) -> Result<Vec<String>, PendingError> {
        self.confirm_own_of(id, OwnId(u64::MAX))
    }

    /// As [`Store::confirm_own`], of a station that had to choose when `newest` was its newest
    /// certificate: one that has come since is not discarded, for it was never tried.
    ///
    /// # Errors
    /// [`PendingError`]
    pub fn confirm_own_of(&self, id: OwnId, newest: OwnId) -> Result<Vec<String>, PendingError> {
        self.change(|catalog| catalog.plan_confirm(id, newest))
    }

    /// The names of the keys that remain to be destroyed in the token. After a crash, go on here.
    pub fn condemned_keys(&self) -> Vec<String> {
        self.read().condemned.iter().cloned().collect()
    }

    /// Forgets a condemned key, which the token no longer holds. A key that is not condemned is
    /// left alone.
    ///
    /// # Errors
    /// [`StorageError`]
    pub fn key_destroyed(&self, key_uri: &str) -> Result<(), StorageError> {
        self.change(|catalog| Ok(((), catalog.plan_forget(key_uri))))
    }

    /// The certificates whose revocation status is to be asked for with GetCertificateStatus
    /// (M06.FR.06, .07, .10): leaf and sub-CAs of each V2G chain, at once after they came, then
    /// weekly, and earlier where the last answer ends earlier. A certificate that names no OCSP
    /// responder is left out, and so is one about which nothing could be learnt lately
    /// ([`Store::ocsp_failed`]).
    pub fn ocsp_due(&self, now: SystemTime) -> Vec<OcspDue> {
        self.read().ocsp_due(now, &self.settings, &self.patience())
    }

    /// GetCertificateStatus brought no answer about this certificate: it was `Failed` (TC_M_25), or
    /// the CSMS did not reply. What was known of it stays. It is due again after a minute, and
    /// after each further failure in twice the time, at most a day; after a restart at once.
    pub fn ocsp_failed(&self, hash: &HashData, now: SystemTime) {
        let catalog = self.read();
        if let Some(fingerprint) = catalog.ocsp_fingerprint(hash) {
            self.patience().note(fingerprint, now, |name| catalog.has_ocsp_fingerprint(name));
        }
    }

    /// Takes the answer to a request that was due: `ocspResult`, base64 of an OCSPResponse. It is
    /// kept if it is valid by RFC 6960, 3.2, whatever it says of the certificate. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// [`OcspError`]; the certificate stays due, and it counts as a failure
    /// ([`Store::ocsp_failed`]).
    pub fn ocsp_answered(
        &self,
        hash: &HashData,
        ocsp_result: &str,
        now: SystemTime,
    ) -> Result<CertificateStatus, OcspError> {
        let decoded = crate::ocsp::decode(ocsp_result);
        let answered = decoded.and_then(|response| {
            self.change(|catalog| catalog.plan_ocsp(hash, &response, now.into(), self.settings.skew))
        });
        match &answered {
            Ok(_) => {
                if let Some(fingerprint) = self.read().ocsp_fingerprint(hash) {
                    self.patience().forget(&fingerprint);
                }
            }
            // A disk that fails is not spared by asking the responder every minute.
            Err(_) => self.ocsp_failed(hash, now),
        }
        answered
    }

    /// The OCSP answers for each certificate of an own chain, leaf first; `None` where none holds
    /// at `now`.
    pub fn ocsp_answers(&self, id: OwnId, now: SystemTime) -> Vec<Option<OcspAnswer>> {
        self.read().ocsp_answers(id, now.into(), self.settings.skew)
    }

    /// Takes in a chain that the CSMS had signed for a pending key.
    pub(crate) fn take_signed(
        &self,
        pem: &str,
        answered: Answered,
        now: SystemTime,
    ) -> Result<Signed, SignedError> {
        let refused = |source| SignedError::Refused { source };
        let chain = chain::read(pem, self.settings.max_chain_size).map_err(refused)?;
        self.change(|catalog| {
            let found = catalog.match_signed(&chain, answered).map_err(refused)?;
            let (use_, subject) = match &found {
                Match::Known(own) => (own.use_, own.subject()),
                Match::New { use_, subject, .. } => (*use_, subject.clone()),
            };
            let roots = |use_| certificates(catalog, use_);
            let default_organization =
                if use_.connects() { self.settings.organization.as_deref() } else { None };
            // Where the key has a certificate already, that one says which it is: it may have
            // served the connection before.
            let is_first = matches!(&found, Match::New { pending: Some(_), .. });
            let secc = is_first && use_ == CertificateSigningUse::V2g;
            let default_component = if secc { self.settings.domain_component.required() } else { None };
            let names = Names {
                common_name: subject.common_name.as_deref().unwrap_or(&self.settings.serial_number),
                organization: subject.organization.as_deref().or(default_organization),
                country: subject.country.as_deref(),
                domain_component: subject.domain_component.as_deref().or(default_component),
            };
            let expected = Expected { use_, roots: &roots, now: now.into(), skew: self.settings.skew, names };
            // Also what was accepted before: it may have expired since, and its root may have been
            // deleted.
            let verified = chain::verify(chain, &expected).map_err(refused)?;
            let (key_uri, request_id, pending) = match found {
                Match::Known(own) if own.state == OwnState::InUse => {
                    return Ok((Signed::AlreadyInUse, Vec::new()));
                }
                Match::Known(own) => return Ok((Signed::Renewed(own), Vec::new())),
                Match::New { key_uri, request_id, pending, .. } => (key_uri, request_id, pending),
            };
            let (own, transitions) = catalog
                .plan_renew(verified, key_uri, use_, request_id, pending)
                .map_err(|_| SignedError::NoRoom)?;
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
            if let Err(error) = observer.handle_roots(use_, &certificates(&self.read(), use_)) {
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
    /// can be taken over; `poisoned` tells whether the disk is certain.
    fn write(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Taken after `catalog`, never held while that is taken.
    fn patience(&self) -> MutexGuard<'_, Patience> {
        self.patience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hash_algorithm(&self) -> HashAlgorithm {
        self.settings.hash_algorithm
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The roots for `use_`, a fallback among them.
fn certificates(catalog: &Catalog, use_: RootUse) -> Vec<&Certificate> {
    catalog.roots.iter().filter(|root| root.use_ == use_).map(|root| &root.certificate).collect()
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Store").field("settings", &self.settings).finish_non_exhaustive()
    }
}
