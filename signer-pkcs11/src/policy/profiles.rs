//! The profiles of certificates.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use certificates::StationIdentity;
use program::TomlError;
use serde::Deserialize;

use crate::key::kind::{KeyKind, UnknownKeyKind};

/// The profiles of an authority's certificates.
///
/// ```
/// use signer_pkcs11::Profiles;
///
/// let profiles = Profiles::from_toml(
///     r#"
///     [station]
///     validity = "90d"
///     crl_urls = ["http://pki.example.com/cso.crl"]
///
///     [v2g]
///     country = "DE"
///     domain_component = "CPO"
///     [v2g.common_names]
///     CS001 = ["DE*ABC*S0001"]
///     "#,
/// )?;
/// assert_eq!(profiles.station.validity.as_secs(), 90 * 24 * 3600);
/// assert!(profiles.v2g.is_some());
/// # Ok::<(), signer_pkcs11::ProfilesError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profiles {
    /// ChargingStationCertificate.
    pub station: Profile,
    /// V2GCertificate, and V2G20Certificate of OCPP 2.1. Absent: such requests are rejected.
    pub v2g: Option<Profile>,
    /// One certificate for both connections (certificateType absent). Absent: the station has one
    /// connection and gets the profile `station`.
    pub combined: Option<Profile>,
    /// The CSMS's own certificate.
    pub server: Profile,
    /// The certificate of a subordinate authority.
    pub sub_authority: SubAuthority,
}

/// The required CN of a station's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommonNameRule {
    /// The serial number, as in the specification (A00.FR.405, A00.FR.511).
    #[default]
    SerialNumber,
    /// The identity in the connection URL, for fleets that do not know their serial numbers.
    Identity,
    /// One of the names that a table contains for the identity: the SeccIds of a station for V2G
    /// certificates, one per controller.
    Table(Arc<BTreeMap<StationIdentity, BTreeSet<String>>>),
}

/// The content of certificates of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// Lifetime, starting now. A certificate never outlives its issuer.
    pub validity: Duration,
    /// Allowed usages of the key, always critical (A00.FR.512). A usage that the kind of key does
    /// not support is omitted.
    pub key_usage: Vec<LeafUsage>,
    /// The hierarchy that issues it.
    pub hierarchy: Hierarchy,
    /// O. Absent: that of the authority.
    pub organization: Option<String>,
    /// C: two capital letters.
    pub country: Option<String>,
    /// DC: `CPO` in certificates for ISO 15118-2.
    pub domain_component: Option<String>,
    /// The required CN. Absent: the authority's rule.
    pub common_name: Option<CommonNameRule>,
    /// The kinds of key that are certified. Empty: the authority's rules.
    pub keys: Vec<KeyKind>,
    /// URLs of the issuer's CRL.
    pub crl_urls: Vec<String>,
    /// URLs of the issuer's OCSP responder.
    pub ocsp_urls: Vec<String>,
}

/// The content of the certificate of a subordinate authority.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubAuthority {
    /// Lifetime, starting now. A certificate never outlives its issuer.
    pub validity: Duration,
    /// Maximum number of authorities below it. Absent: as many as its issuer allows. Default 0: it
    /// issues to stations.
    pub path_len: Option<u8>,
    /// URLs of the issuer's CRL.
    pub crl_urls: Vec<String>,
}

impl Default for SubAuthority {
    /// Five years, for an authority that issues to stations.
    fn default() -> Self {
        Self::new(5 * 365 * DAY)
    }
}

impl SubAuthority {
    /// An authority that issues to stations.
    #[must_use]
    pub fn new(validity: Duration) -> Self {
        Self { validity, path_len: Some(0), crl_urls: Vec::new() }
    }

    /// Sets the maximum number of authorities below it.
    #[must_use]
    pub fn path_len(mut self, path_len: Option<u8>) -> Self {
        self.path_len = path_len;
        self
    }

    /// Adds a URL of the issuer's CRL.
    ///
    /// # Errors
    /// [`ProfilesError::Url`]
    pub fn crl_url(mut self, url: impl Into<String>) -> Result<Self, ProfilesError> {
        self.crl_urls.extend(urls(Some(vec![url.into()]))?);
        Ok(self)
    }
}

/// A usage of a leaf's key (RFC 5280 §4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum LeafUsage {
    /// Signs in TLS.
    DigitalSignature,
    /// Transports keys in TLS 1.2 with RSA: two of the four cipher suites of a CSMS (A00.FR.318).
    /// RSA keys only.
    KeyEncipherment,
    /// Agrees on keys, as in ISO 15118-2. Keys on a NIST curve only.
    KeyAgreement,
}

