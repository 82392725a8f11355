//! The station's own certificates: for the connection to the CSMS, and for vehicles (ISO 15118).
//!
//! Those for the connection replace one another: a renewed one is kept beside the one in use until
//! a connection has proved either. Those for vehicles take effect at once, and several are valid
//! side by side: one for each SECC, root and edition of ISO 15118.

use certificates::{Attribute, Certificate, CertificateId, HashData};
use rustls_pki_types::CertificateDer;

use crate::catalog::{Catalog, Transition};
use crate::chain::Verified;
use crate::pending::{CertificateSigningUse, PendingError, PendingId};

/// The number of an own certificate. Never used twice in one store; a higher one is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnId(pub(crate) u64);

impl std::fmt::Display for OwnId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
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
    /// The station has connected with it; or it is for vehicles only, and in use since it was
    /// accepted.
    InUse,
    /// Accepted, not yet connected with. The one in use is kept beside it (A02.FR.28).
    Renewed,
}

/// An own certificate as the catalog keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) id: OwnId,
    /// Never empty, leaf first.
    pub(crate) chain: Vec<Certificate>,
    /// The key of whoever issued the last certificate of the chain: hash data need it, and the root
    /// may be deleted before the chain is. It is known of every chain that is listed; of others it
    /// may be unknown if sub-CAs stand in them.
    pub(crate) anchor_key: Option<Vec<u8>>,
    pub(crate) key_uri: String,
    pub(crate) use_: CertificateSigningUse,
    /// `requestId` of the CSR, OCPP 2.1.
    pub(crate) request_id: Option<i64>,
    pub(crate) state: OwnState,
    /// Of each certificate of the chain, as far as the key of its issuer is known: see [`ids`].
    pub(crate) ids: Vec<CertificateId>,
}

/// What names the certificates of a chain, leaf first; without the last where `anchor_key`, that of
/// its issuer, is unknown.
pub(crate) fn ids(chain: &[Certificate], anchor_key: Option<&[u8]>) -> Vec<CertificateId> {
    let issuer_keys = chain.iter().skip(1).map(Certificate::public_key).chain(anchor_key);
    chain.iter().zip(issuer_keys).map(|(certificate, key)| CertificateId::new(certificate, key)).collect()
}

impl Own {
    /// What names the certificates of the chain, leaf first.
    pub(crate) fn ids(&self) -> &[CertificateId] {
        &self.ids
    }

    /// What the inventory says of the chain, leaf first: nothing of one that serves the connection
    /// only.
    pub(crate) fn listed(&self) -> &[CertificateId] {
        if self.use_.is_for_vehicles() { &self.ids } else { &[] }
    }

    /// Whether `hash` names the leaf, or a sub-CA that was listed with it.
    pub(crate) fn names(&self, hash: &HashData) -> bool {
        self.ids.first().is_some_and(|leaf| leaf.is_named_by(hash))
            || self.listed().iter().any(|id| id.is_named_by(hash))
    }

    /// What a further certificate for the same key must name: for vehicles the same; for the
    /// connection what the settings say.
    pub(crate) fn subject(&self) -> Subject {
        if self.use_.connects() {
            return Subject::default();
        }
        let first = |attribute| values(&self.chain[0], attribute).into_iter().next();
        Subject {
            common_name: first(Attribute::CommonName),
            organization: first(Attribute::Organization),
            country: first(Attribute::Country),
            domain_component: first(Attribute::DomainComponent),
        }
    }

    /// Whether `other` is a certificate for the same vehicles: of the same SECC, under the same
    /// root, for the same edition.
    fn serves_like(&self, other: &Self) -> bool {
        let secc = |own: &Self| values(&own.chain[0], Attribute::CommonName);
        self.use_ == other.use_ && self.anchor_key == other.anchor_key && secc(self) == secc(other)
    }
}

/// The values of an attribute of the subject; none where one of them cannot be read.
fn values(certificate: &Certificate, attribute: Attribute) -> Vec<String> {
    certificate.subject().values(attribute).unwrap_or_default()
}

/// What a leaf's subject must name; `None`: the default of the use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) common_name: Option<String>,
    pub(crate) organization: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) domain_component: Option<String>,
}

