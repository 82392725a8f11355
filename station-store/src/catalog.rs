//! The content of the store, and every change to it, as values.
//!
//! A plan reads the catalog and returns transitions. The store makes them durable, and only then
//! applies them, so the catalog in memory never contains more than the disk.

use std::collections::{BTreeMap, BTreeSet};

use certificates::Certificate;

use crate::ocsp::answer::CachedOcsp;
use crate::own::certificate::{Own, OwnId};
use crate::pending::key::{Pending, PendingId};
use crate::roots::root::{Root, RootKey};
use crate::uses::RootUse;

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
    PutOcsp(CachedOcsp),
    RemoveOcsp(String),
    /// The number that the next record gets; numbers are never used twice.
    Next(u64),
}

impl Transition {
    /// The use whose roots it changes.
    pub(crate) fn root_use(&self) -> Option<RootUse> {
        match self {
            Self::PutRoot(root) => Some(root.use_),
            Self::RemoveRoot(key) => Some(key.use_),
            _ => None,
        }
    }
}

/// The content of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Catalog {
    pub(crate) roots: Vec<Root>,
    pub(crate) own: Vec<Own>,
    pub(crate) pending: Vec<Pending>,
    pub(crate) condemned: BTreeSet<String>,
    /// Keyed by the fingerprint of the certificate.
    pub(crate) ocsp: BTreeMap<String, CachedOcsp>,
    pub(crate) next: u64,
}

impl Catalog {
    pub(crate) fn apply(&mut self, transition: Transition) {
        match transition {
            Transition::PutRoot(root) => {
                self.roots.retain(|known| !known.has_key_of(&root));
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
            Transition::PutOcsp(answer) => {
                self.ocsp.insert(answer.fingerprint.clone(), answer);
            }
            Transition::RemoveOcsp(fingerprint) => {
                self.ocsp.remove(&fingerprint);
            }
            Transition::Next(next) => self.next = next,
        }
    }

    /// The roots installed for one of `uses`, in the order of the inventory. A fallback root is
    /// among them.
    pub(crate) fn roots_for<'a>(&'a self, uses: &'a [RootUse]) -> impl Iterator<Item = &'a Root> {
        self.roots.iter().filter(|root| uses.contains(&root.use_))
    }

    /// The roots installed for `use_`, a fallback among them.
    pub(crate) fn root_certificates(&self, use_: RootUse) -> Vec<&Certificate> {
        self.roots.iter().filter(|root| root.use_ == use_).map(|root| &root.certificate).collect()
    }
}
