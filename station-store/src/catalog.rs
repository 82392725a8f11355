//! What the store holds, and every change that it can undergo, as values.
//!
//! A plan looks at the catalog and returns transitions; the store makes them durable, and only then
//! are they applied. So the catalog in memory never says more than the disk.

use std::collections::{BTreeMap, BTreeSet};

use certificates::{Certificate, CertificateId};

use crate::ocsp::CachedOcsp;
use crate::own::{Own, OwnId};
use crate::pending::{Pending, PendingId};

/// What a root certificate is trusted for. The same certificate may be installed for several uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RootUse {
    /// The CSMS and this station's own certificate: `CSMSRootCertificate`, in OCPP 1.6
    /// `CentralSystemRootCertificate`.
    Csms,
    /// Signed firmware: `ManufacturerRootCertificate`.
    Manufacturer,
    /// The charging station's ISO 15118 certificate: `V2GRootCertificate`.
    V2g,
    /// Contract certificates of vehicles: `MORootCertificate`.
    MobilityOperator,
    /// Vehicles that prove themselves in TLS (ISO 15118-20): `OEMRootCertificate`, OCPP 2.1.
    Oem,
}

impl RootUse {
    /// Each use, in the order in which the inventory reports them.
    pub const ALL: [Self; 5] = [Self::Csms, Self::Manufacturer, Self::V2g, Self::MobilityOperator, Self::Oem];

    /// The word that keys in the database and names of trust bundles begin with. It must never
    /// change.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Csms => "csms",
            Self::Manufacturer => "manufacturer",
            Self::V2g => "v2g",
            Self::MobilityOperator => "mo",
            Self::Oem => "oem",
        }
    }

    /// The name in OCPP 2.x.
    pub fn root_name(self) -> &'static str {
        match self {
            Self::Csms => "CSMSRootCertificate",
            Self::Manufacturer => "ManufacturerRootCertificate",
            Self::V2g => "V2GRootCertificate",
            Self::MobilityOperator => "MORootCertificate",
            Self::Oem => "OEMRootCertificate",
        }
    }
}

/// A root certificate, installed for one use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) use_: RootUse,
    pub(crate) certificate: Certificate,
    /// `None` where it signed itself. Else the key of the CSMS root before it (M05.FR.10), kept
    /// because that one will go.
    pub(crate) issuer_key: Option<Vec<u8>>,
    pub(crate) standing: Standing,
    pub(crate) id: CertificateId,
    /// Installed earlier is listed earlier.
    pub(crate) sequence: u64,
}

/// Whether a root is relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Trusted,
    /// The CSMS root before the present one, until that has proved itself (M05.FR.12).
    Fallback,
}

impl Root {
    pub(crate) fn new(
        use_: RootUse,
        certificate: Certificate,
        issuer_key: Option<Vec<u8>>,
        sequence: u64,
    ) -> Self {
        let id = CertificateId::new(&certificate, issuer_key.as_deref().unwrap_or(certificate.public_key()));
        Self { use_, certificate, issuer_key, standing: Standing::Trusted, id, sequence }
    }

    pub(crate) fn key(&self) -> RootKey {
        RootKey { use_: self.use_, fingerprint: self.id.fingerprint() }
    }

    /// Whether both have the same name, without a digest: a store is opened by as many comparisons
    /// as it has pairs of roots.
    pub(crate) fn has_key_of(&self, other: &Self) -> bool {
        self.use_ == other.use_ && self.id == other.id
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

/// Everything the store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Catalog {
    pub(crate) roots: Vec<Root>,
    pub(crate) own: Vec<Own>,
    pub(crate) pending: Vec<Pending>,
    pub(crate) condemned: BTreeSet<String>,
    /// By the fingerprint of the certificate.
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

    /// The roots installed for one of `uses`, in the order of the inventory; a fallback root is
    /// among them.
    pub(crate) fn roots_for<'a>(&'a self, uses: &'a [RootUse]) -> impl Iterator<Item = &'a Root> {
        self.roots.iter().filter(|root| uses.contains(&root.use_))
    }
}
