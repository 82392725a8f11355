//! What an operator says about each kind of certificate, and the TOML text in which it says it.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;

use crate::{public_key::KeyKind, settings::CommonNameRule};

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
    /// One certificate for both connections (certificateType absent). Absent: the station has one connection, and gets
    /// what `station` says.
    pub combined: Option<Profile>,
    /// The CSMS's own certificate.
    pub server: Profile,
    /// An authority below this one.
    pub sub_authority: SubAuthority,
}

/// What certificates of one kind look like.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// Lifetime from now on; never beyond the issuer's own end.
    pub validity: Duration,
    /// What the key may be used for, always critical (A00.FR.512). A use that the key's kind cannot have is left out.
    pub key_usage: Vec<LeafUsage>,
    /// Which hierarchy issues it.
    pub hierarchy: Hierarchy,
    /// O. Absent: the authority's.
    pub organization: Option<String>,
    /// C: two capital letters.
    pub country: Option<String>,
    /// DC: `CPO` in certificates for ISO 15118-2.
    pub domain_component: Option<String>,
    /// What the CN must be. Absent: the authority's rule.
    pub common_name: Option<CommonNameRule>,
    /// Which kinds of key are certified. Empty: the authority's rules.
    pub keys: Vec<KeyKind>,
    /// Where the issuer's CRL is found.
    pub crl_urls: Vec<String>,
    /// Where the issuer's OCSP responder is found.
    pub ocsp_urls: Vec<String>,
}

/// What the certificate of an authority below another looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubAuthority {
    /// Lifetime from now on; never beyond the issuer's own end.
    pub validity: Duration,
    /// How many authorities may stand below it; absent: as many as its issuer allows. Default 0: it issues to stations.
    pub path_len: Option<u8>,
    /// Where the issuer's CRL is found.
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
    pub fn new(validity: Duration) -> Self {
        Self { validity, path_len: Some(0), crl_urls: Vec::new() }
    }

    /// Sets how many authorities may stand below it.
    pub fn path_len(mut self, path_len: Option<u8>) -> Self {
        self.path_len = path_len;
        self
    }

    /// Adds where the issuer's CRL is found.
    ///
    /// # Errors
    /// [`ProfilesError::Url`]
    pub fn crl_url(mut self, url: impl Into<String>) -> Result<Self, ProfilesError> {
        self.crl_urls.extend(urls(Some(vec![url.into()]))?);
        Ok(self)
    }
}

/// A use of a leaf's key (RFC 5280 §4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum LeafUsage {
    /// Signs in TLS.
    DigitalSignature,
    /// Transports keys in TLS 1.2 under RSA: two of the four cipher suites of a CSMS (A00.FR.318). RSA keys only.
    KeyEncipherment,
    /// Agrees on keys, as ISO 15118-2 has it. Keys on a NIST curve only.
    KeyAgreement,
}

/// One of the hierarchies of an operator (A00.FR.601).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Hierarchy {
    /// The charging station operator's: CSMS and stations.
    #[default]
    Cso,
    /// ISO 15118's: vehicles trust its root.
    V2g,
}