impl Catalog {
    /// Takes a verified chain in: beside the one in use, if it is for the connection; at once, if
    /// it is for vehicles.
    pub(crate) fn plan_renew(
        &self,
        verified: Verified,
        key_uri: String,
        use_: CertificateSigningUse,
        request_id: Option<i64>,
        pending: Option<PendingId>,
    ) -> Result<(Own, Vec<Transition>), TooManyOwn> {
        let own = Own {
            id: OwnId(self.next),
            ids: ids(&verified.chain, verified.anchor_key.as_deref()),
            chain: verified.chain,
            anchor_key: verified.anchor_key,
            key_uri,
            use_,
            request_id,
            state: if use_.connects() { OwnState::Renewed } else { OwnState::InUse },
        };
        let alike: Vec<OwnId> = self
            .own
            .iter()
            .filter(|other| !use_.connects() && other.serves_like(&own))
            .map(|other| other.id)
            .collect();
        let beside = self.own.iter().filter(|other| other.use_.connects() == use_.connects()).count();
        let most = if use_.connects() { MAX_CONNECTING } else { MAX_VEHICLE };
        // A02.FR.15: the newest serves. The one before it stays for sessions that are under way,
        // unless there is no room for it; older ones go.
        let superseded = alike.get(1..).unwrap_or_default();
        let superseded = if beside - superseded.len() < most { superseded } else { &alike[..] };
        if beside - superseded.len() >= most {
            return Err(TooManyOwn);
        }
        let mut transitions = self.without_chains_unless(superseded, &own.key_uri).1;
        transitions.push(Transition::PutOwn(own.clone()));
        transitions.push(Transition::Next(self.next + 1));
        transitions.extend(pending.map(Transition::RemovePending));
        Ok((own, transitions))
    }

    /// Keeps the own certificate `id`, with which the station has connected, and discards the
    /// others for the connection; not those that are newer than `newest`, which came while the
    /// station connected and were never tried.
    ///
    /// Returns the names of the keys that no remaining record refers to. A certificate that served
    /// vehicles as well goes on to serve them, unless the one that is kept does.
    pub(crate) fn plan_confirm(
        &self,
        id: OwnId,
        newest: OwnId,
    ) -> Result<(Vec<String>, Vec<Transition>), PendingError> {
        let kept = self
            .own
            .iter()
            .find(|own| own.id == id && own.use_.connects())
            .ok_or(PendingError::UnknownOwn { id })?;
        let mut transitions = Vec::new();
        if kept.state != OwnState::InUse {
            transitions.push(Transition::PutOwn(Own { state: OwnState::InUse, ..kept.clone() }));
        }
        let mut discarded = Vec::new();
        for other in self.own.iter().filter(|own| own.id != id && own.id <= newest && own.use_.connects()) {
            if other.use_.is_for_vehicles() && !kept.use_.is_for_vehicles() {
                let use_ = CertificateSigningUse::V2g;
                let state = OwnState::InUse;
                transitions.push(Transition::PutOwn(Own { use_, state, ..other.clone() }));
            } else {
                discarded.push(other.id);
            }
        }
        let (destroy, removals) = self.without_chains(&discarded);
        transitions.extend(removals);
        Ok((destroy, transitions))
    }

    /// The changes that remove the own certificates `gone`, with the OCSP answers and the keys that
    /// nothing else needs; and the names of those keys.
    ///
    /// Counted by reference in the catalog, not by search: one key may carry two certificates.
    pub(crate) fn without_chains(&self, gone: &[OwnId]) -> (Vec<String>, Vec<Transition>) {
        self.without_chains_unless(gone, "")
    }

    /// As [`Catalog::without_chains`], where the same change brings a certificate for the key
    /// `needed`.
    fn without_chains_unless(&self, gone: &[OwnId], needed: &str) -> (Vec<String>, Vec<Transition>) {
        let (leaving, staying): (Vec<&Own>, Vec<&Own>) =
            self.own.iter().partition(|own| gone.contains(&own.id));
        let still_listed: Vec<&CertificateId> = staying.iter().flat_map(|own| own.listed()).collect();
        let mut transitions = Vec::new();
        let mut destroy: Vec<String> = Vec::new();
        for own in leaving {
            transitions.push(Transition::RemoveOwn(own.id));
            let answers = own.listed().iter().filter(|id| !still_listed.contains(id));
            let known = answers.map(|id| id.fingerprint()).filter(|name| self.ocsp.contains_key(name));
            transitions.extend(known.map(Transition::RemoveOcsp));
            let uri = &own.key_uri;
            let still_used = uri == needed
                || self.pending.iter().any(|pending| pending.key_uri == *uri)
                || staying.iter().any(|own| own.key_uri == *uri);
            if !still_used && !destroy.contains(uri) {
                transitions.push(Transition::Condemn(uri.clone()));
                destroy.push(uri.clone());
            }
        }
        (destroy, transitions)
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

/// [`MAX_CONNECTING`] or [`MAX_VEHICLE`] is reached.
#[derive(Debug)]
pub(crate) struct TooManyOwn;

/// Certificates for the connection: the one in use, and renewed ones that a connection has yet to
/// prove.
pub(crate) const MAX_CONNECTING: usize = 16;

/// SECCs that a station may have; the other bounds for vehicles follow from it.
pub const MAX_SECCS: usize = 16;

/// Editions of ISO 15118 with certificates of their own: -2 and -20.
pub(crate) const EDITIONS: usize = 2;

/// Certificates for vehicles: the newest and the one before it, for each SECC and edition. Under
/// further roots there is room where the ones before are given up.
pub(crate) const MAX_VEHICLE: usize = MAX_SECCS * EDITIONS * 2;
