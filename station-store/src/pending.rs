//! The station's own keys: announced, waiting for a certificate, in use, condemned.
//!
//! A key lives in a token, the store only names it. The order of things keeps a crash from orphaning one: its name is
//! written down before it exists ([`Store::begin_pending`](crate::Store::begin_pending)), and stays written down until it
//! has been destroyed ([`Store::key_destroyed`](crate::Store::key_destroyed)).

use rustls_pki_types::CertificateDer;

use crate::asn1::Spki;
use crate::catalog::{Catalog, Transition};
use crate::certificate::Certificate;
use crate::chain::{ChainRefused, Verified};
use crate::hash::CertificateId;
use crate::storage::StorageError;

/// What a certificate of the station's own is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateSigningUse {
    /// TLS towards the CSMS: `ChargingStationCertificate`.
    ChargingStation,
}

/// A key that is about to be generated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewPending {
    /// PKCS#11 URI (RFC 7512) that names the key and holds no PIN; at most 1024 characters.
    pub key_uri: String,
    /// What its certificate will be for.
    pub use_: CertificateSigningUse,
}

impl NewPending {
    /// A key named `key_uri` whose certificate will be for `use_`.
    pub fn new(key_uri: impl Into<String>, use_: CertificateSigningUse) -> Self {
        Self { key_uri: key_uri.into(), use_ }
    }
}

/// The number of a pending key. Never used twice in one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PendingId(pub(crate) u64);

/// The number of an own certificate. Never used twice in one store; a higher one is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnId(pub(crate) u64);

impl std::fmt::Display for PendingId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::fmt::Display for OwnId {
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
    /// How far it has come.
    pub state: PendingState,
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

/// A certificate of the station's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnCertificate {
    /// Its number.
    pub id: OwnId,
    /// Leaf first, without the root: what TLS presents.
    pub chain: Vec<CertificateDer<'static>>,
    /// The name of its key in the token.
    pub key_uri: String,
    /// What it is for.
    pub use_: CertificateSigningUse,
    /// Whether a connection has proved it.
    pub state: OwnState,
}

/// Whether a connection has proved an own certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnState {
    /// The station has connected with it.
    InUse,
    /// Accepted, not yet connected with. The one in use is kept beside it (A02.FR.28).
    Renewed,
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
    /// No own certificate has this number.
    #[error("there is no own certificate {id}")]
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
    pub(crate) csr: Option<Csr>,
}

/// The request that was made with a pending key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Csr {
    pub(crate) spki: Vec<u8>,
    pub(crate) pem: String,
}

/// An own certificate as the catalog keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) id: OwnId,
    /// Never empty, leaf first.
    pub(crate) chain: Vec<Certificate>,
    /// Its hash data need it, and the issuer's certificate may be deleted before this one is.
    pub(crate) issuer_key: Vec<u8>,
    pub(crate) key_uri: String,
    pub(crate) use_: CertificateSigningUse,
    pub(crate) state: OwnState,
}

impl Own {
    pub(crate) fn certificate_id(&self) -> CertificateId {
        CertificateId::new(&self.chain[0], &self.issuer_key)
    }
}

/// What a received leaf belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// The certificate was accepted before: the CSMS sends it again because it saw no answer.
    Known(Own),
    /// A new certificate for this key.
    New { key_uri: String, use_: CertificateSigningUse, pending: Option<PendingId> },
}

