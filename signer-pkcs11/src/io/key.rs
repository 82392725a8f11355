//! Keys in a token: generated, found, destroyed, and used for signing.

use std::{
    fmt,
    sync::{Arc, mpsc},
    time::Instant,
};

use cryptoki::{
    error::RvError,
    object::{Attribute, ObjectClass, ObjectHandle},
    session::Session,
};
use tokio::sync::oneshot;

pub use crate::io::{key_error::KeyError, key_name::KeyName};
use crate::{
    algorithm::{KeyAlgorithm, RsaPadding, SignatureAlgorithm},
    csr::{self, BuildError, Subject},
    io::{
        errand::Waiting,
        fault,
        inventory::{self, KeyInfo, Read},
        pool::{Job, Reply},
        template::{self, Template},
        token::Token,
    },
    public_key::PublicKey,
    sign::{SignError, Signer, TokenFault},
    uri::Uri,
};

/// A key pair in a token. Clones share it, and keep the token open.
///
/// The private half never leaves the token (A02.FR.05).
#[derive(Clone)]
pub struct Key {
    inner: Arc<Inner>,
    padding: RsaPadding,
    /// The same key in other tokens, to be asked in this order.
    spares: Arc<Vec<Key>>,
}

struct Inner {
    token: Token,
    name: Arc<KeyName>,
    algorithm: KeyAlgorithm,
    public_key: PublicKey,
    uri: Uri,
}

impl Token {
    /// Generates a key pair inside the token, reads back what the token made of it, and makes a test signature.
    ///
    /// A key that is extractable or not sensitive is destroyed again and refused. Blocks.
    ///
    /// # Errors
    /// [`KeyError`]; nothing is left in the token then, save as [`KeyError::LeftBehind`] says. After
    /// [`TokenError::NoAnswer`](crate::TokenError::NoAnswer) the token may still make the key: it is destroyed then, if
    /// this process still runs.
    pub fn generate_key(&self, name: &KeyName, algorithm: KeyAlgorithm) -> Result<Key, KeyError> {
        let uri = name.to_uri(self);
        let wanted = name.clone();
        let taken = self.with_session(move |session| {
            let by_label = session.find_objects(&[Attribute::Label(wanted.label().into())])?;
            let by_id = session.find_objects(&[Attribute::Id(wanted.id().into())])?;
            Ok(!by_label.is_empty() || !by_id.is_empty())
        })?;
        if taken {
            return Err(KeyError::Exists { key: Box::new(uri) });
        }
        self.climb(name, algorithm)?;
        self.find_key(&uri).and_then(|key| key.prove().map(|()| key)).map_err(|error| self.undo(name, error))
    }

    /// Finds a key by `object=`, `id=` or both. Blocks.
    ///
    /// # Errors
    /// [`KeyError`]; also for a key that the token does not protect, or that cannot sign for us.
    pub fn find_key(&self, uri: &Uri) -> Result<Key, KeyError> {
        self.check_token(uri)?;
        if uri.object().is_none() && uri.id().is_none() {
            return Err(KeyError::Unnamed { key: Box::new(uri.clone()) });
        }
        let (token, wanted) = (self.uri().clone(), uri.clone());
        let found = self.with_session(move |session| inventory::find(session, &token, &wanted))?;
        let [read] = <[Read; 1]>::try_from(found).map_err(|found| match found.len() {
            0 => KeyError::NotFound { key: Box::new(uri.clone()) },
            count => KeyError::Ambiguous { key: Box::new(uri.clone()), count },
        })?;
        self.accept(read)
    }

    /// Every private key of the token, also those that [`Token::find_key`] would refuse. Blocks.
    ///
    /// # Errors
    /// [`KeyError::Token`]
    pub fn keys(&self) -> Result<Vec<KeyInfo>, KeyError> {
        let token = self.uri().clone();
        let found = self.with_session(move |session| inventory::find(session, &token, &Uri::new()))?;
        let mut keys: Vec<_> = found.into_iter().map(|read| read.info).collect();
        keys.sort_by(|a, b| (&a.label, &a.id).cmp(&(&b.label, &b.id)));
        Ok(keys)
    }

