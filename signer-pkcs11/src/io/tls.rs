//! A token's key as a TLS key of rustls.
//!
//! rustls signs synchronously inside `poll`. Run a whole handshake in
//! `spawn_blocking(|| Handle::current().block_on(handshake))`, so that a slow token holds up no thread of the runtime.

use std::sync::Arc;

use rustls::{
    Error, OtherError, SignatureAlgorithm, SignatureScheme,
    pki_types::SubjectPublicKeyInfoDer,
    sign::{Signer, SigningKey},
};

use crate::{algorithm::KeyAlgorithm, io::key::Key};

impl Key {
    /// The key for rustls, on either side of a connection, for TLS 1.2 and 1.3.
    pub fn signing_key(&self) -> Arc<dyn SigningKey> {
        Arc::new(TlsKey(self.clone()))
    }
}

#[derive(Clone, Debug)]
struct TlsKey(Key);

impl TlsKey {
    fn own_scheme(&self) -> SignatureScheme {
        match self.0.algorithm() {
            KeyAlgorithm::EcdsaP256 => SignatureScheme::ECDSA_NISTP256_SHA256,
        }
    }
}

impl SigningKey for TlsKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.own_scheme()).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.0.public_key().spki_der().into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.0.algorithm() {
            KeyAlgorithm::EcdsaP256 => SignatureAlgorithm::ECDSA,
        }
    }
}

impl Signer for TlsKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.sign_blocking(message).map_err(|error| Error::Other(OtherError(Arc::new(error))))
    }

    fn scheme(&self) -> SignatureScheme {
        self.own_scheme()
    }
}
