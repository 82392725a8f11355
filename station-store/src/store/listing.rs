//! The installed certificates one by one, for people and programs at the station. A CSMS gets hash
//! data only.

use certificates::HashData;
use rustls_pki_types::CertificateDer;

use crate::own::certificate::{Own, OwnId};
use crate::roots::root::Standing;
use crate::store::Store;
use crate::uses::RootUse;

/// A root certificate that is installed for one use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstalledRoot {
    /// The use for which it is trusted.
    pub use_: RootUse,
    /// The certificate as it was received.
    pub certificate: CertificateDer<'static>,
    /// The hash data by which the inventory lists it.
    pub hash: HashData,
    /// Whether it is the CSMS root before the present one. It is kept until a connection has proved
    /// the present one (M05.FR.12).
    pub is_fallback: bool,
}

impl Store {
    /// Every installed root, by use. Within one use, the root that was installed first comes first.
    pub fn installed_roots(&self) -> Vec<InstalledRoot> {
        let catalog = self.read();
        let roots = catalog.roots_for(&RootUse::ALL).map(|root| InstalledRoot {
            use_: root.use_,
            certificate: root.certificate.to_certificate_der(),
            hash: root.id.hash_data(self.hash_algorithm()),
            is_fallback: root.standing == Standing::Fallback,
        });
        let mut roots: Vec<_> = roots.collect();
        roots.sort_by_key(|root| root.use_);
        roots
    }

    /// The hash data of an own certificate's chain, leaf first. The last one is left out if its
    /// issuer's key is not known. Empty if there is no such certificate.
    pub fn own_hashes(&self, id: OwnId) -> Vec<HashData> {
        let catalog = self.read();
        let ids = catalog.own.iter().find(|own| own.id == id).map(Own::ids).unwrap_or_default();
        ids.iter().map(|id| id.hash_data(self.hash_algorithm())).collect()
    }

    /// The hash data of the roots installed for one of `uses`.
    pub fn installed(&self, uses: &[RootUse]) -> Vec<(RootUse, HashData)> {
        let algorithm = self.hash_algorithm();
        self.read().roots_for(uses).map(|root| (root.use_, root.id.hash_data(algorithm))).collect()
    }

    /// The hash data of the certificates for vehicles, one list for each chain: the leaf, then its
    /// sub-CAs, nearest first.
    pub fn installed_chains(&self) -> Vec<Vec<HashData>> {
        let algorithm = self.hash_algorithm();
        let catalog = self.read();
        let listed = catalog.own.iter().map(Own::listed).filter(|chain| !chain.is_empty());
        listed.map(|chain| chain.iter().map(|id| id.hash_data(algorithm)).collect()).collect()
    }

    /// The number of installed root certificates: the value of `SecurityCtrlr.CertificateEntries`.
    /// A fallback root counts, because it is listed. The station's own certificates do not count.
    pub fn entries(&self) -> usize {
        self.read().roots.len()
    }
}