    /// Destroys a key pair, whose whole identity must be given: token, label and id. Blocks.
    ///
    /// # Errors
    /// [`KeyError::IncompleteIdentity`], [`KeyError::OtherToken`]; [`KeyError::NotFound`] if neither half exists
    /// (any more), which a caller that repeats an interrupted destruction may take as success.
    pub fn destroy_key(&self, uri: &Uri) -> Result<(), KeyError> {
        let names_token = uri.token().is_some() || uri.serial().is_some();
        let (Some(label), Some(id), true) = (uri.object(), uri.id(), names_token) else {
            return Err(KeyError::IncompleteIdentity { key: Box::new(uri.clone()) });
        };
        self.check_token(uri)?;
        let name = KeyName::read(label.to_owned(), id.to_vec());
        self.0.access.forget(&name);
        match self.remove(&name)? {
            0 => Err(KeyError::NotFound { key: Box::new(uri.clone()) }),
            _ => Ok(()),
        }
    }

    fn check_token(&self, uri: &Uri) -> Result<(), KeyError> {
        let same = |wanted: Option<&str>, is: &str| wanted.is_none_or(|wanted| wanted == is);
        if same(uri.token(), self.label()) && same(uri.serial(), self.serial()) {
            Ok(())
        } else {
            Err(KeyError::OtherToken { key: Box::new(uri.clone()), token: self.label().to_owned() })
        }
    }

    /// Tries the templates in turn; all of them once more where the token was lost and is back.
    fn climb(&self, name: &KeyName, algorithm: KeyAlgorithm) -> Result<(), KeyError> {
        match self.climb_once(name, algorithm) {
            // What some tokens say of a template others say when they are lost, such as one whose files were moved away and
            // back. A token that answers means the template. Nothing was generated so far.
            Err(KeyError::Generate { .. }) if self.was_revived() => {
                tracing::info!(key = name.label(), "the token is back, the key is generated once more");
                self.climb_once(name, algorithm)
            }
            other => other,
        }
    }

    /// Looks at the token, and says whether that took a second look: in a new session, or after a restart of the module.
    fn was_revived(&self) -> bool {
        let access = Arc::clone(&self.0.access);
        let mut looks = 0;
        let looked = self.with_session(move |session| {
            looks += 1;
            access.look(session).map(|()| looks)
        });
        looked.is_ok_and(|looks| looks > 1)
    }

    fn climb_once(&self, name: &KeyName, algorithm: KeyAlgorithm) -> Result<(), KeyError> {
        let mut last = None;
        for (rung, template) in template::ladder(name, algorithm).into_iter().enumerate() {
            // A session fault in the middle must not generate twice, so the outcome is carried out of the closure.
            let uri = name.to_uri(self);
            let outcome = self.with_session_within(self.0.generate_timeout, move |session, waiting| {
                Ok(generate(session, waiting, algorithm, &template, &uri))
            })?;
            match outcome {
                Ok(()) => {
                    tracing::debug!(key = name.label(), rung, "key generated");
                    return Ok(());
                }
                Err(error) => {
                    let source = fault::fault(&error);
                    if fault::code(&error) == Some(RvError::MechanismInvalid) {
                        return Err(KeyError::Unsupported { algorithm, source });
                    }
                    self.clean(name, algorithm, &error)?;
                    let is_template_fault = fault::is_template_fault(&error);
                    last = Some(source);
                    if !is_template_fault {
                        break;
                    }
                }
            }
        }
        let source = last.unwrap_or_else(|| TokenFault::new("C_GenerateKeyPair", "nothing"));
        Err(KeyError::Generate { algorithm, source })
    }

