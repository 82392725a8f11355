//! What the core needs from whoever holds a private key.

use std::{error, fmt, time::Duration};

use der::{Document, asn1::BitString};
use signature::Keypair;
use spki::{AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey};

use crate::{
    algorithm::{KeyAlgorithm, SignatureAlgorithm},
    public_key::{PublicKey, VerifyError},
};

/// Somebody who signs: a [`Key`](crate::Key) in a token, or a test's own.
pub trait Signer: Send + Sync {
    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// The algorithm of the signatures.
    fn signature_algorithm(&self) -> SignatureAlgorithm;

    /// Signs `message`. Blocks until the signature is there. It is in the form of certificates: DER for ECDSA.
    ///
    /// # Errors
    /// [`SignError`], within the signer's own deadline.
    fn sign_blocking(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// As many signatures wait as the queue holds. Try again later.
    #[error("the token is busy: {waiting} signatures are waiting already")]
    Busy {
        /// The queue's bound.
        waiting: usize,
    },
    /// The token did not answer in time. The signature may still be made, and is thrown away then.
    #[error("the token did not sign within {} ms", after.as_millis())]
    Timeout {
        /// The deadline per signature.
        after: Duration,
    },
    /// The key makes no such signatures.
    #[error("a key of {key} makes no signatures by {algorithm:?}")]
    Algorithm {
        /// As asked for.
        algorithm: SignatureAlgorithm,
        /// What the key is.
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
    /// The token failed several times, and is left alone for a while.
    #[error("the token does not work: it is asked again in {} ms", retry_after.as_millis())]
    Unavailable {
        /// When it is worth asking again.
        retry_after: Duration,
    },
    /// The token gave something that is not a signature of this algorithm.
    #[error("the token returned {bytes} bytes, which are no signature of this algorithm")]
    Garbage {
        /// Length of what came back.
        bytes: usize,
    },
    /// The token has been shut down.
    #[error("the token has been shut down")]
    ShutDown,
}

impl SignError {
    /// Whether the same key in another token may do better.
    pub(crate) fn is_of_the_token(&self) -> bool {
        !matches!(self, Self::Algorithm { .. })
    }
}

/// What a PKCS #11 module answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFault {
    call: String,
    code: String,
}

impl TokenFault {
    pub(crate) fn new(call: impl Into<String>, code: impl Into<String>) -> Self {
        Self { call: call.into(), code: code.into() }
    }

    /// The function, as `C_Sign`.
    pub fn call(&self) -> &str {
        &self.call
    }

    /// The return value's name, as `KeyHandleInvalid`.
    pub fn code(&self) -> &str {
        &self.code
    }
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} returned {}", self.call, self.code)
    }
}

impl error::Error for TokenFault {}

/// A public key in the shape that x509-cert's builders want: they state its algorithm, and never ask it to sign.
#[derive(Clone)]
pub(crate) struct RemoteKey {
    pub(crate) public_key: PublicKey,
    pub(crate) algorithm: SignatureAlgorithm,
}

impl RemoteKey {
    pub(crate) fn of<S: Signer + ?Sized>(key: &S) -> Self {
        Self { public_key: key.public_key().clone(), algorithm: key.signature_algorithm() }
    }

    /// The signature as a certificate holds it, after it has been verified over exactly the bytes that were signed:
    /// this catches a faulty token and a mix-up of keys before anything leaves.
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
    use crate::{algorithm::SignatureAlgorithm, public_key::PublicKey};

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

        /// As if a token held halves that do not belong together.
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
