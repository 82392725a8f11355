//! Generating, finding, listing and destroying keys in a token.

use std::sync::Arc;

use cryptoki::{
    object::{Attribute, ObjectClass},
    session::Session,
};
use program::causes;

use crate::{
    io::{
        key::{
            Inner, Key,
            error::KeyError,
            inventory::{self, Found, KeyInfo, Read},
            name::KeyName,
            template::{self, Template},
        },
        token::{Token, fault, module::calls::Caller},
    },
    key::algorithm::KeyAlgorithm,
    token::{fault::TokenFault, uri::Uri},
};

impl Token {
    /// Generates a key pair inside the token, reads its attributes back, and makes a test
    /// signature.
    ///
    /// A key that is extractable or not sensitive is destroyed and refused. Blocks.
    ///
    /// # Errors
    /// [`KeyError`]. Nothing remains in the token then, except as [`KeyError::LeftBehind`] reports.
    /// After [`TokenError::NoAnswer`](crate::TokenError::NoAnswer) the token may still generate the
    /// key. It is destroyed then, if this process is still running.
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
        self.generate_pair(name, algorithm)?;
        self.find_key(&uri).and_then(|key| key.prove().map(|()| key)).map_err(|error| self.undo(name, error))
    }

    /// Finds a key by `object=`, `id=` or both. Blocks.
    ///
    /// # Errors
    /// [`KeyError`], also for a key that the token does not protect, or that cannot sign.
    pub fn find_key(&self, uri: &Uri) -> Result<Key, KeyError> {
        self.check_token(uri)?;
        if uri.object().is_none() && uri.id().is_none() {
            return Err(KeyError::Unnamed { key: Box::new(uri.without_query()) });
        }
        let (token, wanted) = (self.uri().clone(), uri.clone());
        let found = self.with_session(move |session| inventory::find(session, &token, &wanted))?;
        let [found] = <[Found; 1]>::try_from(found).map_err(|found| match found.len() {
            0 => KeyError::NotFound { key: Box::new(uri.without_query()) },
            count => KeyError::Ambiguous { key: Box::new(uri.without_query()), count },
        })?;
        let read = found.read();
        let is_from_certificate = read.is_from_certificate;
        let key = self.accept(read)?;
        if is_from_certificate {
            key.prove()?;
        }
        Ok(key)
    }

    /// Lists every private key of the token, also those that [`Token::find_key`] would refuse.
    /// Blocks.
    ///
    /// # Errors
    /// [`KeyError::Token`]
    pub fn keys(&self) -> Result<Vec<KeyInfo>, KeyError> {
        let token = self.uri().clone();
        let found = self.with_session(move |session| inventory::find(session, &token, &Uri::new()))?;
        let mut keys: Vec<_> = found.into_iter().map(|found| found.read().info).collect();
        keys.sort_by(|a, b| (&a.label, &a.id).cmp(&(&b.label, &b.id)));
        Ok(keys)
    }

    /// Destroys a key pair, and checks that it is gone. The URI must contain the complete identity:
    /// token, label and id. A key without a label is named without `object=`, one without an id
    /// without `id=`. Blocks.
    ///
    /// # Errors
    /// [`KeyError::IncompleteIdentity`], [`KeyError::OtherToken`]; [`KeyError::Remains`];
    /// [`KeyError::NotFound`] if neither half exists (any more). A caller that repeats an
    /// interrupted destruction may treat that as success.
    pub fn destroy_key(&self, uri: &Uri) -> Result<(), KeyError> {
        let names_token = uri.token().is_some() || uri.serial().is_some();
        let key = || Box::new(uri.without_query());
        if !names_token || (uri.object().is_none() && uri.id().is_none()) {
            return Err(KeyError::IncompleteIdentity { key: key() });
        }
        self.check_token(uri)?;
        let name = KeyName::read(
            uri.object().unwrap_or_default().to_owned(),
            uri.id().unwrap_or_default().to_owned(),
        );
        self.0.pool.health().forget(&name);
        if self.remove(&name)? > 0 {
            return Ok(());
        }
        let (token, wanted) = (self.uri().clone(), uri.clone());
        let similar = self.with_session(move |session| inventory::find(session, &token, &wanted))?;
        Err(match similar.is_empty() {
            true => KeyError::NotFound { key: key() },
            false => KeyError::IncompleteIdentity { key: key() },
        })
    }

    fn check_token(&self, uri: &Uri) -> Result<(), KeyError> {
        if self.0.access.is_named_by(uri) {
            Ok(())
        } else {
            Err(KeyError::OtherToken { key: Box::new(uri.without_query()), token: self.label().to_owned() })
        }
    }

    /// Tries the templates in turn, and all of them once more if the token was lost and has
    /// returned.
    fn generate_pair(&self, name: &KeyName, algorithm: KeyAlgorithm) -> Result<(), KeyError> {
        match self.try_templates(name, algorithm) {
            // Some tokens return the same fault for a refused template and for a lost token, for
            // example if its files were moved away and back. If the token answers, the template was
            // refused. Nothing was generated so far.
            Err(KeyError::Generate { .. }) if self.has_returned() => {
                tracing::info!(key = name.label(), "the token has returned, generating the key again");
                self.try_templates(name, algorithm)
            }
            other => other,
        }
    }

    /// Calls the token, and returns whether that took a second attempt: in a new session, or after
    /// a restart of the module.
    fn has_returned(&self) -> bool {
        let access = Arc::clone(&self.0.access);
        let mut looks = 0;
        let looked = self.with_session(move |session| {
            looks += 1;
            access.look(session).map(|()| looks)
        });
        looked.is_ok_and(|looks| looks > 1)
    }

    fn try_templates(&self, name: &KeyName, algorithm: KeyAlgorithm) -> Result<(), KeyError> {
        let mut last = None;
        for (template_number, template) in template::all(name, algorithm).into_iter().enumerate() {
            // A session fault must not generate twice, so the closure returns the outcome.
            let uri = name.to_uri(self);
            let outcome = self.with_session_within(self.0.generate_timeout, move |session, caller| {
                Ok(generate(session, caller, algorithm, &template, &uri))
            })?;
            match outcome {
                Ok(()) => {
                    tracing::debug!(key = name.label(), template_number, "key generated");
                    return Ok(());
                }
                Err(error) => {
                    let source = fault::fault(&error);
                    if fault::is_unsupported(&error) {
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

    /// Removes half of a pair that a refused generation may have left behind.
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

    /// Destroys a key that was generated and then refused for `reason`. The reason is the main
    /// error; a failed destruction is added to it.
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

    /// Destroys both halves, the private one first, and returns how many objects there were.
    fn remove(&self, name: &KeyName) -> Result<usize, KeyError> {
        let wanted = name.clone();
        let (removed, left) = self.with_session(move |session| {
            let removed = destroy(session, &wanted)?;
            // Some tokens report success and keep the object.
            let mut left = 0;
            for class in HALVES {
                left += inventory::objects(session, class, &wanted)?.len();
            }
            Ok((removed, left))
        })?;
        match left {
            0 => Ok(removed),
            left => Err(KeyError::Remains { key: Box::new(name.to_uri(self)), left }),
        }
    }

    /// Accepts a key that is protected, allowed to sign, and of a supported kind.
    fn accept(&self, read: Read) -> Result<Key, KeyError> {
        let Read { info, name, public_key, .. } = read;
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
        // CKA_NEVER_EXTRACTABLE is false for imported keys and, on NSS, for all keys.
        if info.never_extractable == Some(false) || info.local == Some(false) {
            tracing::warn!(%key, "the token does not confirm that this key was generated inside it");
        }
        let public_key = match public_key {
            None => return Err(KeyError::NoPublicKey { key }),
            Some(Err(source)) => return Err(KeyError::PublicKey { key, source }),
            Some(Ok(public_key)) => public_key,
        };
        let name = Arc::new(name);
        Ok(Key::new(Inner { token: self.clone(), name, algorithm, public_key, uri: *key }))
    }
}

impl KeyName {
    /// The URI of the key in this token, also after a restart.
    #[must_use]
    pub fn to_uri(&self, token: &Token) -> Uri {
        inventory::key_uri(token.uri(), self.label(), self.id())
    }
}

/// Generates a pair with one template, unless the caller has given up.
fn generate(
    session: &Session,
    caller: &Caller,
    algorithm: KeyAlgorithm,
    template: &Template,
    uri: &Uri,
) -> cryptoki::error::Result<()> {
    if caller.is_over() {
        return Ok(());
    }
    let pair =
        session.generate_key_pair(&template::mechanism(algorithm), &template.public, &template.private)?;
    if !caller.hold() {
        // The caller has already received an error, so it does not get the outcome of the
        // destruction either.
        for object in [pair.1, pair.0] {
            if let Err(error) = session.destroy_object(object) {
                let error = fault::fault(&error);
                tracing::error!(key = %uri, error = %causes(&error), "half of a key that was generated too late remains in the token");
            }
        }
    }
    Ok(())
}

/// Destroys both halves, and returns how many objects there were. An object that has been destroyed
/// meanwhile counts as destroyed.
fn destroy(session: &Session, name: &KeyName) -> cryptoki::error::Result<usize> {
    let login = session.get_session_info()?.session_state();
    let mut removed = 0;
    for class in HALVES {
        for object in inventory::objects(session, class, name)? {
            match session.destroy_object(object) {
                Err(error) if !inventory::is_gone(session, login, class, object) => return Err(error),
                _ => removed += 1,
            }
        }
    }
    Ok(removed)
}

/// The halves of a pair, in the order in which they are destroyed.
const HALVES: [ObjectClass; 2] = [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY];
