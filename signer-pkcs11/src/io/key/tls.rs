//! A token's key as a TLS key of rustls.
//!
//! rustls signs synchronously inside `poll`. Run a whole handshake in
//! `spawn_blocking(|| Handle::current().block_on(handshake))`, so that a slow token blocks no
//! thread of the runtime.

use std::sync::Arc;

use rustls::{
    Error, OtherError, SignatureAlgorithm as TlsAlgorithm, SignatureScheme,
    pki_types::SubjectPublicKeyInfoDer,
    sign::{Signer, SigningKey},
};

use crate::{
    io::key::Key,
    key::algorithm::{KeyAlgorithm, KeyFamily, SignatureAlgorithm},
};

impl Key {
    /// The key for rustls, on either side of a connection, for TLS 1.2 and 1.3.
    #[must_use]
    pub fn signing_key(&self) -> Arc<dyn SigningKey> {
        Arc::new(TlsKey(self.clone()))
    }
}

#[derive(Debug)]
struct TlsKey(Key);

/// A key and the negotiated scheme.
#[derive(Debug)]
struct TlsSigner {
    key: Key,
    scheme: SignatureScheme,
    algorithm: SignatureAlgorithm,
}

/// The schemes of a key, by preference. TLS 1.3 ties a curve to one hash, and has no PKCS #1 v1.5.
fn schemes(algorithm: KeyAlgorithm) -> &'static [(SignatureScheme, SignatureAlgorithm)] {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => {
            &[(SignatureScheme::ECDSA_NISTP256_SHA256, SignatureAlgorithm::EcdsaSha256)]
        }
        KeyAlgorithm::EcdsaP384 => {
            &[(SignatureScheme::ECDSA_NISTP384_SHA384, SignatureAlgorithm::EcdsaSha384)]
        }
        KeyAlgorithm::EcdsaP521 => {
            &[(SignatureScheme::ECDSA_NISTP521_SHA512, SignatureAlgorithm::EcdsaSha512)]
        }
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => &[
            (SignatureScheme::RSA_PSS_SHA256, SignatureAlgorithm::RsaPssSha256),
            (SignatureScheme::RSA_PSS_SHA384, SignatureAlgorithm::RsaPssSha384),
            (SignatureScheme::RSA_PSS_SHA512, SignatureAlgorithm::RsaPssSha512),
            (SignatureScheme::RSA_PKCS1_SHA256, SignatureAlgorithm::RsaPkcs1Sha256),
            (SignatureScheme::RSA_PKCS1_SHA384, SignatureAlgorithm::RsaPkcs1Sha384),
            (SignatureScheme::RSA_PKCS1_SHA512, SignatureAlgorithm::RsaPkcs1Sha512),
        ],
        KeyAlgorithm::Ed25519 => &[(SignatureScheme::ED25519, SignatureAlgorithm::Ed25519)],
    }
}

impl SigningKey for TlsKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let (scheme, algorithm) =
            *schemes(self.0.algorithm()).iter().find(|(scheme, _)| offered.contains(scheme))?;
        Some(Box::new(TlsSigner { key: self.0.clone(), scheme, algorithm }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.0.public_key().spki_der().into())
    }

    fn algorithm(&self) -> TlsAlgorithm {
        match self.0.algorithm().family() {
            KeyFamily::Ecdsa => TlsAlgorithm::ECDSA,
            KeyFamily::Rsa => TlsAlgorithm::RSA,
            KeyFamily::EdDsa => TlsAlgorithm::ED25519,
        }
    }
}

impl Signer for TlsSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.key.sign_blocking_by(self.algorithm, message);
        signature.map_err(|error| Error::Other(OtherError(Arc::new(error))))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}
