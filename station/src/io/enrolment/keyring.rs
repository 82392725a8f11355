//! Keys of the station's own: made in the token for a request, destroyed when nothing needs them
//! any more.

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

/// The station's keys: the token that holds them, and the store that knows what each is for. All
/// methods block.
#[derive(Debug)]
pub(crate) struct Keyring {
    token: Token,
    store: Arc<StationStore>,
    /// What a certificate names that was not announced with names of its own.
    subject: Subject,
    /// The kinds of key for the connection.
    algorithms: KeyAlgorithms,
    /// Held while a key is made or destroyed: a key whose request is given up while the token makes
    /// it must not appear after its name was removed.
    token_in_use: Mutex<()>,
    /// Names of keys that the token may still be making, each with the instant from which on what
    /// is not there will not come: those that were condemned when the station started, and those of
    /// calls that were not answered. The process before may have been killed while the token, in a
    /// process or a device of its own, generated the key: it may still appear.
    unfinished: Mutex<BTreeMap<String, Instant>>,
}

/// A certificate that is to be asked for.
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
    #[error("the token did not do it")]
    Key(#[from] KeyError),
    /// The token cannot generate a key that is allowed here.
    #[error(
        "the token can generate no key of {allowed}: for the connection, allow another kind in certificates.key_algorithms; for vehicles, use another token"
    )]
    NoKind {
        /// The kinds that are allowed.
        allowed: KeyAlgorithms,
        /// The token's fault for the last of them.
        #[source]
        source: KeyError,
    },
    /// The store failed.
    #[error("the store did not keep the key's name")]
    Pending(#[from] PendingError),
    /// The store failed.
    #[error("the store did not forget the key's name")]
    Storage(#[from] StorageError),
    /// The request could not be built.
    #[error("the certificate request could not be made")]
    Request(#[from] csr::BuildError),
    /// The store names a key in a way that is no URI.
    #[error("the store names a key that cannot be looked for")]
    Uri(#[from] UriError),
}

impl EnrolmentError {
    /// Whether the disk failed: the same can be tried when it takes writes again.
    pub(crate) fn is_storage(&self) -> bool {
        matches!(self, Self::Pending(PendingError::Storage { .. }) | Self::Storage(_))
    }

    /// Whether the request has ended meanwhile: its certificate has come, or another has taken its
    /// place.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Pending(PendingError::UnknownPending { .. }))
    }

    /// Whether it would fail again whenever it is tried.
    pub(crate) fn is_permanent(&self) -> bool {
        matches!(self, Self::NoKind { .. })
    }
}

impl Keyring {
    /// After a start: a key that was announced and never completed gets another name, under which
    /// it is generated again.
    pub(crate) fn restore(token: Token, store: Arc<StationStore>, subject: Subject) -> Self {
        for pending in store.pending() {
            if pending.state != PendingState::KeyAnnounced {
                continue;
            }
            let renamed = new_name(&token)
                .map_err(EnrolmentError::from)
                .and_then(|name| Ok(store.writable().rename_pending(pending.id, &name)?));
            if let Err(error) = renamed {
                tracing::warn!(error = %causes(&error), request = %pending.id, "a key that was announced keeps its name");
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

    /// What the certificate for the connection names (A00.FR.509, A00.FR.511).
    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Writes down that a key is to be made for `wanted`, and what its certificate must name, which
    /// may be changed by the CSMS before it comes.
    ///
    /// The key's name is written down before the key exists, so a crash leaves no key without a
    /// record.
    pub(crate) fn announce(&self, wanted: &Wanted) -> Result<PendingId, EnrolmentError> {
        let mut new = NewPending::new(new_name(&self.token)?, wanted.use_)
            .common_name(&wanted.common_name)
            .organization(&wanted.organization)
            // A02.FR.24; versions that know no id of a request leave it out.
            .request_id(request_id()?);
        if let Some(country) = &wanted.country {
            new = new.country(country);
        }
        Ok(self.store.writable().begin_pending(&new)?)
    }

    /// Makes the key that was announced, and a request signed by it (A02.FR.02, A02.FR.03).
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
        // A key that cannot be written down would be made in vain.
        self.store.check_writable()?;
        let allowed = match pending.use_ {
            CertificateSigningUse::ChargingStation => self.algorithms.clone(),
            use_ => KeyAlgorithms::only(algorithm(use_)),
        };
        let made = match self.generate(&name, &allowed) {
            // It was generated before, and its request could not be made: it was never used.
            Err(EnrolmentError::Key(KeyError::Exists { .. })) => {
                self.token.destroy_key(&uri)?;
                self.generate(&name, &allowed)
            }
            made => made,
        };
        let key = match made {
            // The call is left behind in the module, and may still generate a key.
            Err(error @ EnrolmentError::Key(KeyError::Token(TokenError::NoAnswer { .. }))) => {
                lock(&self.unfinished).insert(pending.key_uri, Instant::now() + longest_generation());
                return Err(error);
            }
            made => made?,
        };
        let csr = csr::build(&key, &self.subject_of(&pending))?;
        Ok(self.store.writable().complete_pending(id, key.public_key().spki_der(), &csr)?)
    }

    /// Generates a key of the first allowed kind that the token has.
    fn generate(&self, name: &KeyName, allowed: &KeyAlgorithms) -> Result<Key, EnrolmentError> {
        let mut last = None;
        for algorithm in allowed.iter() {
            match self.token.generate_key(name, algorithm) {
                Err(error @ KeyError::Unsupported { .. }) => {
                    tracing::info!(%algorithm, error = %causes(&error), "the token has no such keys");
                    last = Some(error);
                }
                made => return Ok(made?),
            }
        }
        // A list of kinds has at least one.
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
        // ISO 15118-2, annex F: by this a vehicle knows an SECC.
        if pending.use_ == CertificateSigningUse::V2g {
            subject = subject.domain_component("CPO");
        }
        subject
    }

    /// Destroys the keys that nothing needs any more. Only what the store names is touched; a key
    /// that cannot be destroyed does not save those after it. Returns after which time to do it
    /// again, if a key may still come.
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
            // Gone already: a crash came before its name was removed.
            Ok(()) | Err(KeyError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The key of one of the station's own certificates.
    pub(crate) fn key(&self, uri: &str) -> Result<Key, EnrolmentError> {
        Ok(self.token.find_key(&uri.parse::<Uri>()?)?)
    }
}

/// The kind of key for vehicles. ISO 15118-2 and OCPP have P-256 in common; ISO 15118-20 wants
/// P-521.
fn algorithm(use_: CertificateSigningUse) -> KeyAlgorithm {
    match use_ {
        CertificateSigningUse::V2g20 => KeyAlgorithm::EcdsaP521,
        _ => KeyAlgorithm::EcdsaP256,
    }
}

/// A name that no other key has: some tokens refuse the same label twice.
fn new_name(token: &Token) -> Result<String, KeyError> {
    let random = getrandom::u64().map_err(|_| KeyError::Random)?;
    Ok(KeyName::random(format!("ocpp-station-{random:016x}"))?.to_uri(token).to_string())
}

/// An id by which the CSMS distinguishes a request from others that wait (OCPP 2.1).
fn request_id() -> Result<i64, KeyError> {
    let random = getrandom::u32().map_err(|_| KeyError::Random)?;
    // The type is an integer of 32 bits in many a CSMS.
    Ok(i64::from(random >> 1))
}

/// What a token is given for one key at most: the station opens it with this default.
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

    /// The CSMS may be quicker than the disk, and an operator than the token.
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
        // The crash: the key is there, and nobody was told.
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
        // The token lives on, and has only now done what the process before asked for.
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
        // No token answers in this time; the call goes on.
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
