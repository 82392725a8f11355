//! The keys of a CSMS, in a token or in memory.

use std::fmt;
use std::sync::Arc;

use rustls::sign::SigningKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::tls::{TlsConfigError, software_key};

/// The certificate chain and key of a CSMS (A00.FR.306, A00.FR.409).
#[derive(Clone)]
pub struct ServerKey {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: Arc<dyn SigningKey>,
    pub(super) signing: Signing,
}

/// A certificate chain and its key, both in memory.
pub struct SoftwareKey {
    /// The certificates, the CSMS's own first, without the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key of the first certificate.
    pub key: PrivateKeyDer<'static>,
}

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signing {
    /// It waits for a token. It must not sign on a thread of the runtime.
    Blocks,
    /// It computes for less than a millisecond.
    Computes,
}

impl ServerKey {
    /// A key that may be in an HSM, because it is only used to sign. Each signature is made on a
    /// thread that may block. `chain` begins with the CSMS's own certificate and does not contain
    /// the root.
    #[must_use]
    pub fn new(chain: Vec<CertificateDer<'static>>, key: Arc<dyn SigningKey>) -> Self {
        Self { chain, key, signing: Signing::Blocks }
    }

    /// A key in memory. It signs where the handshake runs, which costs less than a thread for each
    /// signature.
    ///
    /// # Errors
    /// If the key is of a kind that cannot sign a TLS handshake.
    pub fn software(key: SoftwareKey) -> Result<Self, TlsConfigError> {
        let SoftwareKey { chain, key } = key;
        Ok(Self { chain, key: software_key(key)?, signing: Signing::Computes })
    }

    /// The certificates, the CSMS's own first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ServerKey")
            .field("certificates", &self.chain.len())
            .field("signing", &self.signing)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SoftwareKey").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}
