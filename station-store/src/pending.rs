//! Keys that wait for a certificate, and keys that wait to be destroyed.
//!
//! A key lives in a token, the store only names it. The order of things keeps a crash from
//! orphaning one: its name is written down before it exists
//! ([`Store::begin_pending`](crate::Store::begin_pending)), and stays written down until it has
//! been destroyed ([`Store::key_destroyed`](crate::Store::key_destroyed)).

use std::time::SystemTime;

use certificates::{Certificate, Spki};

use crate::catalog::{Catalog, Transition};
use crate::chain::ChainRefused;
use crate::own::{EDITIONS, MAX_SECCS, Own, OwnId, OwnState, Subject};
use crate::storage::StorageError;

/// What a certificate of the station's own is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CertificateSigningUse {
    /// TLS towards the CSMS: `ChargingStationCertificate`.
    ChargingStation,
    /// TLS towards vehicles by ISO 15118-2: `V2GCertificate`.
    V2g,
    /// TLS towards vehicles by ISO 15118-20: `V2G20Certificate`, OCPP 2.1.
    V2g20,
    /// Both TLS towards the CSMS and TLS towards vehicles: `certificateType` left out.
    Combined,
}

impl CertificateSigningUse {
    /// Whether the station connects to its CSMS with such a certificate. Those are never deleted on
    /// request (M04.FR.06).
    pub fn connects(self) -> bool {
        matches!(self, Self::ChargingStation | Self::Combined)
    }

    /// Whether vehicles see such a certificate. Those are listed as `V2GCertificateChain`.
    pub fn is_for_vehicles(self) -> bool {
        !matches!(self, Self::ChargingStation)
    }
}

/// A key that is about to be generated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewPending {
    /// PKCS#11 URI (RFC 7512) that names the key and holds no PIN; at most 1024 characters.
    pub key_uri: String,
    /// What its certificate will be for.
    pub use_: CertificateSigningUse,
    /// The common name that the certificate must have: the SeccId, for vehicles. Default: the
    /// station's serial number.
    pub common_name: Option<String>,
    /// The organization that the certificate must name: `ISO15118Ctrlr.OrganizationName`, for
    /// vehicles. Default: that of the settings for the connection, any for vehicles.
    pub organization: Option<String>,
    /// The country that the certificate must name: `ISO15118Ctrlr.CountryName`, for vehicles.
    /// Default: any.
    pub country: Option<String>,
    /// `requestId` of the SignCertificate request, which the CSMS repeats (A02.FR.24, OCPP 2.1).
    pub request_id: Option<i64>,
}

impl NewPending {
    /// A key named `key_uri` whose certificate will be for `use_`.
    pub fn new(key_uri: impl Into<String>, use_: CertificateSigningUse) -> Self {
        Self {
            key_uri: key_uri.into(),
            use_,
            common_name: None,
            organization: None,
            country: None,
            request_id: None,
        }
    }

    /// Sets [`NewPending::common_name`].
    #[must_use]
    pub fn common_name(mut self, name: impl Into<String>) -> Self {
        self.common_name = Some(name.into());
        self
    }

    /// Sets [`NewPending::organization`].
    #[must_use]
    pub fn organization(mut self, name: impl Into<String>) -> Self {
        self.organization = Some(name.into());
        self
    }

    /// Sets [`NewPending::country`].
    #[must_use]
    pub fn country(mut self, code: impl Into<String>) -> Self {
        self.country = Some(code.into());
        self
    }

    /// Sets [`NewPending::request_id`].
    #[must_use]
    pub fn request_id(mut self, id: i64) -> Self {
        self.request_id = Some(id);
        self
    }
}

/// The number of a pending key. Never used twice in one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PendingId(pub(crate) u64);

impl std::fmt::Display for PendingId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A key that waits for its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingCsr {
    /// Its number.
    pub id: PendingId,
    /// The name of the key in the token.
    pub key_uri: String,
    /// What its certificate will be for.
    pub use_: CertificateSigningUse,
    /// The common name that its certificate must have, if that is not the station's serial number.
    pub common_name: Option<String>,
    /// The organization that its certificate must name, if that is not the default of its use.
    pub organization: Option<String>,
    /// The country that its certificate must name, if there is one.
    pub country: Option<String>,
    /// `requestId` of its SignCertificate request, OCPP 2.1.
    pub request_id: Option<i64>,
    /// What was written down before the CSR was sent
    /// ([`Store::note_send`](crate::Store::note_send)); `None`: it never was.
    pub sent: Option<SendNote>,
    /// How far it has come.
    pub state: PendingState,
}