    /// Removes what a refused generation may have left behind: half of a pair.
    fn clean(
        &self,
        name: &KeyName,
        algorithm: KeyAlgorithm,
        error: &cryptoki::error::Error,
    ) -> Result<(), KeyError> {
        match self.remove(name) {
            Ok(_) => Ok(()),
            Err(removal) => Err(KeyError::LeftBehind {
                key: Box::new(name.to_uri(self)),
                removal: Box::new(removal),
                reason: Box::new(KeyError::Generate { algorithm, source: fault::fault(error) }),
            }),
        }
    }

    /// Destroys a key that was generated and then refused, for `reason`. The reason is what counts; that the key could
    /// not be destroyed comes on top.
    fn undo(&self, name: &KeyName, reason: KeyError) -> KeyError {
        match self.remove(name) {
            Ok(_) => reason,
            Err(removal) => KeyError::LeftBehind {
                key: Box::new(name.to_uri(self)),
                removal: Box::new(removal),
                reason: Box::new(reason),
            },
        }
    }

    /// Destroys both halves, the private one first, and says how many objects were there.
    fn remove(&self, name: &KeyName) -> Result<usize, KeyError> {
        let name = name.clone();
        let removed = self.with_session(move |session| {
            let mut removed = 0;
            for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
                let template = [
                    Attribute::Class(class),
                    Attribute::Id(name.id().into()),
                    Attribute::Label(name.label().into()),
                ];
                for object in session.find_objects(&template)? {
                    destroy(session, object)?;
                    removed += 1;
                }
            }
            Ok(removed)
        })?;
        Ok(removed)
    }

    /// A key of ours must be protected, allowed to sign, and of a kind that we can use.
    fn accept(&self, read: Read) -> Result<Key, KeyError> {
        let Read { info, public_key } = read;
        let key = Box::new(info.uri.clone());
        if info.sensitive != Some(true) || info.extractable != Some(false) {
            let attributes = info.protection();
            return Err(KeyError::NotProtected { key, attributes });
        }
        if info.always_authenticate == Some(true) {
            return Err(KeyError::AlwaysAuthenticate { key });
        }
        if info.sign == Some(false) {
            return Err(KeyError::CannotSign { key });
        }
        let Some(algorithm) = info.algorithm else {
            return Err(KeyError::Kind { key, kind: info.kind });
        };
        // CKA_NEVER_EXTRACTABLE is false for keys that were imported or, on NSS, for all.
        if info.never_extractable == Some(false) || info.local == Some(false) {
            tracing::warn!(%key, "the token does not vouch that this key was generated inside it");
        }
        let public_key = match public_key {
            None => return Err(KeyError::NoPublicKey { key }),
            Some(Err(source)) => return Err(KeyError::PublicKey { key, source }),
            Some(Ok(public_key)) => public_key,
        };
        let name = Arc::new(KeyName::read(info.label, info.id));
        let inner = Inner { token: self.clone(), name, algorithm, public_key, uri: *key };
        Ok(Key { inner: Arc::new(inner), padding: RsaPadding::default(), spares: Arc::default() })
    }
}

impl Key {
    /// Names the key: token, `object=` and `id=`, without PIN and module path. Fit to be stored.
    pub fn uri(&self) -> &Uri {
        &self.inner.uri
    }

    /// Label and id.
    pub fn name(&self) -> &KeyName {
        &self.inner.name
    }

    /// The token it is in.
    pub fn token(&self) -> &Token {
        &self.inner.token
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.inner.public_key
    }

    /// The same key, whose signatures in certificates, requests and CRLs have this padding. Without effect for keys
    /// that are not RSA, and in TLS.
    pub fn with_rsa_padding(self, padding: RsaPadding) -> Self {
        Self { padding, ..self }
    }

