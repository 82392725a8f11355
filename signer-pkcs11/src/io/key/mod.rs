//! A key in a token, and its signatures.

pub(crate) mod error;
pub(crate) mod inventory;
pub(crate) mod management;
pub(crate) mod name;
pub(crate) mod template;
pub(crate) mod tls;

use std::{
    fmt,
    sync::{Arc, mpsc},
    time::Instant,
};

use program::causes;
use tokio::sync::oneshot;

use crate::{
    csr::{self, BuildError, name::Subject},
    io::{
        key::{error::KeyError, name::KeyName},
        signing::{
            job::{Job, Reply},
            pool::LOOK_AFTER,
        },
        token::Token,
    },
    key::{
        algorithm::{KeyAlgorithm, RsaPadding, SignatureAlgorithm},
        public_key::PublicKey,
        signer::{SignError, Signer},
    },
    token::uri::Uri,
};

/// A key pair in a token. Clones share it, and keep the token open.
///
/// The private half never leaves the token (A02.FR.05).
#[derive(Clone)]
pub struct Key {
    inner: Arc<Inner>,
    padding: RsaPadding,
    /// The same key in other tokens, in the order in which they are tried.
    spares: Arc<Vec<Key>>,
}

/// What the clones of a key share.
pub(crate) struct Inner {
    pub(crate) token: Token,
    pub(crate) name: Arc<KeyName>,
    pub(crate) algorithm: KeyAlgorithm,
    pub(crate) public_key: PublicKey,
    pub(crate) uri: Uri,
}