/// How often a CSR was sent, so that a restart goes on where the station was (A02.FR.17–19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SendNote {
    /// How often the CSMS has accepted it, the send that is under way counted.
    pub accepted: u32,
    /// When it is to be sent again, to the millisecond. `None`: not before a new trigger.
    pub due: Option<SystemTime>,
}

/// How far a pending key has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PendingState {
    /// Written down. After a crash the token may hold the key or not.
    KeyAnnounced,
    /// The key exists and its CSR can be sent, as often as needed.
    CsrReady {
        /// SubjectPublicKeyInfo in DER, by which the certificate will be recognised.
        spki_der: Vec<u8>,
        /// The PKCS#10 request in PEM.
        csr_pem: String,
    },
}

/// Why the record of a key cannot be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PendingError {
    /// No pending key has this number.
    #[error("there is no pending key {id}")]
    UnknownPending {
        /// The number.
        id: PendingId,
    },
    /// No own certificate for the connection has this number.
    #[error("there is no own certificate {id} to connect with")]
    UnknownOwn {
        /// The number.
        id: OwnId,
    },
    /// Not the name of a key.
    #[error("a key is named by a pkcs11: URI of at most {MAX_KEY_URI} characters that holds no PIN")]
    KeyUri,
    /// The store names this key already.
    #[error("the key is known already; generate a new one for each request (A02.FR.02)")]
    KeyKnown,
    /// The public key cannot be read.
    #[error("the public key is not a SubjectPublicKeyInfo in DER")]
    PublicKey {
        /// Where the encoding breaks.
        #[source]
        source: der::Error,
    },
    /// The CSR was completed before, with another key or text.
    #[error("the pending key {id} has another CSR already")]
    Completed {
        /// The number.
        id: PendingId,
    },
    /// Longer than `SignCertificateRequest.csr` may be.
    #[error("the CSR has {characters} characters, at most {MAX_CSR} are allowed")]
    CsrTooLong {
        /// Characters of the PEM text.
        characters: usize,
    },
    /// A name that no subject can have.
    #[error("common name and organization of a subject have 1 to {MAX_NAME} characters")]
    SubjectName,
    /// A country that no subject can have.
    #[error("the country of a subject is a code of two letters (ISO 3166)")]
    Country,
    /// The CSMS could not tell two requests apart.
    #[error("requestId {request_id} belongs to another request that waits")]
    RequestIdKnown {
        /// The number.
        request_id: i64,
    },
    /// Too many keys wait for a certificate.
    #[error("{MAX_PENDING} keys wait for a certificate already; drop one")]
    TooManyPending,
    /// Too many keys wait to be destroyed.
    #[error("{MAX_CONDEMNED} keys wait to be destroyed; destroy them in the token and report it")]
    TooManyCondemned,
    /// The disk failed.
    #[error("the store could not keep the change")]
    Storage {
        /// How.
        #[source]
        source: StorageError,
    },
}

impl From<StorageError> for PendingError {
    fn from(source: StorageError) -> Self {
        Self::Storage { source }
    }
}

/// A pending key as the catalog keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) id: PendingId,
    pub(crate) key_uri: String,
    pub(crate) use_: CertificateSigningUse,
    pub(crate) common_name: Option<String>,
    pub(crate) organization: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) request_id: Option<i64>,
    pub(crate) csr: Option<Csr>,
    pub(crate) sent: Option<SendNote>,
}

/// The request that was made with a pending key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Csr {
    pub(crate) spki: Vec<u8>,
    pub(crate) pem: String,
}

/// What a received leaf belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// The certificate was accepted before: the CSMS sends it again because it saw no answer.
    Known(Own),
    /// A new certificate for this key, with the subject that was asked for.
    New {
        key_uri: String,
        use_: CertificateSigningUse,
        subject: Subject,
        request_id: Option<i64>,
        pending: Option<PendingId>,
    },
}

/// What CertificateSigned says of the request that it answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    /// `certificateType`; left out it means "the use that was asked for".
    pub(crate) use_: Option<CertificateSigningUse>,
    /// `requestId`, OCPP 2.1.
    pub(crate) request_id: Option<i64>,
}

