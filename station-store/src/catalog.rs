//! What the store holds, and every change that it can undergo, as values.
//!
//! A plan looks at the catalog and returns transitions; the store makes them durable, and only then are they applied. So the
//! catalog in memory never says more than the disk.

use std::collections::BTreeSet;

use crate::certificate::Certificate;
use crate::hash::{CertificateHash, CertificateId};
use crate::pending::{Own, OwnId, Pending, PendingId};

/// What a root certificate is trusted for. The same certificate may be installed for several uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RootUse {
    /// The CSMS and this station's own certificate: `CSMSRootCertificate`.
    Csms,
    /// Signed firmware: `ManufacturerRootCertificate`.
    Manufacturer,
    /// The charging station's ISO 15118 certificate: `V2GRootCertificate`.
    V2g,
    /// Contract certificates of vehicles: `MORootCertificate`.
    MobilityOperator,
}

impl RootUse {
    /// Each use, in the order in which the inventory reports them.
    pub const ALL: [Self; 4] = [Self::Csms, Self::Manufacturer, Self::V2g, Self::MobilityOperator];

    /// The word that keys in the database begin with. It must never change.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Csms => "csms",
            Self::Manufacturer => "manufacturer",
            Self::V2g => "v2g",
            Self::MobilityOperator => "mo",
        }
    }
}

/// A root certificate, installed for one use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) use_: RootUse,
    pub(crate) certificate: Certificate,
    pub(crate) id: CertificateId,
    /// Installed earlier is listed earlier.
    pub(crate) sequence: u64,
}

impl Root {
    pub(crate) fn new(use_: RootUse, certificate: Certificate, sequence: u64) -> Self {
        let id = CertificateId::of_root(&certificate);
        Self { use_, certificate, id, sequence }
    }

    pub(crate) fn key(&self) -> RootKey {
        RootKey { use_: self.use_, fingerprint: self.id.fingerprint() }
    }
}

/// The name of an installed root: one use, one certificate as hash data tell certificates apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RootKey {
    pub(crate) use_: RootUse,
    pub(crate) fingerprint: String,
}

/// One step of a change. The steps of one plan take effect together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    PutRoot(Box<Root>),
    RemoveRoot(RootKey),
    PutOwn(Own),
    RemoveOwn(OwnId),
    PutPending(Pending),
    RemovePending(PendingId),
    Condemn(String),
    Forget(String),
    /// The number that the next record gets; numbers are never used twice.
    Next(u64),
}

/// What [`Catalog::plan_delete`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// Installed, for each use that the transitions name.
    Roots(Vec<Transition>),
    /// One of the station's own certificates.
    Own,
    /// Nothing with this hash.
    NotFound,
}

/// Everything the store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Catalog {
    pub(crate) roots: Vec<Root>,
    pub(crate) own: Vec<Own>,
    pub(crate) pending: Vec<Pending>,
    pub(crate) condemned: BTreeSet<String>,
    pub(crate) next: u64,
}

impl Catalog {
    pub(crate) fn apply(&mut self, transition: Transition) {
        match transition {
            Transition::PutRoot(root) => {
                let key = root.key();
                self.roots.retain(|known| known.key() != key);
                self.roots.push(*root);
                self.roots.sort_by_key(|root| (root.use_, root.sequence));
            }
            Transition::RemoveRoot(key) => self.roots.retain(|root| root.key() != key),
            Transition::PutOwn(own) => {
                self.own.retain(|known| known.id != own.id);
                self.own.push(own);
                // Newest first.
                self.own.sort_by_key(|own| std::cmp::Reverse(own.id));
            }
            Transition::RemoveOwn(id) => self.own.retain(|own| own.id != id),
            Transition::PutPending(pending) => {
                self.pending.retain(|known| known.id != pending.id);
                self.pending.push(pending);
                self.pending.sort_by_key(|pending| pending.id);
            }
            Transition::RemovePending(id) => self.pending.retain(|pending| pending.id != id),
            Transition::Condemn(uri) => {
                self.condemned.insert(uri);
            }
            Transition::Forget(uri) => {
                self.condemned.remove(&uri);
            }
            Transition::Next(next) => self.next = next,
        }
    }

    /// Installs `certificate`, which has passed the rules.
    pub(crate) fn plan_install(
        &self,
        use_: RootUse,
        certificate: Certificate,
        max_entries: usize,
    ) -> Result<Vec<Transition>, NoRoom> {
        let mut root = Root::new(use_, certificate, self.next);
        let key = root.key();
        if let Some(known) = self.roots.iter().find(|known| known.key() == key) {
            // M05.FR.17: it replaces what is there, in its place. Not by content but by hash data: of two certificates that
            // share them, a CSMS could never delete just one.
            root.sequence = known.sequence;
            return Ok(vec![Transition::PutRoot(Box::new(root))]);
        }
        // M05.FR.06
        if self.roots.len() >= max_entries {
            return Err(NoRoom { max: max_entries });
        }
        Ok(vec![Transition::PutRoot(Box::new(root)), Transition::Next(self.next + 1)])
    }

    /// Deletes what `hash` names.
    ///
    /// DeleteCertificate carries no use, so the certificate goes for every use for which it is installed: afterwards the
    /// CSMS finds nothing with this hash, as it asked.
    pub(crate) fn plan_delete(&self, hash: &CertificateHash) -> Deletion {
        // M04.FR.06, also for a renewed certificate that is not connected with yet.
        if self.own.iter().any(|own| own.certificate_id().is_named_by(hash)) {
            return Deletion::Own;
        }
        let transitions: Vec<_> = self
            .roots
            .iter()
            .filter(|root| root.id.is_named_by(hash))
            .map(|root| Transition::RemoveRoot(root.key()))
            .collect();
        if transitions.is_empty() { Deletion::NotFound } else { Deletion::Roots(transitions) }
    }

    /// The roots installed for one of `uses`, in the order of the inventory.
    pub(crate) fn roots_for<'a>(&'a self, uses: &'a [RootUse]) -> impl Iterator<Item = &'a Root> {
        self.roots.iter().filter(|root| uses.contains(&root.use_))
    }
}

/// `CertificateEntries.maxLimit` is reached (M05.FR.06).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom {
    pub(crate) max: usize,
}