impl Key {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner), padding: RsaPadding::default(), spares: Arc::default() }
    }

    /// The URI of the key: token, `object=` and `id=`, without PIN and module path. It may be
    /// stored.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.inner.uri
    }

    /// Label and id.
    #[must_use]
    pub fn name(&self) -> &KeyName {
        &self.inner.name
    }

    /// The token it is in.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.inner.token
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.inner.public_key
    }

    /// Sets the padding of this key's signatures in certificates, requests and CRLs. Has no effect
    /// on other keys than RSA, and none in TLS.
    #[must_use]
    pub fn with_rsa_padding(self, padding: RsaPadding) -> Self {
        Self { padding, ..self }
    }

    /// Adds the same key in another token. If the key does not sign in its own token, the spares
    /// are tried in the order in which they were added. Each token has its own circuit breaker.
    ///
    /// The vendor's tools copy a key into a second token. This crate never does.
    ///
    /// # Errors
    /// [`KeyError::NotTheSame`] if it is another key.
    pub fn with_spare(self, spare: Key) -> Result<Self, KeyError> {
        if spare.public_key() != self.public_key() {
            let keys = (Box::new(self.uri().clone()), Box::new(spare.uri().clone()));
            return Err(KeyError::NotTheSame { key: keys.0, spare: keys.1 });
        }
        let mut spares = self.spares.to_vec();
        spares.push(spare);
        Ok(Self { spares: Arc::new(spares), ..self })
    }

    /// The algorithm of the signatures in certificates, requests and CRLs.
    #[must_use]
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.inner.algorithm.signature(self.padding)
    }

    /// The kind of key.
    #[must_use]
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.inner.algorithm
    }

    /// Hashes the message and has the token sign the hash. An ECDSA signature is DER.
    ///
    /// Needs a tokio runtime with time enabled.
    ///
    /// # Errors
    /// [`SignError`], at the latest after [`Token::sign_timeout`].
    ///
    /// # Cancel safety
    /// A dropped future gives up its place in the queue, or the signature is discarded. Nothing
    /// else changes.
    pub async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let algorithm = self.signature_algorithm();
        let mut first = None;
        for key in self.with_spares() {
            match key.sign_here(algorithm, message).await {
                Err(error) if error.is_token_fault() => {
                    key.warn_of_next_token(self, &error);
                    first.get_or_insert(error);
                }
                other => return other,
            }
        }
        Err(first.unwrap_or(SignError::ShutDown))
    }

    async fn sign_here(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let asked = Instant::now();
        let result = self.sign_at(asked, algorithm, message).await;
        self.inner.token.0.pool.health().signed(asked, &result);
        result
    }

    async fn sign_at(
        &self,
        asked: Instant,
        algorithm: SignatureAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, SignError> {
        let (sender, mut receiver) = oneshot::channel();
        let after = self.inner.token.sign_timeout();
        self.submit(asked, algorithm, message, Reply::Task(sender))?;
        let look_after = LOOK_AFTER.min(after);
        let mut answered = tokio::time::timeout(look_after, &mut receiver).await;
        if answered.is_err() {
            self.inner.token.0.pool.note_hanging();
            answered = tokio::time::timeout(after - look_after, receiver).await;
        }
        match answered {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(SignError::ShutDown),
            Err(_) => {
                self.inner.token.0.pool.timed_out();
                Err(SignError::Timeout { after })
            }
        }
    }

    /// Signs on the calling thread. It blocks without a runtime, so it may be called inside
    /// `block_on`, as rustls does during a handshake.
    ///
    /// # Errors
    /// [`SignError`], at the latest after [`Token::sign_timeout`].
    pub fn sign_blocking(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.sign_blocking_by(self.signature_algorithm(), message)
    }

    /// Signs with an algorithm that was negotiated with a peer, as in TLS.
    ///
    /// # Errors
    /// [`SignError::Algorithm`] if it does not match the key; otherwise as [`Key::sign_blocking`].
    pub fn sign_blocking_by(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, SignError> {
        let mut first = None;
        for key in self.with_spares() {
            match key.sign_blocking_here(algorithm, message) {
                Err(error) if error.is_token_fault() => {
                    key.warn_of_next_token(self, &error);
                    first.get_or_insert(error);
                }
                other => return other,
            }
        }
        Err(first.unwrap_or(SignError::ShutDown))
    }

    fn sign_blocking_here(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, SignError> {
        let asked = Instant::now();
        let result = self.sign_blocking_at(asked, algorithm, message);
        self.inner.token.0.pool.health().signed(asked, &result);
        result
    }

    fn sign_blocking_at(
        &self,
        asked: Instant,
        algorithm: SignatureAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, SignError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let after = self.inner.token.sign_timeout();
        self.submit(asked, algorithm, message, Reply::Thread(sender))?;
        let look_after = LOOK_AFTER.min(after);
        let mut answered = receiver.recv_timeout(look_after);
        if matches!(answered, Err(mpsc::RecvTimeoutError::Timeout)) {
            self.inner.token.0.pool.note_hanging();
            answered = receiver.recv_timeout(after - look_after);
        }
        answered.map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => {
                self.inner.token.0.pool.timed_out();
                SignError::Timeout { after }
            }
            mpsc::RecvTimeoutError::Disconnected => SignError::ShutDown,
        })?
    }

    fn with_spares(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(self).chain(self.spares.iter())
    }

    fn warn_of_next_token(&self, first: &Key, error: &SignError) {
        if !first.spares.is_empty() {
            tracing::warn!(key = %self.uri(), error = %causes(&error), "the key does not sign in this token, trying the next token");
        }
    }

    /// Builds the PEM request (`CERTIFICATE REQUEST`) for this key. [`csr::build`] is the blocking
    /// form.
    ///
    /// # Errors
    /// [`BuildError`]
    ///
    /// # Cancel safety
    /// As [`Key::sign`].
    pub async fn csr(&self, subject: &Subject) -> Result<String, BuildError> {
        let unsigned = csr::Unsigned::new(self, subject)?;
        let signature = self.sign(unsigned.to_be_signed()).await.map_err(BuildError::Sign)?;
        unsigned.assemble(&signature)
    }

    /// Makes a test signature and verifies it with the public half. Blocks.
    ///
    /// # Errors
    /// [`KeyError::Sign`], [`KeyError::Mismatch`]
    pub fn prove(&self) -> Result<(), KeyError> {
        const MESSAGE: &[u8] = b"signer-pkcs11 test signature";
        let signature = self
            .sign_blocking(MESSAGE)
            .map_err(|source| KeyError::Sign { key: Box::new(self.uri().clone()), source })?;
        self.public_key()
            .verify_with(self.signature_algorithm(), MESSAGE, &signature)
            .map_err(|_| KeyError::Mismatch { key: Box::new(self.uri().clone()) })
    }

    fn submit(
        &self,
        asked: Instant,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        reply: Reply,
    ) -> Result<(), SignError> {
        if !algorithm.fits(self.inner.algorithm) {
            return Err(SignError::Algorithm { algorithm, key: self.inner.algorithm });
        }
        let raw_bytes = match self.inner.algorithm {
            KeyAlgorithm::EcdsaP256 | KeyAlgorithm::Ed25519 => 64,
            KeyAlgorithm::EcdsaP384 => 96,
            KeyAlgorithm::EcdsaP521 => 132,
            KeyAlgorithm::Rsa2048 => 256,
            KeyAlgorithm::Rsa3072 => 384,
            KeyAlgorithm::Rsa4096 => 512,
        };
        self.inner.token.0.pool.submit(Job {
            key: Arc::clone(&self.inner.name),
            algorithm,
            input: algorithm.token_input(message),
            raw_bytes,
            asked,
            timeout: self.inner.token.sign_timeout(),
            reply,
        })
    }
}

impl Signer for Key {
    fn public_key(&self) -> &PublicKey {
        Key::public_key(self)
    }

    fn signature_algorithm(&self) -> SignatureAlgorithm {
        Key::signature_algorithm(self)
    }

    fn sign_blocking(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Key::sign_blocking(self, message)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.inner.uri)
    }
}