impl Catalog {
    pub(crate) fn plan_begin(&self, new: &NewPending) -> Result<(PendingId, Vec<Transition>), PendingError> {
        let uri = &new.key_uri;
        self.check_new_name(uri)?;
        let names = new.common_name.iter().chain(&new.organization);
        if names.into_iter().any(|name| name.is_empty() || name.chars().count() > MAX_NAME) {
            return Err(PendingError::SubjectName);
        }
        let is_code = |code: &String| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
        if !new.country.iter().all(is_code) {
            return Err(PendingError::Country);
        }
        if let Some(request_id) = new.request_id
            && self.pending.iter().any(|pending| pending.request_id == Some(request_id))
        {
            return Err(PendingError::RequestIdKnown { request_id });
        }
        if self.pending.len() >= MAX_PENDING {
            return Err(PendingError::TooManyPending);
        }
        let id = PendingId(self.next);
        let pending = Pending {
            id,
            key_uri: uri.clone(),
            use_: new.use_,
            common_name: new.common_name.clone(),
            organization: new.organization.clone(),
            country: new.country.clone(),
            request_id: new.request_id,
            csr: None,
            sent: None,
        };
        Ok((id, vec![Transition::PutPending(pending), Transition::Next(self.next + 1)]))
    }

    /// Gives a key that is announced and not completed another name; the name before is condemned
    /// by the same change.
    pub(crate) fn plan_rename(&self, id: PendingId, uri: &str) -> Result<Vec<Transition>, PendingError> {
        let announced = self.pending.iter().find(|known| known.id == id && known.csr.is_none());
        let announced = announced.ok_or(PendingError::UnknownPending { id })?;
        self.check_new_name(uri)?;
        Ok(vec![
            Transition::PutPending(Pending { key_uri: uri.to_owned(), ..announced.clone() }),
            Transition::Condemn(announced.key_uri.clone()),
        ])
    }

    pub(crate) fn plan_complete(
        &self,
        id: PendingId,
        spki: &[u8],
        csr_pem: &str,
    ) -> Result<Vec<Transition>, PendingError> {
        let pending =
            self.pending.iter().find(|known| known.id == id).ok_or(PendingError::UnknownPending { id })?;
        let characters = csr_pem.chars().count();
        if characters > MAX_CSR {
            return Err(PendingError::CsrTooLong { characters });
        }
        Spki::read(spki).map_err(|source| PendingError::PublicKey { source })?;
        let csr = Csr { spki: spki.to_vec(), pem: csr_pem.to_owned() };
        match &pending.csr {
            Some(known) if *known == csr => return Ok(Vec::new()),
            Some(_) => return Err(PendingError::Completed { id }),
            None => {}
        }
        // A leaf must belong to one key only.
        let elsewhere =
            self.pending.iter().any(|other| other.csr.as_ref().is_some_and(|csr| csr.spki == spki))
                || self.own.iter().any(|own| own.chain[0].spki() == spki);
        if elsewhere {
            return Err(PendingError::KeyKnown);
        }
        Ok(vec![Transition::PutPending(Pending { csr: Some(csr), ..pending.clone() })])
    }

    pub(crate) fn plan_note(&self, id: PendingId, note: SendNote) -> Result<Vec<Transition>, PendingError> {
        let pending = self
            .pending
            .iter()
            .find(|known| known.id == id && known.csr.is_some())
            .ok_or(PendingError::UnknownPending { id })?;
        if pending.sent == Some(note) {
            return Ok(Vec::new());
        }
        Ok(vec![Transition::PutPending(Pending { sent: Some(note), ..pending.clone() })])
    }

    /// Drops a pending key; returns its name, which is condemned by the same change.
    pub(crate) fn plan_drop(&self, id: PendingId) -> Result<(String, Vec<Transition>), PendingError> {
        let pending =
            self.pending.iter().find(|known| known.id == id).ok_or(PendingError::UnknownPending { id })?;
        let uri = pending.key_uri.clone();
        let mut transitions = vec![Transition::RemovePending(id)];
        if !self.own.iter().any(|own| own.key_uri == uri) {
            transitions.push(Transition::Condemn(uri.clone()));
        }
        Ok((uri, transitions))
    }

