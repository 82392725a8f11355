//! The station's own keys: generated in the token for a request, destroyed when nothing needs them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use program::causes;
use signer_pkcs11::{
    Key, KeyAlgorithm, KeyError, KeyName, Subject, Token, TokenError, TokenOptions, Uri, UriError, csr,
};
use station_store::{
    CertificateSigningUse, NewPending, PendingCsr, PendingError, PendingId, PendingState, StorageError,
};

use crate::{
    config::KeyAlgorithms,
    io::{disk::store::StationStore, locking::lock},
};

/// The station's keys: the token holds them, and the store records the purpose of each. All methods
/// block.
#[derive(Debug)]
pub(crate) struct Keyring {
    token: Token,
    store: Arc<StationStore>,
    /// The subject of a certificate that was announced without names of its own.
    subject: Subject,
    /// The kinds of key for the connection.
    algorithms: KeyAlgorithms,
    /// Held while a key is generated or destroyed. If a request is dropped while the token
    /// generates its key, the key must not appear after its name was removed.
    token_in_use: Mutex<()>,
    /// Names of keys that the token may still be generating, each with the instant after which the
    /// key cannot appear any more. They are the keys that were condemned when the station started,
    /// and the keys of calls that were not answered. The former process may have been killed while
    /// the token generated the key in a process or device of its own, so the key may still appear.
    unfinished: Mutex<BTreeMap<String, Instant>>,
}

/// A certificate to request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) use_: CertificateSigningUse,
    pub(crate) common_name: String,
    pub(crate) organization: String,
    pub(crate) country: Option<String>,
}

