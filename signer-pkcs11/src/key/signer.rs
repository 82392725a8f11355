//! The signer interface of the core.

use std::time::Duration;

use der::{Document, asn1::BitString};
use signature::Keypair;
use spki::{AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey};

use crate::{
    key::{
        algorithm::{KeyAlgorithm, SignatureAlgorithm},
        error::VerifyError,
        public_key::PublicKey,
    },
    token::fault::TokenFault,
};

/// A signer: a [`Key`](crate::Key) in a token, or a key of a test.
pub trait Signer: Send + Sync {
    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// The algorithm of the signatures.
    fn signature_algorithm(&self) -> SignatureAlgorithm;

    /// Signs `message` and blocks until the signature exists. Its form is that of certificates: DER
    /// for ECDSA.
    ///
    /// # Errors
    /// [`SignError`], within the signer's own deadline.
    fn sign_blocking(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The queue is full. Try again later.
    #[error("the token is busy: {waiting} signatures are queued; try again later")]
    Busy {
        /// The capacity of the queue.
        waiting: usize,
    },
    /// The token did not answer in time. It may still sign; the signature is discarded then.
    #[error("the token did not sign within {} ms", after.as_millis())]
    Timeout {
        /// The deadline per signature.
        after: Duration,
    },
    /// The key does not support the algorithm.
    #[error("a key of {key} does not support {algorithm:?}")]
    Algorithm {
        /// The requested algorithm.
        algorithm: SignatureAlgorithm,
        /// The kind of key.
        key: KeyAlgorithm,
    },
    /// The key is no longer in the token.
    #[error("key {key} is no longer in the token")]
    KeyGone {
        /// The key's URI.
        key: String,
    },
    /// The token refused or failed.
    #[error("the token failed to sign")]
    Token(#[source] TokenFault),
    /// The token failed several times. It is not called for a while.
    #[error("the token failed repeatedly; the next attempt is in {} ms", retry_after.as_millis())]
    Unavailable {
        /// When the next attempt is possible.
        retry_after: Duration,
    },
    /// The token returned something that is not a signature of this algorithm.
    #[error("the token returned {bytes} bytes that are not a signature of this algorithm")]
    Garbage {
        /// Length of the returned value.
        bytes: usize,
    },
    /// The token has been shut down.
    #[error("the token has been shut down")]
    ShutDown,
}

impl SignError {
    /// Whether the same key in another token may succeed.
    pub(crate) fn is_token_fault(&self) -> bool {
        !matches!(self, Self::Algorithm { .. })
    }
}

/// A public key in the form that x509-cert's builders require. They state its algorithm and never
/// ask it to sign.
#[derive(Clone)]
pub(crate) struct RemoteKey {
    pub(crate) public_key: PublicKey,
    pub(crate) algorithm: SignatureAlgorithm,
}

impl RemoteKey {
    pub(crate) fn of<S: Signer + ?Sized>(key: &S) -> Self {
        Self { public_key: key.public_key().clone(), algorithm: key.signature_algorithm() }
    }

    /// The signature as a certificate contains it. It is verified over exactly the signed bytes
    /// first, which detects a faulty token and a mix-up of keys.
    pub(crate) fn verified(&self, signed: &[u8], signature: &[u8]) -> Result<BitString, VerifyError> {
        self.public_key.verify_with(self.algorithm, signed, signature)?;
        BitString::from_bytes(signature).map_err(|_| VerifyError::Malformed)
    }
}

impl Keypair for RemoteKey {
    type VerifyingKey = RemoteKey;

    fn verifying_key(&self) -> RemoteKey {
        self.clone()
    }
}

impl EncodePublicKey for RemoteKey {
    fn to_public_key_der(&self) -> spki::Result<Document> {
        Ok(Document::try_from(self.public_key.spki_der())?)
    }
}

impl DynSignatureAlgorithmIdentifier for RemoteKey {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        Ok(self.algorithm.identifier_owned()?)
    }
}

/// A key in memory, to test the core without a token.
#[cfg(test)]
pub(crate) mod software {
    use rcgen::{KeyPair, PublicKeyData, SigningKey};

    use super::{SignError, Signer};
    use crate::key::{algorithm::SignatureAlgorithm, public_key::PublicKey};

    pub(crate) struct SoftwareKey {
        pair: KeyPair,
        public_key: PublicKey,
    }

    impl SoftwareKey {
        pub(crate) fn generate() -> Self {
            let pair = KeyPair::generate().expect("a P-256 key");
            let public_key = PublicKey::from_spki_der(&pair.subject_public_key_info()).expect("a good key");
            Self { pair, public_key }
        }

        /// Simulates a token whose halves do not belong together.
        pub(crate) fn with_public_half_of(self, other: &Self) -> Self {
            Self { public_key: other.public_key.clone(), ..self }
        }
    }

    impl Signer for SoftwareKey {
        fn public_key(&self) -> &PublicKey {
            &self.public_key
        }

        fn signature_algorithm(&self) -> SignatureAlgorithm {
            SignatureAlgorithm::EcdsaSha256
        }

        fn sign_blocking(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
            Ok(self.pair.sign(message).expect("a signature"))
        }
    }
}
