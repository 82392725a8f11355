//! One of the station's own certificates: in the listing, and in the form of the catalog.

use certificates::{Attribute, Certificate, CertificateId, HashData};
use rustls_pki_types::CertificateDer;

use crate::uses::CertificateSigningUse;

/// The number of an own certificate. A number is never reused in a store; a higher one is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnId(pub(crate) u64);

impl std::fmt::Display for OwnId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// One of the station's own certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnCertificate {
    /// Its number.
    pub id: OwnId,
    /// Leaf first, without the root, as TLS presents it.
    pub chain: Vec<CertificateDer<'static>>,
    /// The name of its key in the token.
    pub key_uri: String,
    /// Its use.
    pub use_: CertificateSigningUse,
    /// Whether a connection has proved it.
    pub state: OwnState,
}

/// Whether a connection has proved an own certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnState {
    /// The station has connected with it; or it is for vehicles only, and has been in use since it
    /// was accepted.
    InUse,
    /// It was accepted, but the station has not connected with it yet. The certificate in use is
    /// kept beside it (A02.FR.28).
    Renewed,
}

/// An own certificate in the form of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) id: OwnId,
    /// Never empty, leaf first.
    pub(crate) chain: Vec<Certificate>,
    /// The key of the issuer of the last certificate of the chain. Hash data need it, and the root
    /// may be deleted before the chain. It is known for every chain that is listed. For other
    /// chains with sub-CAs it may be unknown.
    pub(crate) anchor_key: Option<Vec<u8>>,
    pub(crate) key_uri: String,
    pub(crate) use_: CertificateSigningUse,
    /// `requestId` of the CSR, OCPP 2.1.
    pub(crate) request_id: Option<i64>,
    pub(crate) state: OwnState,
    /// The id of each certificate of the chain, if the key of its issuer is known: see [`ids`].
    pub(crate) ids: Vec<CertificateId>,
}

/// The ids of the certificates of a chain, leaf first. The last one is left out if `anchor_key`,
/// the key of its issuer, is unknown.
pub(crate) fn ids(chain: &[Certificate], anchor_key: Option<&[u8]>) -> Vec<CertificateId> {
    let issuer_keys = chain.iter().skip(1).map(Certificate::public_key).chain(anchor_key);
    chain.iter().zip(issuer_keys).map(|(certificate, key)| CertificateId::new(certificate, key)).collect()
}

impl Own {
    /// The ids of the certificates of the chain, leaf first.
    pub(crate) fn ids(&self) -> &[CertificateId] {
        &self.ids
    }

    /// The certificates of the chain in the inventory, leaf first. Empty if the chain serves the
    /// connection only.
    pub(crate) fn listed(&self) -> &[CertificateId] {
        if self.use_.is_for_vehicles() { &self.ids } else { &[] }
    }

    /// Whether `hash` names the leaf, or a sub-CA that was listed with it.
    pub(crate) fn names(&self, hash: &HashData) -> bool {
        self.ids.first().is_some_and(|leaf| leaf.is_named_by(hash))
            || self.listed().iter().any(|id| id.is_named_by(hash))
    }

    /// The names that a further certificate for the same key must have. For vehicles they are those
    /// of this certificate, for the connection those of the settings.
    pub(crate) fn subject(&self) -> SubjectNames {
        if self.use_.connects() {
            return SubjectNames::default();
        }
        let first = |attribute| values(&self.chain[0], attribute).into_iter().next();
        SubjectNames {
            common_name: first(Attribute::CommonName),
            organization: first(Attribute::Organization),
            country: first(Attribute::Country),
            domain_component: first(Attribute::DomainComponent),
        }
    }

    /// Whether `other` is a certificate for the same vehicles: of the same SECC, under the same
    /// root, for the same edition.
    pub(crate) fn serves_like(&self, other: &Self) -> bool {
        let secc = |own: &Self| values(&own.chain[0], Attribute::CommonName);
        self.use_ == other.use_ && self.anchor_key == other.anchor_key && secc(self) == secc(other)
    }
}

/// The values of an attribute of the subject. Empty if one of them cannot be read.
fn values(certificate: &Certificate, attribute: Attribute) -> Vec<String> {
    certificate.subject().values(attribute).unwrap_or_default()
}

/// The names that a leaf's subject must have. `None`: the default of the use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SubjectNames {
    pub(crate) common_name: Option<String>,
    pub(crate) organization: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) domain_component: Option<String>,
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

/// The most SECCs of a station; the other bounds for vehicles are derived from it.
pub const MAX_SECCS: usize = 16;

/// The editions of ISO 15118 with certificates of their own: -2 and -20.
pub(crate) const EDITIONS: usize = 2;
