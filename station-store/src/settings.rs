//! The settings of a station's store.

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

    /// The DC that the leaf of a `V2GCertificate` must have. Default: that of an SECC by ISO
    /// 15118-2.
    #[must_use]
    pub fn domain_component(mut self, component: DomainComponent) -> Self {
        self.domain_component = component;
        self
    }

    /// The digest of the hash data that the inventory reports. Default: SHA-256. A CSMS may delete
    /// certificates by any of the three digests.
    #[must_use]
    pub fn hash_algorithm(mut self, algorithm: HashAlgorithm) -> Self {
        self.hash_algorithm = algorithm;
        self
    }

    /// `SecurityCtrlr.CertificateEntries.maxLimit`: how many root certificates may be installed. A
    /// certificate that is installed for two uses counts twice. Default: 32. Each takes up to 4 KiB
    /// of memory and as much on disk.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// How many of those may be installed for one use, so that one PKI cannot use up the room of
    /// the others. Default: no limit below that of all uses.
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

    /// Whether a CSMS root on which the current connection relies may be deleted. Default: the rule
    /// of the OCPP version of the request.
    #[must_use]
    pub fn root_in_use(mut self, policy: RootInUse) -> Self {
        self.root_in_use = policy;
        self
    }

    /// Whether the CSMS may delete the last CSMS root. Default: it may, as TC_M_20 expects.
    #[must_use]
    pub fn last_csms_root(mut self, policy: LastCsmsRoot) -> Self {
        self.last_csms_root = policy;
        self
    }

    /// `SecurityCtrlr.MaxCertificateChainSize`, in characters of PEM. Default and maximum: 10000.
    #[must_use]
    pub fn max_chain_size(mut self, characters: usize) -> Self {
        self.max_chain_size = characters.min(MAX_CHAIN_SIZE);
        self
    }

    /// The permitted difference between the clocks of station and CSMS when a validity period is
    /// checked. Default: 300 s.
    #[must_use]
    pub fn skew(mut self, skew: Duration) -> Self {
        self.skew = skew;
        self
    }
}

/// The DC (domain component) of the leaf of a `V2GCertificate`, which is for vehicles by ISO
/// 15118-2. Certificates for ISO 15118-20, and those for both the connection and vehicles, need no
/// DC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DomainComponent {
    /// `CPO`, by which a vehicle recognizes a charging station (ISO 15118-2, annex F).
    #[default]
    Cpo,
    /// Any DC or none: for a hierarchy that only its own vehicles trust.
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
    /// CSMS roots are installed and deleted one by one, like those of every other use.
    #[default]
    Off,
    /// There is one CSMS root. It must sign a new one. The old root stays as a fallback until a
    /// connection has proved the new one.
    On,
}

/// The answer to a request to delete the CSMS root on which its own connection relies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RootInUse {
    /// OCPP 1.6: refused (M04.FR.06 of the whitepaper). OCPP 2.0.1 and 2.1: deleted, as TC_M_20
    /// expects.
    #[default]
    AsVersionSays,
    /// Refused, as the note to M04.FR.03 permits. TC_M_20 then fails if the root that it picks is
    /// in use.
    Keep,
    /// Deleted.
    Delete,
}

/// The answer to a request of the CSMS to delete the last CSMS root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastCsmsRoot {
    /// Refused, as the note to M04.FR.03 permits: without a root the station can verify no CSMS,
    /// and only an installer on site can install one.
    Keep,
    /// Deleted, as TC_M_20 expects if it picks this root.
    #[default]
    Delete,
}

/// `CertificateSignedRequest.certificateChain` has 10000 characters.
const MAX_CHAIN_SIZE: usize = 10_000;