/// Why there is no request, or why a key could not be destroyed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolmentError {
    /// The token failed.
    #[error("the token reported an error")]
    Key(#[from] KeyError),
    /// The token cannot generate a key that is allowed here.
    #[error(
        "the token can generate no key of {allowed}: for the connection, allow another kind in certificates.key_algorithms; for vehicles, use another token"
    )]
    NoKind {
        /// The kinds that are allowed.
        allowed: KeyAlgorithms,
        /// The token's error for the last of them.
        #[source]
        source: KeyError,
    },
    /// The store failed.
    #[error("the store cannot record the key's name")]
    Pending(#[from] PendingError),
    /// The store failed.
    #[error("the store cannot remove the key's name")]
    Storage(#[from] StorageError),
    /// The request could not be built.
    #[error("the certificate request could not be made")]
    Request(#[from] csr::BuildError),
    /// The store names a key by a text that is not a URI.
    #[error("the store has an invalid URI for a key")]
    Uri(#[from] UriError),
}

impl EnrolmentError {
    /// Whether the disk failed: the same step can be tried when the disk takes writes again.
    pub(crate) fn is_storage(&self) -> bool {
        matches!(self, Self::Pending(PendingError::Storage { .. }) | Self::Storage(_))
    }

    /// Whether the request has ended meanwhile: its certificate has arrived, or another request has
    /// replaced it.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Pending(PendingError::UnknownPending { .. }))
    }

    /// Whether every further attempt would fail as well.
    pub(crate) fn is_permanent(&self) -> bool {
        matches!(self, Self::NoKind { .. })
    }
}

impl Keyring {
    /// Restores the keys after a start. A key that was announced but not completed gets a new name,
    /// under which it is generated again.
    pub(crate) fn restore(token: Token, store: Arc<StationStore>, subject: Subject) -> Self {
        for pending in store.pending() {
            if pending.state != PendingState::KeyAnnounced {
                continue;
            }
            let renamed = new_name(&token)
                .map_err(EnrolmentError::from)
                .and_then(|name| Ok(store.writable().rename_pending(pending.id, &name)?));
            if let Err(error) = renamed {
                tracing::warn!(error = %causes(&error), request = %pending.id, "an announced key could not be renamed");
            }
        }
        let until = Instant::now() + longest_generation();
        let unfinished = store.condemned_keys().into_iter().map(|name| (name, until)).collect();
        Self {
            token,
            store,
            subject,
            algorithms: KeyAlgorithms::default(),
            token_in_use: Mutex::new(()),
            unfinished: Mutex::new(unfinished),
        }
    }

    /// The kinds of key for the connection.
    pub(crate) fn with_algorithms(self, algorithms: KeyAlgorithms) -> Self {
        Self { algorithms, ..self }
    }

    /// The subject of the certificate for the connection (A00.FR.509, A00.FR.511).
    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Records that a key will be generated for `wanted`, and the names in its certificate. The
    /// CSMS may change the settings for these names before the certificate arrives.
    ///
    /// The key's name is stored before the key exists, so a crash leaves no key without a record.
    pub(crate) fn announce(&self, wanted: &Wanted) -> Result<PendingId, EnrolmentError> {
        let mut new = NewPending::new(new_name(&self.token)?, wanted.use_)
            .common_name(&wanted.common_name)
            .organization(&wanted.organization)
            // A02.FR.24; versions without a request id leave it out.
            .request_id(request_id()?);
        if let Some(country) = &wanted.country {
            new = new.country(country);
        }
        Ok(self.store.writable().begin_pending(&new)?)
    }

    /// Generates the announced key, and signs a request with it (A02.FR.02, A02.FR.03).
    pub(crate) fn make(&self, id: PendingId) -> Result<(), EnrolmentError> {
        let _token_in_use = lock(&self.token_in_use);
        let pending = self.pending(id).ok_or(PendingError::UnknownPending { id })?;
        if pending.state != PendingState::KeyAnnounced {
            return Ok(());
        }
        let uri: Uri = pending.key_uri.parse()?;
        let (Some(label), Some(key_id)) = (uri.object(), uri.id()) else {
            return Err(KeyError::IncompleteIdentity { key: Box::new(uri) }.into());
        };
        let name = KeyName::new(label, key_id)?;
        // A key that cannot be recorded would be generated in vain.
        self.store.check_writable()?;
        let allowed = match pending.use_ {
            CertificateSigningUse::ChargingStation => self.algorithms.clone(),
            use_ => KeyAlgorithms::only(algorithm(use_)),
        };
        let made = match self.generate(&name, &allowed) {
            // The key was generated before, but its request could not be built: it was never used.
            Err(EnrolmentError::Key(KeyError::Exists { .. })) => {
                self.token.destroy_key(&uri)?;
                self.generate(&name, &allowed)
            }
            made => made,
        };
        let key = match made {
            // The call still runs in the module, and may still generate a key.
            Err(error @ EnrolmentError::Key(KeyError::Token(TokenError::NoAnswer { .. }))) => {
                lock(&self.unfinished).insert(pending.key_uri, Instant::now() + longest_generation());
                return Err(error);
            }
            made => made?,
        };
        let csr = csr::build(&key, &self.subject_of(&pending))?;
        Ok(self.store.writable().complete_pending(id, key.public_key().spki_der(), &csr)?)
    }

    /// Generates a key of the first allowed kind that the token supports.
    fn generate(&self, name: &KeyName, allowed: &KeyAlgorithms) -> Result<Key, EnrolmentError> {
        let mut last = None;
        for algorithm in allowed.iter() {
            match self.token.generate_key(name, algorithm) {
                Err(error @ KeyError::Unsupported { .. }) => {
                    tracing::info!(%algorithm, error = %causes(&error), "the token does not support this kind of key");
                    last = Some(error);
                }
                made => return Ok(made?),
            }
        }
        // A list of kinds is never empty.
        let source = last.unwrap_or(KeyError::Name);
        Err(EnrolmentError::NoKind { allowed: allowed.clone(), source })
    }

    /// The request `id`, if it waits for a certificate.
    pub(crate) fn pending(&self, id: PendingId) -> Option<PendingCsr> {
        self.store.pending().into_iter().find(|pending| pending.id == id)
    }

    fn subject_of(&self, pending: &PendingCsr) -> Subject {
        let named = |name: &Option<String>, default: &String| name.as_ref().unwrap_or(default).clone();
        let mut subject = Subject::new(
            named(&pending.common_name, &self.subject.common_name),
            named(&pending.organization, &self.subject.organization),
        );
        if let Some(country) = &pending.country {
            subject = subject.country(country);
        }
        // ISO 15118-2, annex F: a vehicle recognizes an SECC by this.
        if pending.use_ == CertificateSigningUse::V2g {
            subject = subject.domain_component("CPO");
        }
        subject
    }

    /// Destroys the keys that nothing needs any more. Only keys that the store names are destroyed.
    /// A failure for one key does not stop the destruction of the next ones. If a key may still
    /// appear, returns the time after which to call this again.
    pub(crate) fn destroy_condemned(&self) -> Result<Option<Duration>, EnrolmentError> {
        let _token_in_use = lock(&self.token_in_use);
        let condemned = self.store.condemned_keys();
        let now = Instant::now();
        let unfinished = {
            let mut unfinished = lock(&self.unfinished);
            unfinished.retain(|_, until| *until > now);
            unfinished.clone()
        };
        let destroyed = condemned.iter().map(|name| -> Result<(), EnrolmentError> {
            self.destroy(name)?;
            if unfinished.contains_key(name) {
                Ok(())
            } else {
                Ok(self.store.writable().key_destroyed(name)?)
            }
        });
        destroyed.fold(Ok(()), Result::and)?;
        Ok(condemned.iter().filter_map(|name| unfinished.get(name)).min().map(|until| *until - now))
    }

    fn destroy(&self, name: &str) -> Result<(), EnrolmentError> {
        match self.token.destroy_key(&name.parse::<Uri>()?) {
            // The key is already gone: a crash happened before its name was removed.
            Ok(()) | Err(KeyError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The key of one of the station's own certificates.
    pub(crate) fn key(&self, uri: &str) -> Result<Key, EnrolmentError> {
        Ok(self.token.find_key(&uri.parse::<Uri>()?)?)
    }
}

/// The kind of key for vehicles. P-256 is common to ISO 15118-2 and OCPP; ISO 15118-20 requires
/// P-521.
fn algorithm(use_: CertificateSigningUse) -> KeyAlgorithm {
    match use_ {
        CertificateSigningUse::V2g20 => KeyAlgorithm::EcdsaP521,
        _ => KeyAlgorithm::EcdsaP256,
    }
}

/// A name that no other key has: some tokens refuse a label that exists already.
fn new_name(token: &Token) -> Result<String, KeyError> {
    let random = getrandom::u64().map_err(|_| KeyError::Random)?;
    Ok(KeyName::random(format!("ocpp-station-{random:016x}"))?.to_uri(token).to_string())
}

/// An id by which the CSMS distinguishes the pending requests (OCPP 2.1).
fn request_id() -> Result<i64, KeyError> {
    let random = getrandom::u32().map_err(|_| KeyError::Random)?;
    // Many CSMSs store the id as an integer of 32 bits.
    Ok(i64::from(random >> 1))
}

/// The longest time that a token gets for one key: the station opens it with this default.
fn longest_generation() -> Duration {
    TokenOptions::new().generate_timeout
}

#[cfg(test)]
mod tests {
    use signer_pkcs11::{Pin, TokenOptions, init_token};
    use station_store::{Settings, Store};

    use super::*;
    use crate::io::disk::faults::DiskFaults;

    fn keyring(folder: &std::path::Path) -> Keyring {
        keyring_with(folder, TokenOptions::new())
    }

    fn keyring_with(folder: &std::path::Path, options: TokenOptions) -> Keyring {
        let module = std::env::var_os("PKCS11_MODULE");
        let module: std::path::PathBuf =
            module.expect("PKCS11_MODULE is not set; run the tests with `cargo xtask test`").into();
        let label = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let pin = Pin::new("test-pin");
        init_token(&module, &label, &Pin::new("so-test-pin"), &pin).expect("a token");
        let uri = format!("pkcs11:token={label}").parse().expect("a URI");
        let token = Token::open(&uri, &options.module(module).pin(pin)).expect("opens");
        let store = Store::open(folder.join("store"), Settings::new("SN-0001")).expect("opens");
        let store = StationStore::new(store, Arc::new(DiskFaults::new(folder.to_owned())));
        Keyring::restore(token, Arc::new(store), Subject::new("SN-0001", "Test CSO"))
    }

    /// The same station after a restart.
    fn restarted(keyring: Keyring) -> Keyring {
        let Keyring { token, store, subject, .. } = keyring;
        Keyring::restore(token, store, subject)
    }

    fn name(uri: &str) -> KeyName {
        let uri: Uri = uri.parse().expect("a URI");
        KeyName::new(uri.object().expect("a label"), uri.id().expect("an id")).expect("a name")
    }

    fn wanted(use_: CertificateSigningUse, common_name: &str) -> Wanted {
        let (organization, country) = ("Test CSO".to_owned(), Some("NL".to_owned()));
        Wanted { use_, common_name: common_name.to_owned(), organization, country }
    }

    #[test]
    fn requests_that_are_given_up_while_their_keys_are_made_leave_no_key_that_nobody_knows() {
        let folder = tempfile::tempdir().expect("a folder");
        let keyring = keyring(folder.path());
        let wanted = wanted(CertificateSigningUse::ChargingStation, "SN-0001");
        let announced: Vec<_> = (0..8).map(|_| keyring.announce(&wanted).expect("announced")).collect();
        std::thread::scope(|scope| {
            for (position, id) in announced.iter().enumerate() {
                let keyring = &keyring;
                scope.spawn(move || keyring.make(*id));
                if position % 2 == 0 {
                    scope.spawn(|| {
                        keyring.store.drop_pending(*id).expect("dropped");
                        keyring.destroy_condemned().expect("destroyed");
                    });
                }
            }
        });
        keyring.destroy_condemned().expect("destroyed");
        let pending = keyring.store.pending();
        assert_eq!(pending.len(), 4);
        assert!(pending.iter().all(|pending| matches!(pending.state, PendingState::CsrReady { .. })));
        assert_eq!(keyring.token.keys().expect("lists").len(), 4);
    }

    /// A CSMS may be faster than the disk, and an operator faster than the token.
    #[test]
    fn what_comes_after_the_end_of_a_request_is_known_as_such() {
        let folder = tempfile::tempdir().expect("a folder");
        let keyring = keyring(folder.path());
        let wanted = wanted(CertificateSigningUse::ChargingStation, "SN-0001");
        let id = keyring.announce(&wanted).expect("announced");
        keyring.make(id).expect("made");
        keyring.store.drop_pending(id).expect("dropped");
        let note = station_store::SendNote { accepted: 1, due: None };
        let noted = keyring.store.writable().note_send(id, note).map_err(EnrolmentError::from);
        assert!(noted.expect_err("it is over").is_over());
        assert!(keyring.make(id).expect_err("it is over").is_over());
    }

    #[test]
    fn f06_fr_10_a_key_without_a_request_is_made_anew_after_a_crash() {
        let folder = tempfile::tempdir().expect("a folder");
        let keyring = keyring(folder.path());
        let id = keyring.announce(&wanted(CertificateSigningUse::V2g, "SECC-1")).expect("announced");
        let announced = keyring.pending(id).expect("waits").key_uri;
        // The crash: the key exists, and the store has no record of it.
        let lost = keyring.token.generate_key(&name(&announced), KeyAlgorithm::EcdsaP256).expect("made");
        let lost = lost.public_key().spki_der().to_vec();
        let keyring = restarted(keyring);
        keyring.destroy_condemned().expect("destroyed");
        keyring.make(id).expect("made");
        let PendingState::CsrReady { spki_der, csr_pem } = keyring.pending(id).expect("waits").state else {
            panic!("the request was not made");
        };
        assert_ne!(spki_der, lost);
        assert_eq!(keyring.token.keys().expect("lists").len(), 1);
        // A02: CN is the SeccId.
        let csr = csr::Csr::parse(&csr_pem).expect("reads");
        assert_eq!((csr.common_name(), csr.organization()), (Some("SECC-1"), Some("Test CSO")));
    }
    #[test]
    fn a_key_that_the_token_makes_after_the_crash_is_destroyed_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let keyring = keyring(folder.path());
        let wanted = wanted(CertificateSigningUse::ChargingStation, "SN-0001");
        let id = keyring.announce(&wanted).expect("announced");
        let announced = keyring.pending(id).expect("waits").key_uri;
        let keyring = restarted(keyring);
        let again = keyring.destroy_condemned().expect("nothing to destroy");
        assert!(again.is_some_and(|wait| wait <= longest_generation()), "{again:?}");
        // The token outlives the process, and completes the call of the former process only now.
        keyring.token.generate_key(&name(&announced), KeyAlgorithm::EcdsaP256).expect("made");
        keyring.make(id).expect("made under another name");
        lock(&keyring.unfinished).values_mut().for_each(|until| *until = Instant::now());
        assert_eq!(keyring.destroy_condemned().expect("destroyed"), None);
        assert_eq!(keyring.store.condemned_keys(), [""; 0]);
        let keys = keyring.token.keys().expect("lists");
        assert_eq!(keys.len(), 1);
        keyring.key(&keyring.pending(id).expect("waits").key_uri).expect("the one that was promised");
    }

    #[test]
    fn the_name_of_a_key_that_the_token_is_still_making_is_not_struck_out() {
        let folder = tempfile::tempdir().expect("a folder");
        // No token answers in this time; the call continues.
        let keyring = keyring_with(folder.path(), TokenOptions::new().generate_timeout(Duration::ZERO));
        let id = keyring.announce(&wanted(CertificateSigningUse::V2g20, "SECC-1")).expect("announced");
        let announced = keyring.pending(id).expect("waits").key_uri;
        let made = keyring.make(id);
        let unanswered = |error: &EnrolmentError| {
            matches!(error, EnrolmentError::Key(KeyError::Token(TokenError::NoAnswer { .. })))
        };
        assert!(made.as_ref().is_err_and(unanswered), "{made:?}");
        keyring.store.drop_pending(id).expect("dropped");
        let again = keyring.destroy_condemned().expect("destroyed, if it is there");
        assert!(again.is_some_and(|wait| wait <= longest_generation()), "{again:?}");
        assert_eq!(keyring.store.condemned_keys(), [announced]);
        lock(&keyring.unfinished).values_mut().for_each(|until| *until = Instant::now());
        assert_eq!(keyring.destroy_condemned().expect("destroyed"), None);
        assert_eq!(keyring.store.condemned_keys(), [""; 0]);
    }
}