    /// Finds the key that `chain` was issued for.
    ///
    /// OCPP 2.0.1 has no request id, and an answer to an earlier SignCertificate may come late
    /// (TC_A_23), so the leaf's key is compared with every pending one. The key of a certificate
    /// that is renewed but not yet in use counts as well, and that of one for vehicles: several
    /// answers to one CSR may come, and the newest is as good as the first.
    pub(crate) fn match_signed(
        &self,
        chain: &[Certificate],
        answered: Answered,
    ) -> Result<Match, ChainRefused> {
        let leaf = chain.first().ok_or(ChainRefused::UnknownKey)?;
        // A02.FR.26, before the certificate is looked at.
        if let Some(request_id) = answered.request_id
            && !self.pending.iter().any(|pending| pending.request_id == Some(request_id))
            && !self.own.iter().any(|own| own.request_id == Some(request_id))
        {
            return Err(ChainRefused::UnknownRequest { request_id });
        }
        let check = |use_, request_id: Option<i64>| {
            if answered.use_.is_some_and(|said| said != use_) {
                return Err(ChainRefused::OtherUse);
            }
            match answered.request_id {
                Some(said) if request_id != Some(said) => {
                    Err(ChainRefused::OtherRequest { request_id: said })
                }
                _ => Ok(()),
            }
        };
        if let Some(own) = self.own.iter().find(|own| own.chain == chain) {
            check(own.use_, own.request_id)?;
            return Ok(Match::Known(own.clone()));
        }
        let waiting = self
            .pending
            .iter()
            .find(|pending| pending.csr.as_ref().is_some_and(|csr| csr.spki == leaf.spki()));
        if let Some(pending) = waiting {
            check(pending.use_, pending.request_id)?;
            return Ok(Match::New {
                key_uri: pending.key_uri.clone(),
                use_: pending.use_,
                subject: Subject {
                    common_name: pending.common_name.clone(),
                    organization: pending.organization.clone(),
                    country: pending.country.clone(),
                    // That of the use, which the settings say.
                    domain_component: None,
                },
                request_id: pending.request_id,
                pending: Some(pending.id),
            });
        }
        let again = |own: &&Own| own.state == OwnState::Renewed || !own.use_.connects();
        let own = self.own.iter().filter(again).find(|own| own.chain[0].spki() == leaf.spki());
        let own = own.ok_or(ChainRefused::UnknownKey)?;
        check(own.use_, own.request_id)?;
        Ok(Match::New {
            key_uri: own.key_uri.clone(),
            use_: own.use_,
            // The same that was accepted for this key before.
            subject: own.subject(),
            request_id: own.request_id,
            pending: None,
        })
    }

    /// Forgets a condemned key that the token no longer holds.
    pub(crate) fn plan_forget(&self, uri: &str) -> Vec<Transition> {
        if self.condemned.contains(uri) { vec![Transition::Forget(uri.to_owned())] } else { Vec::new() }
    }

    fn check_new_name(&self, uri: &str) -> Result<(), PendingError> {
        if !uri.starts_with("pkcs11:") || uri.len() > MAX_KEY_URI || uri.contains("pin-value") {
            return Err(PendingError::KeyUri);
        }
        if self.names_key(uri) {
            return Err(PendingError::KeyKnown);
        }
        if self.condemned.len() >= MAX_CONDEMNED {
            return Err(PendingError::TooManyCondemned);
        }
        Ok(())
    }

    fn names_key(&self, uri: &str) -> bool {
        self.pending.iter().any(|pending| pending.key_uri == uri)
            || self.own.iter().any(|own| own.key_uri == uri)
            || self.condemned.contains(uri)
    }
}

impl From<&Pending> for PendingCsr {
    fn from(pending: &Pending) -> Self {
        let state = match &pending.csr {
            None => PendingState::KeyAnnounced,
            Some(csr) => PendingState::CsrReady { spki_der: csr.spki.clone(), csr_pem: csr.pem.clone() },
        };
        Self {
            id: pending.id,
            key_uri: pending.key_uri.clone(),
            use_: pending.use_,
            common_name: pending.common_name.clone(),
            organization: pending.organization.clone(),
            country: pending.country.clone(),
            request_id: pending.request_id,
            sent: pending.sent,
            state,
        }
    }
}

/// Keys of one subject that wait for a certificate: the newest, and earlier ones that were replaced
/// after their CSR was sent.
pub const MAX_PENDING_OF_SUBJECT: usize = 4;

/// Keys that wait for a certificate: those of each subject, which are the connection, both uses
/// together, and each SECC in each edition of ISO 15118; and one more for each SECC, for one
/// trigger announces keys for all before it replaces earlier ones.
pub const MAX_PENDING: usize = (2 + MAX_SECCS * EDITIONS) * MAX_PENDING_OF_SUBJECT + MAX_SECCS;

/// Keys that wait to be destroyed. More than a few mean that nobody destroys them; then no new ones
/// are made.
pub(crate) const MAX_CONDEMNED: usize = 64;

/// Characters of a key's URI. Names and ids that tokens use stay far below.
const MAX_KEY_URI: usize = 1024;

/// `SignCertificateRequest.csr`, in characters.
const MAX_CSR: usize = 5500;

/// Characters of a name in a subject (RFC 5280, ub-common-name and ub-organization-name).
const MAX_NAME: usize = 64;
