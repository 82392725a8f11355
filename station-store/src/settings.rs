//! What a station decides about its store.

use std::collections::BTreeMap;
use std::time::Duration;

use certificates::HashAlgorithm;

use crate::uses::RootUse;

/// Settings of a [`Store`](crate::Store).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    pub(crate) serial_number: String,
    pub(crate) organization: Option<String>,
    pub(crate) domain_component: DomainComponent,
    pub(crate) hash_algorithm: HashAlgorithm,
    pub(crate) max_entries: usize,
    pub(crate) max_entries_for: BTreeMap<RootUse, usize>,
    pub(crate) additional_root_check: AdditionalRootCheck,
    pub(crate) root_in_use: RootInUse,
    pub(crate) last_csms_root: LastCsmsRoot,
    pub(crate) max_chain_size: usize,
    pub(crate) skew: Duration,
}

impl Settings {
    /// Settings for the station with this serial number, which is the common name of its own
    /// certificate (A00.FR.511).
    pub fn new(serial_number: impl Into<String>) -> Self {
        Self {
            serial_number: serial_number.into(),
            organization: None,
            domain_component: DomainComponent::Cpo,
            hash_algorithm: HashAlgorithm::Sha256,
            max_entries: 32,
            max_entries_for: BTreeMap::new(),
            additional_root_check: AdditionalRootCheck::Off,
            root_in_use: RootInUse::AsVersionSays,
            last_csms_root: LastCsmsRoot::Delete,
            max_chain_size: MAX_CHAIN_SIZE,
            skew: Duration::from_secs(300),
        }
    }

    /// `SecurityCtrlr.OrganizationName`: the organization that the station's own certificate must
    /// name (A00.FR.509). Default: any.
    #[must_use]
    pub fn organization(mut self, organization: impl Into<String>) -> Self {
        self.organization = Some(organization.into());
        self
    }

    /// Which DC the leaf of a `V2GCertificate` must have. Default: that of an SECC by ISO 15118-2.
    #[must_use]
    pub fn domain_component(mut self, component: DomainComponent) -> Self {
        self.domain_component = component;
        self
    }

    /// The digest of the hash data that the inventory reports. Default: SHA-256. A CSMS may delete
    /// by any of the three.
    #[must_use]
    pub fn hash_algorithm(mut self, algorithm: HashAlgorithm) -> Self {
        self.hash_algorithm = algorithm;
        self
    }

    /// `SecurityCtrlr.CertificateEntries.maxLimit`: how many root certificates may be installed, a
    /// certificate that is installed for two uses counted twice. Default: 32. Each takes up to 4
    /// KiB of memory and as much on disk.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// How many of those may be installed for one use, so that one PKI cannot crowd the others out.
    /// Default: as many as there is room for.
    #[must_use]
    pub fn max_entries_for(mut self, use_: RootUse, entries: usize) -> Self {
        self.max_entries_for.insert(use_, entries);
        self
    }

    /// `SecurityCtrlr.AdditionalRootCertificateCheck` (M05.FR.09). Default: off.
    #[must_use]
    pub fn additional_root_check(mut self, check: AdditionalRootCheck) -> Self {
        self.additional_root_check = check;
        self
    }

    /// Whether a CSMS root that the current connection relies on may be deleted. Default: as the
    /// version of OCPP says in which the CSMS asks.
    #[must_use]
    pub fn root_in_use(mut self, policy: RootInUse) -> Self {
        self.root_in_use = policy;
        self
    }

    /// Whether the last CSMS root may be deleted by the CSMS. Default: it may, as TC_M_20 expects.
    #[must_use]
    pub fn last_csms_root(mut self, policy: LastCsmsRoot) -> Self {
        self.last_csms_root = policy;
        self
    }

    /// `SecurityCtrlr.MaxCertificateChainSize`, in characters of PEM. Default, and the most there
    /// can be: 10000.
    #[must_use]
    pub fn max_chain_size(mut self, characters: usize) -> Self {
        self.max_chain_size = characters.min(MAX_CHAIN_SIZE);
        self
    }

    /// How far the clocks of station and CSMS may be apart when a validity period is judged.
    /// Default: 300 s.
    #[must_use]
    pub fn skew(mut self, skew: Duration) -> Self {
        self.skew = skew;
        self
    }
}

/// The DC (domain component) of the leaf of a `V2GCertificate`, one for vehicles by ISO 15118-2. Of
/// certificates for ISO 15118-20, and of those for both the connection and vehicles, no DC is
/// asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DomainComponent {
    /// `CPO`, by which a vehicle knows that it talks to a charging station (ISO 15118-2, annex F).
    #[default]
    Cpo,
    /// Any or none: of a hierarchy that vehicles of its own know.
    Any,
}

impl DomainComponent {
    pub(crate) fn required(self) -> Option<&'static str> {
        match self {
            Self::Cpo => Some("CPO"),
            Self::Any => None,
        }
    }
}

/// Whether a new CSMS root must be signed by the one before it (M05.FR.09–16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdditionalRootCheck {
    /// CSMS roots are installed and deleted one by one, as those of every other use.
    #[default]
    Off,
    /// There is one CSMS root. A new one must be signed by it; the old one stays as a fallback
    /// until a connection has proved the new one.
    On,
}

/// What becomes of a request to delete the CSMS root that the connection relies on, over which it
/// came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RootInUse {
    /// OCPP 1.6: refused (M04.FR.06 of the whitepaper). OCPP 2.0.1 and 2.1: deleted, as TC_M_20
    /// expects.
    #[default]
    AsVersionSays,
    /// Refused, as the note to M04.FR.03 permits. TC_M_20 fails then, if the root it picks is in
    /// use.
    Keep,
    /// Deleted.
    Delete,
}

/// What becomes of a request of the CSMS to delete the only CSMS root that is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastCsmsRoot {
    /// Refused, as the note to M04.FR.03 permits: without a root the station can verify no CSMS,
    /// and one could only be installed on site.
    Keep,
    /// Deleted, as TC_M_20 expects where it picks this one.
    #[default]
    Delete,
}

/// `CertificateSignedRequest.certificateChain` has 10000 characters.
const MAX_CHAIN_SIZE: usize = 10_000;