    /// The same key, which is also in another token: it is asked where this one does not sign, as are those named before.
    /// Each token is left alone by itself when it fails.
    ///
    /// A key gets into a second token by the vendor's own means; none is ever generated for it here.
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
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.inner.algorithm.signature(self.padding)
    }

    /// The kind of key.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.inner.algorithm
    }

    /// Hashes the message here and has the hash signed by the token. An ECDSA signature is DER.
    ///
    /// Needs a tokio runtime with time enabled.
    ///
    /// # Errors
    /// [`SignError`], at the latest after [`Token::sign_timeout`].
    ///
    /// # Cancel safety
    /// Dropping it gives the place in the queue up, or throws the signature away. Nothing else changes.
    pub async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let algorithm = self.signature_algorithm();
        let mut first = None;
        for key in self.and_spares() {
            match key.sign_here(algorithm, message).await {
                Err(error) if error.is_of_the_token() => {
                    key.tell_of_spares(self, &error);
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
        self.inner.token.0.access.metrics.signed(asked, &result);
        result
    }

    async fn sign_at(
        &self,
        asked: Instant,
        algorithm: SignatureAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, SignError> {
        let (sender, receiver) = oneshot::channel();
        let after = self.inner.token.sign_timeout();
        self.submit(asked, algorithm, message, Reply::Task(sender))?;
        match tokio::time::timeout(after, receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(SignError::ShutDown),
            Err(_) => {
                self.inner.token.0.pool.timed_out();
                Err(SignError::Timeout { after })
            }
        }
    }

    /// The same for threads. It blocks without the help of a runtime, so it may be called inside `block_on`, as
    /// rustls does during a handshake.
    ///
    /// # Errors
    /// [`SignError`], at the latest after [`Token::sign_timeout`].
    pub fn sign_blocking(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.sign_blocking_by(self.signature_algorithm(), message)
    }

    /// The same by an algorithm that was agreed on with a peer, as in TLS.
    ///
    /// # Errors
    /// [`SignError::Algorithm`] for one that does not fit the key; else as [`Key::sign_blocking`].
    pub fn sign_blocking_by(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, SignError> {
        let mut first = None;
        for key in self.and_spares() {
            match key.sign_blocking_here(algorithm, message) {
                Err(error) if error.is_of_the_token() => {
                    key.tell_of_spares(self, &error);
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
        self.inner.token.0.access.metrics.signed(asked, &result);
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
        receiver.recv_timeout(after).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => {
                self.inner.token.0.pool.timed_out();
                SignError::Timeout { after }
            }
            mpsc::RecvTimeoutError::Disconnected => SignError::ShutDown,
        })?
    }

    fn and_spares(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(self).chain(self.spares.iter())
    }

    fn tell_of_spares(&self, first: &Key, error: &SignError) {
        if !first.spares.is_empty() {
            tracing::warn!(key = %self.uri(), %error, "the key does not sign in this token, the next one is asked");
        }
    }

    /// The PEM request (`CERTIFICATE REQUEST`) for this key. [`csr::build`] is the blocking form.
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

/// Generates a pair by one template, unless nobody waits for it any more.
fn generate(
    session: &Session,
    waiting: &Waiting,
    algorithm: KeyAlgorithm,
    template: &Template,
    uri: &Uri,
) -> cryptoki::error::Result<()> {
    if waiting.is_over() {
        return Ok(());
    }
    let pair =
        session.generate_key_pair(&template::mechanism(algorithm), &template.public, &template.private)?;
    if !waiting.hold() {
        // Whoever asked for the key has been told that there is none. Nobody hears what becomes of it either.
        for object in [pair.1, pair.0] {
            if let Err(error) = destroy(session, object) {
                let error = fault::fault(&error);
                tracing::error!(key = %uri, %error, "half of a key that came too late is left in the token");
            }
        }
    }
    Ok(())
}

/// An object that somebody else destroyed meanwhile is as good as destroyed by us.
fn destroy(session: &Session, object: ObjectHandle) -> cryptoki::error::Result<()> {
    match session.destroy_object(object) {
        Err(error) if fault::code(&error) == Some(RvError::ObjectHandleInvalid) => Ok(()),
        other => other,
    }
}
