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
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

pub use crate::io::{key_error::KeyError, key_name::KeyName};
use crate::{
    algorithm::KeyAlgorithm,
    csr::{self, BuildError, Subject},
    io::{
        fault,
        inventory::{self, KeyInfo, Read},
        pool::{Job, Reply},
        template,
        token::Token,
    },
    public_key::PublicKey,
    sign::{SignError, Signer},
    uri::Uri,
};

/// A key pair in a token. Clones share it, and keep the token open.
///
/// The private half never leaves the token (A02.FR.05).
#[derive(Clone)]
pub struct Key(Arc<Inner>);

struct Inner {
    token: Token,
    name: KeyName,
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
    /// [`KeyError`]; nothing is left in the token then.
    pub fn generate_key(&self, name: &KeyName, algorithm: KeyAlgorithm) -> Result<Key, KeyError> {
        let uri = name.to_uri(self);
        let taken = self.with_session(|session| {
            let by_label = session.find_objects(&[Attribute::Label(name.label().into())])?;
            let by_id = session.find_objects(&[Attribute::Id(name.id().into())])?;
            Ok(!by_label.is_empty() || !by_id.is_empty())
        })?;
        if taken {
            return Err(KeyError::Exists { key: Box::new(uri) });
        }
        self.climb(name, algorithm)?;
        let checked = self.find_key(&uri).and_then(|key| key.prove().map(|()| key));
        if checked.is_err() {
            self.remove(name)?;
        }
        checked
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
        let found = self.with_session(|session| inventory::find(session, self.uri(), uri))?;
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
        let found = self.with_session(|session| inventory::find(session, self.uri(), &Uri::new()))?;
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
        match self.remove(&KeyName::read(label.to_owned(), id.to_vec()))? {
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

    /// Tries the templates in turn.
    fn climb(&self, name: &KeyName, algorithm: KeyAlgorithm) -> Result<(), KeyError> {
        let mechanism = template::mechanism(algorithm);
        let mut last = None;
        for (rung, template) in template::ladder(name, algorithm).iter().enumerate() {
            // A session fault in the middle must not generate twice, so the outcome is carried out of the closure.
            let outcome = self.with_session(|session| {
                Ok(session.generate_key_pair(&mechanism, &template.public, &template.private))
            })?;
            match outcome {
                Ok(_) => {
                    tracing::debug!(key = name.label(), rung, "key generated");
                    return Ok(());
                }
                Err(error) => {
                    // A refused template may leave half of a pair behind.
                    self.remove(name)?;
                    let template_fault = fault::is_template_fault(&error);
                    last = Some(fault::fault(&error));
                    if !template_fault {
                        break;
                    }
                }
            }
        }
        let source = last.unwrap_or_else(|| crate::sign::TokenFault::new("C_GenerateKeyPair", "nothing"));
        Err(KeyError::Generate { algorithm, source })
    }

    /// Destroys both halves, the private one first, and says how many objects were there.
    fn remove(&self, name: &KeyName) -> Result<usize, KeyError> {
        let removed = self.with_session(|session| {
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
        let name = KeyName::read(info.label, info.id);
        Ok(Key(Arc::new(Inner { token: self.clone(), name, algorithm, public_key, uri: *key })))
    }
}

impl Key {
    /// Names the key: token, `object=` and `id=`, without PIN and module path. Fit to be stored.
    pub fn uri(&self) -> &Uri {
        &self.0.uri
    }

    /// Label and id.
    pub fn name(&self) -> &KeyName {
        &self.0.name
    }

    /// The token it is in.
    pub fn token(&self) -> &Token {
        &self.0.token
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    /// The kind of key.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.0.algorithm
    }

    /// Hashes the message here and has the hash signed by the token; the signature is DER.
    ///
    /// Needs a tokio runtime with time enabled.
    ///
    /// # Errors
    /// [`SignError`], at the latest after [`Token::sign_timeout`].
    ///
    /// # Cancel safety
    /// Dropping it gives the place in the queue up, or throws the signature away. Nothing else changes.
    pub async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let (sender, receiver) = oneshot::channel();
        let after = self.0.token.sign_timeout();
        self.submit(message, Reply::Task(sender))?;
        match tokio::time::timeout(after, receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(SignError::ShutDown),
            Err(_) => Err(SignError::Timeout { after }),
        }
    }

    /// The same for threads. It blocks without the help of a runtime, so it may be called inside `block_on`, as
    /// rustls does during a handshake.
    ///
    /// # Errors
    /// [`SignError`], at the latest after [`Token::sign_timeout`].
    pub fn sign_blocking(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let after = self.0.token.sign_timeout();
        self.submit(message, Reply::Thread(sender))?;
        receiver.recv_timeout(after).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => SignError::Timeout { after },
            mpsc::RecvTimeoutError::Disconnected => SignError::ShutDown,
        })?
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
            .verify_with(self.algorithm(), MESSAGE, &signature)
            .map_err(|_| KeyError::Mismatch { key: Box::new(self.uri().clone()) })
    }

    fn submit(&self, message: &[u8], reply: Reply) -> Result<(), SignError> {
        let digest = match self.0.algorithm {
            KeyAlgorithm::EcdsaP256 => Sha256::digest(message).to_vec(),
        };
        self.0.token.0.pool.submit(Job {
            key: self.0.name.clone(),
            algorithm: self.0.algorithm,
            digest,
            asked: Instant::now(),
            timeout: self.0.token.sign_timeout(),
            reply,
        })
    }
}

impl Signer for Key {
    fn public_key(&self) -> &PublicKey {
        Key::public_key(self)
    }

    fn algorithm(&self) -> KeyAlgorithm {
        Key::algorithm(self)
    }

    fn sign_blocking(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Key::sign_blocking(self, message)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0.uri)
    }
}

/// An object that somebody else destroyed meanwhile is as good as destroyed by us.
fn destroy(session: &Session, object: ObjectHandle) -> cryptoki::error::Result<()> {
    match session.destroy_object(object) {
        Err(error) if fault::code(&error) == Some(RvError::ObjectHandleInvalid) => Ok(()),
        other => other,
    }
}
