//! Keys of the station's own: made in the token for a request, destroyed when nothing needs them any more.

use std::sync::{Arc, Mutex, PoisonError};

use ocpp_types::{BoundedString, TooLong};
use signer_pkcs11::{Key, KeyAlgorithm, KeyError, KeyName, Subject, Token, Uri, UriError, csr};
use station_store::{
    CertificateSigningUse, NewPending, PendingCsr, PendingError, PendingId, PendingState, StorageError, Store,
};

/// The station's keys: the token that holds them, and the store that knows what each is for. All methods block.
#[derive(Debug)]
pub(crate) struct Keyring {
    token: Token,
    store: Arc<Store>,
    subject: Subject,
    /// Held while a key is made: making room must not give up a request whose key is just coming into being.
    making: Mutex<()>,
}

/// A request that can be sent, as often as needed.
#[derive(Clone, Debug)]
pub(crate) struct ReadyRequest {
    pub(crate) id: PendingId,
    pub(crate) csr: BoundedString<5500>,
}

/// Why there is no request, or why a key could not be destroyed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolmentError {
    /// The token failed.
    #[error("the token did not do it")]
    Key(#[from] KeyError),
    /// The store failed.
    #[error("the store did not keep the key's name")]
    Pending(#[from] PendingError),
    /// The store failed.
    #[error("the store did not forget the key's name")]
    Storage(#[from] StorageError),
    /// The request could not be built.
    #[error("the certificate request could not be made")]
    Request(#[from] csr::BuildError),
    /// The request is longer than SignCertificate carries.
    #[error("the certificate request is too long to be sent")]
    TooLong(#[from] TooLong),
    /// The store names a key in a way that is no URI.
    #[error("the store names a key that cannot be looked for")]
    Uri(#[from] UriError),
}

impl Keyring {
    pub(crate) fn new(token: Token, store: Arc<Store>, subject: Subject) -> Self {
        Self { token, store, subject, making: Mutex::new(()) }
    }

    /// Makes a new key pair and a request signed by it (A02.FR.02, A02.FR.03).
    ///
    /// The key's name is written down before the key exists, so a crash leaves no key that nobody knows.
    pub(crate) fn new_request(&self) -> Result<ReadyRequest, EnrolmentError> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        // A late CertificateSigned may still come for an earlier request; the oldest ones make room.
        let waiting = self.store.pending();
        for old in waiting.iter().take((waiting.len() + 1).saturating_sub(MOST_REQUESTS)) {
            self.give_up(old.id)?;
        }
        let name = KeyName::random(key_label()?)?;
        let uri = name.to_uri(&self.token).to_string();
        let id = self.store.begin_pending(&NewPending::new(uri, CertificateSigningUse::ChargingStation))?;
        match self.make(&name, id) {
            Ok(request) => Ok(request),
            Err(error) => {
                if let Err(error) = self.give_up(id) {
                    tracing::warn!(%error, "a key that came to nothing will be destroyed at the next start");
                }
                Err(error)
            }
        }
    }

    fn make(&self, name: &KeyName, id: PendingId) -> Result<ReadyRequest, EnrolmentError> {
        let key = self.token.generate_key(name, KeyAlgorithm::EcdsaP256)?;
        let csr = csr::build(&key, &self.subject)?;
        self.store.complete_pending(id, key.public_key().spki_der(), &csr)?;
        Ok(ReadyRequest { id, csr: BoundedString::try_from(csr)? })
    }

    /// The requests that wait for a certificate, oldest first.
    pub(crate) fn ready_requests(&self) -> Vec<ReadyRequest> {
        let ready = |pending: PendingCsr| match pending.state {
            PendingState::CsrReady { csr_pem, .. } => {
                Some(ReadyRequest { id: pending.id, csr: BoundedString::try_from(csr_pem).ok()? })
            }
            _ => None,
        };
        self.store.pending().into_iter().filter_map(ready).collect()
    }

    /// Forgets a request and destroys its key.
    pub(crate) fn give_up(&self, id: PendingId) -> Result<(), EnrolmentError> {
        self.store.drop_pending(id)?;
        self.destroy_condemned()
    }

    /// Finishes what a crash interrupted: keys that were announced and never came to a request, and keys that were to
    /// be destroyed.
    pub(crate) fn recover(&self) -> Result<(), EnrolmentError> {
        for pending in self.store.pending() {
            if pending.state == PendingState::KeyAnnounced {
                self.store.drop_pending(pending.id)?;
            }
        }
        self.destroy_condemned()
    }

    /// Destroys the keys that nothing needs any more. Only what the store names is touched; a key that cannot be destroyed
    /// does not save those after it.
    pub(crate) fn destroy_condemned(&self) -> Result<(), EnrolmentError> {
        let destroyed = self.store.condemned_keys().into_iter().map(|name| self.destroy(&name));
        destroyed.fold(Ok(()), Result::and)
    }

    fn destroy(&self, name: &str) -> Result<(), EnrolmentError> {
        match self.token.destroy_key(&name.parse::<Uri>()?) {
            // Gone already: a crash came between the two steps.
            Ok(()) | Err(KeyError::NotFound { .. }) => Ok(self.store.key_destroyed(name)?),
            Err(error) => Err(error.into()),
        }
    }

    /// The key of one of the station's own certificates.
    pub(crate) fn key(&self, uri: &str) -> Result<Key, EnrolmentError> {
        Ok(self.token.find_key(&uri.parse::<Uri>()?)?)
    }
}

/// Requests that wait at once: the newest and two that a late answer may still come for.
const MOST_REQUESTS: usize = 3;

/// A label that no other key has: some tokens refuse the same one twice.
fn key_label() -> Result<String, KeyError> {
    let random = getrandom::u64().map_err(|_| KeyError::Random)?;
    Ok(format!("ocpp-station-{random:016x}"))
}

#[cfg(test)]
mod tests {
    use signer_pkcs11::{Pin, TokenOptions, init_token};
    use station_store::Settings;

    use super::*;

    #[test]
    fn requests_at_the_same_time_leave_no_key_that_nobody_knows() {
        let module = std::env::var_os("PKCS11_MODULE");
        let module: std::path::PathBuf =
            module.expect("PKCS11_MODULE is not set; run the tests with `cargo xtask test`").into();
        let folder = tempfile::tempdir().expect("a folder");
        let label = folder.path().file_name().expect("a name").to_string_lossy().into_owned();
        let pin = Pin::new("test-pin");
        init_token(&module, &label, &Pin::new("so-test-pin"), &pin).expect("a token");
        let uri = format!("pkcs11:token={label}").parse().expect("a URI");
        let token = Token::open(&uri, &TokenOptions::new().module(module).pin(pin)).expect("opens");
        let store = Store::open(folder.path().join("store"), Settings::new("SN-0001")).expect("opens");
        let keyring = Keyring::new(token, Arc::new(store), Subject::new("SN-0001", "Test CSO"));

        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| keyring.new_request().expect("a request"));
            }
        });
        let known = keyring.store.pending().len();
        assert_eq!(known, MOST_REQUESTS);
        assert_eq!(keyring.token.keys().expect("lists").len(), known);
    }
}
