//! The roots of a store: installed, deleted, in use.

use std::time::SystemTime;

use certificates::{CertificateId, HashData, UnixSeconds};
use rustls_pki_types::CertificateDer;

use crate::outcome::{DeleteError, InstallError};
use crate::roots::plan::{Deletion, NoRoom};
use crate::roots::root::{Root, Standing};
use crate::roots::rules::{self, RootRefused};
use crate::session::Session;
use crate::settings::{AdditionalRootCheck, RootInUse};
use crate::storage::StorageError;
use crate::store::Store;
use crate::uses::RootUse;

impl Store {
    /// Installs a root certificate that does not come from the CSMS: at the factory, or by an
    /// installer.
    ///
    /// The rules are those of InstallCertificate. A certificate that is already installed is
    /// replaced.
    ///
    /// # Errors
    /// [`InstallError`]. Nothing is changed then, except that the state is uncertain after
    /// [`InstallError::Storage`].
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
            // M05.FR.09; M05.FR.17 if it is already installed.
            let checked = use_ == RootUse::Csms
                && self.settings.additional_root_check == AdditionalRootCheck::On
                && !csms.is_empty()
                && !csms.iter().any(|known| known.certificate == root);
            if !checked {
                // A root that the one before it signed keeps its issuer when it is installed again.
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

    /// Deletes the certificate that `hash` names, for every use for which it is installed. Returns
    /// how many entries of the inventory were removed.
    ///
    /// The keys of V2G chains that are deleted with it are then among [`Store::condemned_keys`].
    ///
    /// # Errors
    /// [`DeleteError`]
    pub fn delete_by_hash(&self, hash: &HashData) -> Result<usize, DeleteError> {
        self.delete_unless_in_use(hash, RootInUse::Delete)
    }

    /// Like [`Store::delete_by_hash`]. `of_version` is the rule of OCPP for a root in use; it
    /// applies if the settings have no rule.
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

    /// The roots that are trusted for `use_`, the one installed first before the others. Expired
    /// ones are among them; the fallback is not ([`Store::fallback_root`]).
    pub fn roots(&self, use_: impl Into<RootUse>) -> Vec<CertificateDer<'static>> {
        let uses = [use_.into()];
        let catalog = self.read();
        let trusted = catalog.roots_for(&uses).filter(|root| root.standing == Standing::Trusted);
        trusted.map(|root| root.certificate.to_certificate_der()).collect()
    }

    /// The CSMS root before the present one, until a connection has proved the present one
    /// (M05.FR.12, .13). Rely on it if a connection with [`Store::roots`] fails (M05.FR.14, .16).
    pub fn fallback_root(&self) -> Option<CertificateDer<'static>> {
        let catalog = self.read();
        let mut roots = catalog.roots_for(&[RootUse::Csms]);
        roots
            .find(|root| root.standing == Standing::Fallback)
            .map(|root| root.certificate.to_certificate_der())
    }

    /// A connection to the CSMS is up, and the CSMS root `root` proved the CSMS's certificate.
    ///
    /// Keep the [`Session`] as long as the connection: until the session is dropped the root is in
    /// use, and OCPP 1.6 forbids its deletion. If `root` is the present root, the fallback root is
    /// removed (M05.FR.13, TC_M_30). If it is the fallback, both stay (TC_M_31).
    ///
    /// # Errors
    /// [`StorageError`]. The session is valid nevertheless.
    pub fn session(&self, root: &CertificateDer<'_>) -> (Session, Result<(), StorageError>) {
        let session = self.sessions.begin(root.as_ref());
        (session, self.change(|catalog| Ok(((), catalog.plan_connected(root)))))
    }
}
