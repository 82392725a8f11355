//! A root certificate as the catalog keeps it.

use certificates::{Certificate, CertificateId};

use crate::uses::RootUse;

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

/// The name of an installed root: one use, one certificate as hash data distinguish them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RootKey {
    pub(crate) use_: RootUse,
    pub(crate) fingerprint: String,
}