impl Catalog {
    pub(crate) fn plan_begin(&self, new: &NewPending) -> Result<(PendingId, Vec<Transition>), PendingError> {
        let uri = &new.key_uri;
        if !uri.starts_with("pkcs11:") || uri.len() > MAX_KEY_URI || uri.contains("pin-value") {
            return Err(PendingError::KeyUri);
        }
        if self.names_key(uri) {
            return Err(PendingError::KeyKnown);
        }
        if self.pending.len() >= MAX_PENDING {
            return Err(PendingError::TooManyPending);
        }
        if self.condemned.len() >= MAX_CONDEMNED {
            return Err(PendingError::TooManyCondemned);
        }
        let id = PendingId(self.next);
        let pending = Pending { id, key_uri: uri.clone(), use_: new.use_, csr: None };
        Ok((id, vec![Transition::PutPending(pending), Transition::Next(self.next + 1)]))
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
    /// OCPP 2.0.1 has no request id, and an answer to an earlier SignCertificate may come late (TC_A_23), so the leaf's key is
    /// compared with every pending one. The key of a certificate that is renewed but not yet in use counts as well: several
    /// answers to one CSR may come, and the newest is as good as the first.
    pub(crate) fn match_signed(
        &self,
        chain: &[Certificate],
        use_: CertificateSigningUse,
    ) -> Result<Match, ChainRefused> {
        let leaf = chain.first().ok_or(ChainRefused::UnknownKey)?;
        if let Some(own) = self.own.iter().find(|own| own.chain == chain) {
            return if own.use_ == use_ {
                Ok(Match::Known(own.clone()))
            } else {
                Err(ChainRefused::OtherUse)
            };
        }
        let waiting = self
            .pending
            .iter()
            .find(|pending| pending.csr.as_ref().is_some_and(|csr| csr.spki == leaf.spki()))
            .map(|pending| (&pending.key_uri, pending.use_, Some(pending.id)));
        let renewed = || {
            self.own
                .iter()
                .find(|own| own.state == OwnState::Renewed && own.chain[0].spki() == leaf.spki())
                .map(|own| (&own.key_uri, own.use_, None))
        };
        let (key_uri, requested, pending) = waiting.or_else(renewed).ok_or(ChainRefused::UnknownKey)?;
        if requested != use_ {
            return Err(ChainRefused::OtherUse);
        }
        Ok(Match::New { key_uri: key_uri.clone(), use_, pending })
    }

    /// Takes a verified chain in, beside the one in use.
    pub(crate) fn plan_renew(
        &self,
        verified: Verified,
        key_uri: String,
        use_: CertificateSigningUse,
        pending: Option<PendingId>,
    ) -> Result<(Own, Vec<Transition>), TooManyOwn> {
        if self.own.len() >= MAX_OWN {
            return Err(TooManyOwn);
        }
        let own = Own {
            id: OwnId(self.next),
            chain: verified.chain,
            issuer_key: verified.issuer_key,
            key_uri,
            use_,
            state: OwnState::Renewed,
        };
        let mut transitions = vec![Transition::PutOwn(own.clone()), Transition::Next(self.next + 1)];
        transitions.extend(pending.map(Transition::RemovePending));
        Ok((own, transitions))
    }

    /// Keeps the own certificate `id`, with which the station has connected, and discards the others of its use.
    ///
    /// Returns the names of the keys that no remaining record refers to. Counted by reference, not by search: one key may
    /// carry two certificates.
    pub(crate) fn plan_confirm(&self, id: OwnId) -> Result<(Vec<String>, Vec<Transition>), PendingError> {
        let kept = self.own.iter().find(|own| own.id == id).ok_or(PendingError::UnknownOwn { id })?;
        let mut transitions = Vec::new();
        if kept.state != OwnState::InUse {
            transitions.push(Transition::PutOwn(Own { state: OwnState::InUse, ..kept.clone() }));
        }
        let mut destroy: Vec<String> = Vec::new();
        for other in self.own.iter().filter(|own| own.id != id && own.use_ == kept.use_) {
            transitions.push(Transition::RemoveOwn(other.id));
            let uri = &other.key_uri;
            let still_used = self.pending.iter().any(|pending| pending.key_uri == *uri)
                || self.own.iter().any(|own| own.key_uri == *uri && (own.id == id || own.use_ != kept.use_));
            if !still_used && !destroy.contains(uri) {
                transitions.push(Transition::Condemn(uri.clone()));
                destroy.push(uri.clone());
            }
        }
        Ok((destroy, transitions))
    }

    /// Forgets a condemned key that the token no longer holds.
    pub(crate) fn plan_forget(&self, uri: &str) -> Vec<Transition> {
        if self.condemned.contains(uri) { vec![Transition::Forget(uri.to_owned())] } else { Vec::new() }
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
        Self { id: pending.id, key_uri: pending.key_uri.clone(), use_: pending.use_, state }
    }
}

impl From<&Own> for OwnCertificate {
    fn from(own: &Own) -> Self {
        Self {
            id: own.id,
            chain: own.chain.iter().map(Certificate::to_certificate_der).collect(),
            key_uri: own.key_uri.clone(),
            use_: own.use_,
            state: own.state,
        }
    }
}

/// [`MAX_OWN`] is reached.
#[derive(Debug)]
pub(crate) struct TooManyOwn;

/// Keys that wait for a certificate: one, and the earlier ones of a series of resends with new keys. More would fill the
/// token.
pub(crate) const MAX_PENDING: usize = 16;

/// Own certificates: the one in use, and renewed ones that a connection has yet to prove.
pub(crate) const MAX_OWN: usize = 16;

/// Keys that wait to be destroyed. More than a few mean that nobody destroys them; then no new ones are made.
pub(crate) const MAX_CONDEMNED: usize = 64;

/// Characters of a key's URI. Names and ids that tokens use stay far below.
const MAX_KEY_URI: usize = 1024;

/// `SignCertificateRequest.csr`, in characters.
const MAX_CSR: usize = 5500;
