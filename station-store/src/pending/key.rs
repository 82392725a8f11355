//! A key that waits for its certificate: as the caller announces it, in the listing, and in the
//! form of the catalog.

use std::time::SystemTime;

use crate::uses::CertificateSigningUse;

/// A key that is about to be generated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewPending {
    /// PKCS#11 URI (RFC 7512) that names the key and holds no PIN; at most 1024 characters.
    pub key_uri: String,
    /// The use of its certificate.
    pub use_: CertificateSigningUse,
    /// The common name that the certificate must have. For vehicles, it is the SeccId. Default: the
    /// station's serial number.
    pub common_name: Option<String>,
    /// The organization that the certificate must name. For vehicles, it is
    /// `ISO15118Ctrlr.OrganizationName`. Default: that of the settings for the connection, any for
    /// vehicles.
    pub organization: Option<String>,
    /// The country that the certificate must name. For vehicles, it is `ISO15118Ctrlr.CountryName`.
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

/// The number of a pending key. A number is never reused in a store.
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
    /// The use of its certificate.
    pub use_: CertificateSigningUse,
    /// The common name that its certificate must have. `None`: the station's serial number.
    pub common_name: Option<String>,
    /// The organization that its certificate must name. `None`: the default of its use.
    pub organization: Option<String>,
    /// The country that its certificate must name. `None`: any.
    pub country: Option<String>,
    /// `requestId` of its SignCertificate request, OCPP 2.1.
    pub request_id: Option<i64>,
    /// The note that was stored before the CSR was sent
    /// ([`Store::note_send`](crate::Store::note_send)). `None`: the CSR was never sent.
    pub sent: Option<SendNote>,
    /// Its state.
    pub state: PendingState,
}

/// How often a CSR was sent. With it, a restart continues where the station stopped (A02.FR.17–19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SendNote {
    /// How often the CSMS has accepted it, including a send that is under way.
    pub accepted: u32,
    /// When it is sent again, to the millisecond. `None`: not before a new trigger.
    pub due: Option<SystemTime>,
}

/// The state of a pending key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PendingState {
    /// The key is recorded. After a crash, the token may or may not hold it.
    KeyAnnounced,
    /// The key exists, and its CSR can be sent as often as necessary.
    CsrReady {
        /// SubjectPublicKeyInfo in DER, by which the certificate is matched.
        spki_der: Vec<u8>,
        /// The PKCS#10 request in PEM.
        csr_pem: String,
    },
}

/// A pending key in the form of the catalog.
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