/// Why a text is not a set of profiles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfilesError {
    /// Not TOML, an unknown name, or a value of a wrong type.
    #[error("the profiles cannot be read: {0}")]
    Toml(String),
    /// No duration.
    #[error("validity \"{0}\" is not a duration: write days or hours, as in \"365d\" or \"23h\"")]
    Validity(String),
    /// No kind of key.
    #[error("key kind \"{0}\" is unknown: write ecdsa-p256, ecdsa-p384, ecdsa-p521, ed25519 or rsa-2048")]
    KeyKind(String),
    /// No URL that may stand in a certificate.
    #[error(
        "\"{0}\" cannot stand in a certificate: write an http:// URL in ASCII (https would need this certificate's own revocation check)"
    )]
    Url(String),
    /// A certificate whose key may do nothing.
    #[error("profile \"{0}\" has an empty key_usage: name digitalSignature at least")]
    NoUsage(&'static str),
    /// Two rules for one name.
    #[error("profile \"{0}\" has both common_name and common_names: write one of them")]
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

impl Profiles {
    /// Reads profiles; what a text leaves out is as in the defaults of the kind.
    ///
    /// # Errors
    /// [`ProfilesError`]
    pub fn from_toml(text: &str) -> Result<Self, ProfilesError> {
        let raw: RawProfiles =
            toml::from_str(text).map_err(|error| ProfilesError::Toml(error.to_string()))?;
        Ok(Self {
            station: raw.station.unwrap_or_default().over(Profile::station(), "station")?,
            v2g: raw.v2g.map(|raw| raw.over(Profile::v2g(), "v2g")).transpose()?,
            combined: raw.combined.map(|raw| raw.over(Profile::combined(), "combined")).transpose()?,
            server: raw.server.unwrap_or_default().over(Profile::server(), "server")?,
            sub_authority: raw.sub_ca.unwrap_or_default().read()?,
        })
    }
}

impl Profile {
    /// A station's certificate for its connection with the CSMS: a year, for signing only.
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

    /// A certificate for the connection with vehicles (ISO 15118-2, annex F): 60 days, DC=CPO, on a curve.
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

    /// One certificate for both connections (A00.FR.513): as the one for vehicles, whose rules are the stricter ones.
    pub fn combined() -> Self {
        Self::v2g()
    }

    /// The CSMS's own certificate: 23 h, so that with the back-dating it stays below the 24 h of A00.FR.701, which spare
    /// stations the revocation check.
    pub fn server() -> Self {
        Self {
            validity: Duration::from_secs(23 * 3600),
            key_usage: vec![LeafUsage::DigitalSignature, LeafUsage::KeyEncipherment],
            ..Self::station()
        }
    }
}

impl FromStr for KeyKind {
    type Err = ProfilesError;

    fn from_str(name: &str) -> Result<Self, ProfilesError> {
        let unknown = || ProfilesError::KeyKind(name.to_owned());
        Ok(match name {
            "ecdsa-p256" => Self::P256,
            "ecdsa-p384" => Self::P384,
            "ecdsa-p521" => Self::P521,
            "ed25519" => Self::Ed25519,
            _ => {
                let bits = name.strip_prefix("rsa-").and_then(|bits| bits.parse().ok());
                Self::Rsa { bits: bits.filter(|bits| (2048..=8192).contains(bits)).ok_or_else(unknown)? }
            }
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfiles {
    station: Option<RawProfile>,
    v2g: Option<RawProfile>,
    combined: Option<RawProfile>,
    server: Option<RawProfile>,
    #[serde(rename = "sub-ca")]
    sub_ca: Option<RawSubAuthority>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSubAuthority {
    validity: Option<String>,
    path_len: Option<u8>,
    crl_urls: Option<Vec<String>>,
}

impl RawSubAuthority {
    fn read(self) -> Result<SubAuthority, ProfilesError> {
        let default = SubAuthority::default();
        Ok(SubAuthority {
            validity: self.validity.map_or(Ok(default.validity), |text| parse_duration(&text))?,
            path_len: self.path_len.or(default.path_len),
            crl_urls: urls(self.crl_urls)?,
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    validity: Option<String>,
    key_usage: Option<Vec<LeafUsage>>,
    hierarchy: Option<Hierarchy>,
    organization: Option<String>,
    country: Option<String>,
    domain_component: Option<String>,
    common_name: Option<RawRule>,
    common_names: Option<BTreeMap<String, BTreeSet<String>>>,
    keys: Option<Vec<String>>,
    crl_urls: Option<Vec<String>>,
    ocsp_urls: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawRule {
    SerialNumber,
    Identity,
}

impl RawProfile {
    /// What the text says, and the default where it says nothing.
    fn over(self, default: Profile, title: &'static str) -> Result<Profile, ProfilesError> {
        let rule = match (self.common_name, self.common_names) {
            (Some(_), Some(_)) => return Err(ProfilesError::TwoNameRules(title)),
            (Some(RawRule::SerialNumber), None) => Some(CommonNameRule::SerialNumber),
            (Some(RawRule::Identity), None) => Some(CommonNameRule::Identity),
            (None, Some(table)) => Some(CommonNameRule::Table(Arc::new(table))),
            (None, None) => default.common_name,
        };
        let keys = match self.keys {
            Some(names) => names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
            None => default.keys,
        };
        let key_usage = self.key_usage.unwrap_or(default.key_usage);
        if key_usage.is_empty() {
            return Err(ProfilesError::NoUsage(title));
        }
        Ok(Profile {
            validity: self.validity.map_or(Ok(default.validity), |text| parse_duration(&text))?,
            key_usage,
            hierarchy: self.hierarchy.unwrap_or(default.hierarchy),
            organization: self.organization.or(default.organization),
            country: self.country.or(default.country),
            // An empty text takes the default away.
            domain_component: self.domain_component.or(default.domain_component).filter(|dc| !dc.is_empty()),
            common_name: rule,
            keys,
            crl_urls: urls(self.crl_urls)?,
            ocsp_urls: urls(self.ocsp_urls)?,
        })
    }
}

fn urls(urls: Option<Vec<String>>) -> Result<Vec<String>, ProfilesError> {
    let urls = urls.unwrap_or_default();
    let wrong = urls.iter().find(|url| {
        let rest = url.strip_prefix("http://").unwrap_or_default();
        rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_graphic())
    });
    wrong.map_or(Ok(()), |url| Err(ProfilesError::Url(url.clone())))?;
    Ok(urls)
}

/// Reads a duration as profiles write it: `365d`, `23h`, `30m` or `45s`.
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

const DAY: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::{DAY, Hierarchy, LeafUsage, Profile, Profiles, ProfilesError, SubAuthority};
    use crate::{public_key::KeyKind, settings::CommonNameRule};

    fn check(text: &str, expected: ProfilesError) {
        assert_eq!(Profiles::from_toml(text), Err(expected), "{text}");
    }

    #[test]
    fn an_empty_text_is_the_defaults() {
        assert_eq!(Profiles::from_toml(""), Ok(Profiles::default()));
        let profiles = Profiles::from_toml("[v2g]\n[combined]\n").unwrap();
        assert_eq!(profiles.v2g, Some(Profile::v2g()));
        assert_eq!(profiles.combined, Some(Profile::combined()));
    }

    #[test]
    fn everything_that_can_be_said() {
        let text = r#"
            [station]
            validity = "30d"
            key_usage = ["digitalSignature", "keyEncipherment"]
            hierarchy = "v2g"
            organization = "Other"
            country = "DE"
            common_name = "identity"
            keys = ["rsa-2048", "ecdsa-p521"]
            crl_urls = ["http://a.example/crl"]
            ocsp_urls = ["http://a.example/ocsp"]
            [v2g]
            domain_component = ""
            [v2g.common_names]
            CS001 = ["S1", "S2"]
            [server]
            validity = "12h"
            [sub-ca]
            validity = "700d"
            path_len = 1
            crl_urls = ["http://a.example/root"]
        "#;
        let profiles = Profiles::from_toml(text).unwrap();
        let station = &profiles.station;
        assert_eq!(station.validity, 30 * DAY);
        assert_eq!(station.key_usage, [LeafUsage::DigitalSignature, LeafUsage::KeyEncipherment]);
        assert_eq!((station.hierarchy, station.country.as_deref()), (Hierarchy::V2g, Some("DE")));
        assert_eq!(station.common_name, Some(CommonNameRule::Identity));
        assert_eq!(station.keys, [KeyKind::Rsa { bits: 2048 }, KeyKind::P521]);
        let v2g = profiles.v2g.unwrap();
        assert_eq!(v2g.domain_component, None);
        let Some(CommonNameRule::Table(table)) = v2g.common_name else { panic!("a table") };
        assert!(table["CS001"].contains("S2"));
        assert_eq!(profiles.server.validity, DAY / 2);
        let expected = SubAuthority::new(700 * DAY).path_len(Some(1));
        assert_eq!(profiles.sub_authority, expected.crl_url("http://a.example/root").unwrap());
    }

    #[test]
    fn what_is_refused() {
        check("[station]\nvalidity = \"1y\"", ProfilesError::Validity("1y".into()));
        check("[station]\nvalidity = \"0d\"", ProfilesError::Validity("0d".into()));
        check("[station]\nvalidity = \"\"", ProfilesError::Validity(String::new()));
        check("[station]\nkeys = [\"rsa-1024\"]", ProfilesError::KeyKind("rsa-1024".into()));
        check("[station]\nkey_usage = []", ProfilesError::NoUsage("station"));
        for url in ["https://a.example/crl", "http://", "http://ä", "ldap://a"] {
            check(&format!("[station]\ncrl_urls = [\"{url}\"]"), ProfilesError::Url(url.into()));
        }
        check(
            "[v2g]\ncommon_name = \"identity\"\n[v2g.common_names]\na = []",
            ProfilesError::TwoNameRules("v2g"),
        );
        for text in [
            "[stations]",
            "[station]\neku = [\"clientAuth\"]",
            "[sub-ca]\norganization = \"O\"",
            "[station]\nkey_usage = [\"keyCertSign\"]",
            "[",
        ] {
            assert!(matches!(Profiles::from_toml(text), Err(ProfilesError::Toml(_))), "{text}");
        }
    }
}