/// One of the hierarchies of an operator (A00.FR.601).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Hierarchy {
    /// That of the charging station operator: CSMS and stations.
    #[default]
    Cso,
    /// That of ISO 15118: vehicles trust its root.
    V2g,
}

/// Why profiles cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfilesError {
    /// Not TOML, an unknown name, or a value of a wrong type.
    #[error("cannot parse the profiles: {0}")]
    Toml(TomlError),
    /// Not a duration.
    #[error("validity is not a duration: write days or hours, as in \"365d\" or \"23h\"")]
    Validity(String),
    /// Not a kind of key.
    #[error(transparent)]
    KeyKind(#[from] UnknownKeyKind),
    /// Not a URL that a certificate may contain.
    #[error(
        "a certificate cannot contain the URL: use an http:// URL in ASCII, without a user (https would need this certificate's own revocation check)"
    )]
    Url(String),
    /// A certificate whose key has no usage.
    #[error("profile \"{0}\" has an empty key_usage: add at least digitalSignature")]
    NoUsage(&'static str),
    /// Two rules for one name.
    #[error("profile \"{0}\" has both common_name and common_names: remove one of them")]
    TwoNameRules(&'static str),
}

impl Default for Profiles {
    fn default() -> Self {
        Self {
            station: Profile::station(),
            v2g: None,
            combined: None,
            server: Profile::server(),
            sub_authority: SubAuthority::default(),
        }
    }
}

impl Profile {
    /// A station's certificate for its connection to the CSMS: one year, for signing only.
    #[must_use]
    pub fn station() -> Self {
        Self {
            validity: 365 * DAY,
            key_usage: vec![LeafUsage::DigitalSignature],
            hierarchy: Hierarchy::Cso,
            organization: None,
            country: None,
            domain_component: None,
            common_name: None,
            keys: Vec::new(),
            crl_urls: Vec::new(),
            ocsp_urls: Vec::new(),
        }
    }

    /// A certificate for connections to vehicles (ISO 15118-2, annex F): 60 days, DC=CPO, on a
    /// curve.
    #[must_use]
    pub fn v2g() -> Self {
        Self {
            validity: 60 * DAY,
            key_usage: vec![LeafUsage::DigitalSignature, LeafUsage::KeyAgreement],
            hierarchy: Hierarchy::V2g,
            domain_component: Some("CPO".to_owned()),
            keys: vec![KeyKind::P256, KeyKind::P384, KeyKind::P521],
            ..Self::station()
        }
    }

    /// One certificate for both connections (A00.FR.513): the same as for vehicles, whose rules are
    /// stricter.
    #[must_use]
    pub fn combined() -> Self {
        Self::v2g()
    }

    /// The CSMS's own certificate: 23 h, so that with the back-dating it stays below the 24 h of
    /// A00.FR.701, for which stations need no revocation check.
    #[must_use]
    pub fn server() -> Self {
        Self {
            validity: Duration::from_secs(23 * 3600),
            key_usage: vec![LeafUsage::DigitalSignature, LeafUsage::KeyEncipherment],
            ..Self::station()
        }
    }
}

pub(crate) fn urls(urls: Option<Vec<String>>) -> Result<Vec<String>, ProfilesError> {
    let urls = urls.unwrap_or_default();
    let wrong = urls.iter().find(|url| {
        let rest = url.strip_prefix("http://").unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // A user in front of the host would be a secret in every certificate.
        authority.is_empty() || authority.contains('@') || !rest.bytes().all(|byte| byte.is_ascii_graphic())
    });
    wrong.map_or(Ok(()), |url| Err(ProfilesError::Url(url.clone())))?;
    Ok(urls)
}

/// Parses a duration in profiles: `365d`, `23h`, `30m` or `45s`.
///
/// # Errors
/// [`ProfilesError::Validity`]
pub fn parse_duration(text: &str) -> Result<Duration, ProfilesError> {
    let unit = match text.as_bytes().last() {
        Some(b'd') => DAY,
        Some(b'h') => Duration::from_secs(3600),
        Some(b'm') => Duration::from_secs(60),
        Some(b's') => Duration::from_secs(1),
        _ => Duration::ZERO,
    };
    let number = text.get(..text.len().saturating_sub(1)).and_then(|digits| digits.parse::<u32>().ok());
    let duration = number.and_then(|number| unit.checked_mul(number)).filter(|duration| !duration.is_zero());
    duration.ok_or_else(|| ProfilesError::Validity(text.to_owned()))
}

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);
