//! Plans that change the installed roots: install, replace, rotate with a fallback, delete.

use certificates::{Certificate, HashData};

use crate::catalog::{Catalog, Transition};
use crate::roots::root::{Root, Standing};
use crate::settings::{LastCsmsRoot, Settings};
use crate::uses::RootUse;

/// The result of [`Catalog::plan_delete`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// The transitions of the deletion, and the number of inventory entries that it removes.
    Found { entries: usize, transitions: Vec<Transition> },
    /// One of the station's own certificates, or a certificate of its chain.
    Own,
    /// A CSMS root on which the connection relies, and which must be kept.
    InUse,
    /// No certificate has this hash.
    NotFound,
}

/// The CSMS roots on which connections rely, and which must not be deleted. `None`: every root may
/// be deleted.
pub(crate) type Kept<'a> = Option<&'a [Vec<u8>]>;

impl Catalog {
    /// Installs `certificate`, which has passed the rules. `issuer_key` is `None` if the
    /// certificate is self-signed.
    pub(crate) fn plan_install(
        &self,
        use_: RootUse,
        certificate: Certificate,
        issuer_key: Option<Vec<u8>>,
        settings: &Settings,
    ) -> Result<Vec<Transition>, NoRoom> {
        let mut root = Root::new(use_, certificate, issuer_key, self.next);
        if let Some(known) = self.roots.iter().find(|known| known.has_key_of(&root)) {
            // M05.FR.17: the new certificate replaces the old one, in its place. Certificates are
            // compared by hash data, not by content: of two certificates that share hash data, a
            // CSMS could never delete just one.
            root.sequence = known.sequence;
            root.standing = known.standing;
            return Ok(vec![Transition::PutRoot(Box::new(root))]);
        }
        // M05.FR.06
        self.check_room(use_, settings, 0)?;
        Ok(vec![Transition::PutRoot(Box::new(root)), Transition::Next(self.next + 1)])
    }

    /// Replaces the CSMS root by `certificate`, which `signer` signed (M05.FR.10, .12). The signer
    /// stays as the only fallback; every other CSMS root is removed (M05.FR.09).
    pub(crate) fn plan_rotate(
        &self,
        certificate: Certificate,
        signer: &Root,
        settings: &Settings,
    ) -> Result<Vec<Transition>, NoRoom> {
        let issuer_key = signer.certificate.public_key().to_vec();
        let root = Root::new(RootUse::Csms, certificate, Some(issuer_key), self.next);
        let (root_key, signer_key) = (root.key(), signer.key());
        let mut transitions: Vec<Transition> = self
            .roots_for(&[RootUse::Csms])
            .map(Root::key)
            .filter(|key| *key != signer_key && *key != root_key)
            .map(Transition::RemoveRoot)
            .collect();
        // M05.FR.06: the fallback is listed, so it counts.
        self.check_room(RootUse::Csms, settings, transitions.len())?;
        transitions
            .push(Transition::PutRoot(Box::new(Root { standing: Standing::Fallback, ..signer.clone() })));
        transitions.push(Transition::PutRoot(Box::new(root)));
        transitions.push(Transition::Next(self.next + 1));
        Ok(transitions)
    }

    /// A connection that relies on the CSMS root `der` is up: a fallback is not needed any more
    /// (M05.FR.13). If the connection relies on the fallback, both stay (TC_M_31).
    pub(crate) fn plan_connected(&self, der: &[u8]) -> Vec<Transition> {
        let proved = self
            .roots_for(&[RootUse::Csms])
            .any(|root| root.standing == Standing::Trusted && root.certificate.der() == der);
        if !proved {
            return Vec::new();
        }
        self.roots_for(&[RootUse::Csms])
            .filter(|root| root.standing == Standing::Fallback)
            .map(|root| Transition::RemoveRoot(root.key()))
            .collect()
    }

    /// Deletes the certificate that `hash` names.
    ///
    /// DeleteCertificate does not name a use, so the certificate is deleted for every use for which
    /// it is installed: afterwards no certificate has this hash, as the CSMS requested. If the hash
    /// names the leaf of a V2G chain or a sub-CA in one, the whole chain is deleted and the leaf's
    /// key is condemned: the rest could neither be used nor be listed (M04.FR.08). Chains below a
    /// deleted root stay; they are listed and deletable without it.
    pub(crate) fn plan_delete(&self, hash: &HashData, keep: Kept<'_>) -> Deletion {
        // M04.FR.06, also for a renewed certificate with which the station has not connected yet.
        if self.own.iter().any(|own| own.use_.connects() && own.names(hash)) {
            return Deletion::Own;
        }
        let roots: Vec<&Root> = self.roots.iter().filter(|root| root.id.is_named_by(hash)).collect();
        // OCPP 1.6, M04.FR.06
        let is_kept = |root: &&Root| {
            root.use_ == RootUse::Csms
                && keep.is_some_and(|in_use| in_use.iter().any(|der| der == root.certificate.der()))
        };
        if roots.iter().any(is_kept) {
            return Deletion::InUse;
        }
        let chains: Vec<_> = self.own.iter().filter(|own| own.names(hash)).map(|own| own.id).collect();
        let entries = roots.len() + chains.len();
        if entries == 0 {
            return Deletion::NotFound;
        }
        let gone: Vec<_> = roots.iter().map(|root| root.key()).collect();
        let mut transitions: Vec<Transition> = gone.iter().cloned().map(Transition::RemoveRoot).collect();
        // If no other root is left, a fallback becomes the present root.
        let left: Vec<&Root> =
            self.roots_for(&[RootUse::Csms]).filter(|root| !gone.contains(&root.key())).collect();
        if left.iter().all(|root| root.standing == Standing::Fallback) {
            transitions.extend(left.into_iter().map(|root| {
                Transition::PutRoot(Box::new(Root { standing: Standing::Trusted, ..root.clone() }))
            }));
        }
        transitions.extend(self.without_chains(&chains).1);
        Deletion::Found { entries, transitions }
    }

    /// Whether a deletion of `hash` removes the last CSMS root.
    fn has_no_csms_root_without(&self, hash: &HashData) -> bool {
        let mut roots = self.roots_for(&[RootUse::Csms]).peekable();
        roots.peek().is_some() && roots.all(|root| root.id.is_named_by(hash))
    }

    /// Checks the room for a root. `leaving` roots of this use are removed in the same change.
    fn check_room(&self, use_: RootUse, settings: &Settings, leaving: usize) -> Result<(), NoRoom> {
        if self.roots.len() - leaving >= settings.max_entries {
            return Err(NoRoom { max: settings.max_entries });
        }
        match settings.max_entries_for.get(&use_) {
            Some(max) if self.roots_for(&[use_]).count() - leaving >= *max => Err(NoRoom { max: *max }),
            _ => Ok(()),
        }
    }
}

impl LastCsmsRoot {
    /// Whether the certificate that `hash` names is kept because it is the last CSMS root.
    pub(crate) fn keeps(self, catalog: &Catalog, hash: &HashData) -> bool {
        self == Self::Keep && catalog.has_no_csms_root_without(hash)
    }
}

/// `CertificateEntries.maxLimit` is reached, or the limit of the use (M05.FR.06).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom {
    pub(crate) max: usize,
}
