//! What a station decides about its store.

use std::time::Duration;

use crate::hash::HashAlgorithm;

/// Settings of a [`Store`](crate::Store).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    pub(crate) serial_number: String,
    pub(crate) organization: Option<String>,
    pub(crate) hash_algorithm: HashAlgorithm,
    pub(crate) max_entries: usize,
    pub(crate) max_chain_size: usize,
    pub(crate) skew: Duration,
}

impl Settings {
    /// Settings for the station with this serial number, which is the common name of its own certificate (A00.FR.511).
    pub fn new(serial_number: impl Into<String>) -> Self {
        Self {
            serial_number: serial_number.into(),
            organization: None,
            hash_algorithm: HashAlgorithm::Sha256,
            max_entries: 32,
            max_chain_size: MAX_CHAIN_SIZE,
            skew: Duration::from_secs(300),
        }
    }

    /// `SecurityCtrlr.OrganizationName`: the organization that the station's own certificate must name (A00.FR.509).
    /// Default: any.
    #[must_use]
    pub fn organization(mut self, organization: impl Into<String>) -> Self {
        self.organization = Some(organization.into());
        self
    }

    /// The digest of the hash data that the inventory reports. Default: SHA-256. A CSMS may delete by any of the three.
    #[must_use]
    pub fn hash_algorithm(mut self, algorithm: HashAlgorithm) -> Self {
        self.hash_algorithm = algorithm;
        self
    }

    /// `SecurityCtrlr.CertificateEntries.maxLimit`: how many root certificates may be installed, a certificate that is
    /// installed for two uses counted twice. Default: 32. Each takes up to 4 KiB of memory and as much on disk.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// `SecurityCtrlr.MaxCertificateChainSize`, in characters of PEM. Default, and the most there can be: 10000.
    #[must_use]
    pub fn max_chain_size(mut self, characters: usize) -> Self {
        self.max_chain_size = characters.min(MAX_CHAIN_SIZE);
        self
    }

    /// How far the clocks of station and CSMS may be apart when a validity period is judged. Default: 300 s.
    #[must_use]
    pub fn skew(mut self, skew: Duration) -> Self {
        self.skew = skew;
        self
    }
}

/// `CertificateSignedRequest.certificateChain` has 10000 characters.
const MAX_CHAIN_SIZE: usize = 10_000;
