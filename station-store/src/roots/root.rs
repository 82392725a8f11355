//! A root certificate in the form of the catalog.

use certificates::{Certificate, CertificateId};

use crate::uses::RootUse;

/// A root certificate, installed for one use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) use_: RootUse,
    pub(crate) certificate: Certificate,
    /// `None` if it is self-signed. Otherwise the key of the CSMS root before it (M05.FR.10), which
    /// is stored because that root will be removed.
    pub(crate) issuer_key: Option<Vec<u8>>,
    pub(crate) standing: Standing,
    pub(crate) id: CertificateId,
    /// Orders the listing: the root that was installed first is listed first.
    pub(crate) sequence: u64,
}

/// Whether a root is the present one or a fallback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Trusted,
    /// The CSMS root before the present one, until a connection has proved the present one
    /// (M05.FR.12).
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

    /// Whether both have the same name. Compares without a digest, because opening a store compares
    /// every pair of roots.
    pub(crate) fn has_key_of(&self, other: &Self) -> bool {
        self.use_ == other.use_ && self.id == other.id
    }
}

/// The name of an installed root: one use, and one certificate as hash data distinguish them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RootKey {
    pub(crate) use_: RootUse,
    pub(crate) fingerprint: String,
}
