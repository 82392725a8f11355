//! Plans that change the installed roots: install, replace, rotate with a fallback, delete.

use certificates::{Certificate, HashData};

use crate::catalog::{Catalog, Transition};
use crate::roots::root::{Root, Standing};
use crate::settings::{LastCsmsRoot, Settings};
use crate::uses::RootUse;

/// What [`Catalog::plan_delete`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// What goes, and how many entries of the inventory that are.
    Found { entries: usize, transitions: Vec<Transition> },
    /// One of the station's own certificates, or of the chain below which it was issued.
    Own,
    /// The CSMS root that the connection relies on, which is to be kept.
    InUse,
    /// Nothing with this hash.
    NotFound,
}

/// A CSMS root that a connection relies on may not be deleted; `None`: it may.
pub(crate) type Kept<'a> = Option<&'a [Vec<u8>]>;

impl Catalog {
    /// Installs `certificate`, which has passed the rules. `issuer_key` is `None` where it signed
    /// itself.
    pub(crate) fn plan_install(
        &self,
        use_: RootUse,
        certificate: Certificate,
        issuer_key: Option<Vec<u8>>,
        settings: &Settings,
    ) -> Result<Vec<Transition>, NoRoom> {
        let mut root = Root::new(use_, certificate, issuer_key, self.next);
        if let Some(known) = self.roots.iter().find(|known| known.has_key_of(&root)) {
            // M05.FR.17: it replaces what is there, in its place. Not by content but by hash data:
            // of two certificates that share them, a CSMS could never delete just one.
            root.sequence = known.sequence;
            root.standing = known.standing;
            return Ok(vec![Transition::PutRoot(Box::new(root))]);
        }
        // M05.FR.06
        self.check_room(use_, settings, 0)?;
        Ok(vec![Transition::PutRoot(Box::new(root)), Transition::Next(self.next + 1)])
    }

    /// Puts `certificate`, which `signer` signed, in the place of the CSMS root (M05.FR.10, .12):
    /// its signer stays as the one fallback, every other CSMS root goes (M05.FR.09).
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
        // M05.FR.06: the fallback is listed, and so it counts.
        self.check_room(RootUse::Csms, settings, transitions.len())?;
        transitions
            .push(Transition::PutRoot(Box::new(Root { standing: Standing::Fallback, ..signer.clone() })));
        transitions.push(Transition::PutRoot(Box::new(root)));
        transitions.push(Transition::Next(self.next + 1));
        Ok(transitions)
    }

    /// A connection stands that relies on the CSMS root `der`: a fallback is not needed any more
    /// (M05.FR.13). Where it is the fallback that the connection relies on, both stay (TC_M_31).
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

    /// Deletes what `hash` names.
    ///
    /// DeleteCertificate carries no use, so the certificate goes for every use for which it is
    /// installed: afterwards the CSMS finds nothing with this hash, as it asked. Where it names the
    /// leaf of a V2G chain or a sub-CA in one, the whole chain goes, and the leaf's key is
    /// condemned: what remained could neither be used nor be listed (M04.FR.08). Chains below a
    /// root that is deleted stay; they are listed and deletable without it.
    pub(crate) fn plan_delete(&self, hash: &HashData, keep: Kept<'_>) -> Deletion {
        // M04.FR.06, also for a renewed certificate that is not connected with yet.
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
        // Without a root that is relied on, a fallback is no fallback but the only one there is.
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

    /// Whether a deletion of what `hash` names takes the last CSMS root.
    fn has_no_csms_root_without(&self, hash: &HashData) -> bool {
        let mut roots = self.roots_for(&[RootUse::Csms]).peekable();
        roots.peek().is_some() && roots.all(|root| root.id.is_named_by(hash))
    }

    /// `leaving` roots of this use make room in the same change.
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
    /// Whether what `hash` names stays because it is the last CSMS root.
    pub(crate) fn keeps(self, catalog: &Catalog, hash: &HashData) -> bool {
        self == Self::Keep && catalog.has_no_csms_root_without(hash)
    }
}

/// `CertificateEntries.maxLimit` is reached, or the limit of the use (M05.FR.06).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom {
    pub(crate) max: usize,
}
