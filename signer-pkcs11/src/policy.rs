//! Who may get which certificate.

use core::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::{
    certificate_use::CertificateUse,
    csr::{Csr, CsrError, Subject},
    key_rules::KeyRules,
    profiles::Profile,
    settings::{CaSettings, CommonNameRule},
};

/// The station, as its connection has authenticated it. What a request says of itself proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StationIdentity {
    /// The identity in the connection URL.
    pub identity: String,
    /// The serial number that the CSMS has on record for it.
    pub serial_number: String,
}

/// A vendor's own say in what is certified, beside the rules of [`CaSettings`].
///
/// It runs while a request is answered, so it must not block: what has to be looked up elsewhere is looked up before, or
/// is the business of an [`ExternalAuthority`](crate::ExternalAuthority).
pub trait IssuancePolicy: Send + Sync + fmt::Debug {
    /// The names that the station may have as CN; `None` leaves it to the settings.
    fn common_names(
        &self,
        station: &StationIdentity,
        certificate_use: Option<CertificateUse>,
    ) -> Option<Vec<String>> {
        let _ = (station, certificate_use);
        None
    }

    /// Refuses a request that every other rule has let pass.
    ///
    /// # Errors
    /// What the station is told: [`Refused::ByPolicy`].
    fn check(&self, order: &Order<'_>) -> Result<(), Refused> {
        let _ = order;
        Ok(())
    }
}

/// The rules of the settings, and no others.
#[derive(Clone, Copy, Debug, Default)]
pub struct StandardPolicy;

impl IssuancePolicy for StandardPolicy {}

/// A request that a policy decides about.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Order<'a> {
    /// The request, its possession proven.
    pub csr: &'a Csr,
    /// Who asks.
    pub station: &'a StationIdentity,
    /// What for; `None`: for all connections.
    pub certificate_use: Option<CertificateUse>,
    /// The subject of the certificate to come.
    pub subject: &'a Subject,
}

/// How much a station may ask for. A request that is repeated as it was does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most certificates for one station within [`Limits::window`]. Default 20: a station that renews for each of its
    /// controllers, and again after it was rejected, stays far below it.
    pub certificates: usize,
    /// Default one hour.
    pub window: Duration,
    /// How long the same request gets the same certificate, unless it was delivered before. Default one hour: stations
    /// repeat a request with doubling waits (A02.FR.17, A02.FR.18).
    pub same_answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self { certificates: 20, window: hour, same_answer: hour }
    }
}

impl Limits {
    /// Sets how many certificates a station may have within how long.
    pub fn certificates(mut self, certificates: usize, window: Duration) -> Self {
        self.certificates = certificates;
        self.window = window;
        self
    }

    /// Sets how long the same request gets the same certificate.
    pub fn same_answer(mut self, duration: Duration) -> Self {
        self.same_answer = duration;
        self
    }
}

/// Why a request for a certificate is refused. The texts are fit to be sent to the station.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The CSR itself is not acceptable.
    #[error(transparent)]
    Csr(#[from] CsrError),
    /// A00.FR.511 wants a CN.
    #[error("the subject has no CN; it must be \"{expected}\"")]
    NoCommonName {
        /// What it must be.
        expected: String,
    },
    /// The CN names somebody else.
    #[error("the subject's CN is \"{found}\"; for this station it must be \"{expected}\"")]
    CommonName {
        /// As requested.
        found: String,
        /// What it must be.
        expected: String,
    },
    /// A00.FR.509 wants an O.
    #[error("the subject has no O; it must be \"{expected}\"")]
    NoOrganization {
        /// What it must be.
        expected: String,
    },
    /// The O is not the operator's.
    #[error("the subject's O is \"{found}\"; it must be \"{expected}\"")]
    Organization {
        /// As requested.
        found: String,
        /// What it must be.
        expected: String,
    },
    /// A00.FR.511: a station's CN must not look like a URL or an IP address, else it could pass for a CSMS.
    #[error("the CN \"{name}\" looks like a URL, a host name or an IP address")]
    LooksLikeAddress {
        /// As on record.
        name: String,
    },
    /// The CN is a name of the CSMS.
    #[error("the CN \"{name}\" is a name of the CSMS")]
    Reserved {
        /// As on record.
        name: String,
    },
    /// The name on record is empty, or longer than a certificate can hold. The CSMS must mend it.
    #[error("the CSMS has no name on record for this station that a certificate can bear")]
    NoNameOnRecord,
    /// This authority does not issue such certificates.
    #[error("certificates of type {0} are not issued here")]
    UseNotOffered(CertificateUse),
    /// No issuer of the hierarchy that the profile names. The CSMS must mend it.
    #[error("the CSMS has no issuer for such certificates")]
    NoIssuer,
    /// The station asks for a certificate under another root (A02.FR.27 of OCPP 2.1).
    #[error("no certificates are issued here under the root that hashRootCertificate names")]
    UnknownRoot,
    /// The key was certified for somebody else: whoever holds it could pass for both.
    #[error("the key belongs to another station; generate a new one")]
    KeyOfAnother,
    /// Too many requests.
    #[error("more than {certificates} certificates within {} s were asked for; ask again later", window.as_secs())]
    TooMany {
        /// The limit.
        certificates: usize,
        /// Within how long.
        window: Duration,
    },
    /// A vendor's own rule.
    #[error("{info}")]
    ByPolicy {
        /// What sort of reason it is.
        code: ReasonCode,
        /// In words, which the station is told.
        info: String,
    },
}

/// The reason codes of the official list that fit a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReasonCode {
    /// The request itself.
    InvalidCsr,
    /// The CSMS, not the request.
    InternalError,
    /// A value that is not offered here.
    UnsupportedParam,
    /// Too many requests. In OCPP 2.0.1, which has no word for it: `Unspecified`.
    RateLimitExceeded,
    /// Anything else.
    Unspecified,
}

impl ReasonCode {
    /// The word of OCPP 2.0.1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidCsr => "InvalidCSR",
            Self::InternalError => "InternalError",
            Self::UnsupportedParam => "UnsupportedParam",
            Self::RateLimitExceeded | Self::Unspecified => "Unspecified",
        }
    }

    /// The word of OCPP 2.1.
    pub fn as_str_v21(self) -> &'static str {
        match self {
            Self::RateLimitExceeded => "RateLimitExceeded",
            other => other.as_str(),
        }
    }
}

impl Refused {
    /// The reason code of the official list.
    pub fn reason_code(&self) -> ReasonCode {
        match self {
            // The request is sound, the value of one parameter is not supported.
            Self::UseNotOffered(_) | Self::UnknownRoot => ReasonCode::UnsupportedParam,
            // Not the request's fault.
            Self::NoNameOnRecord | Self::NoIssuer => ReasonCode::InternalError,
            Self::TooMany { .. } => ReasonCode::RateLimitExceeded,
            Self::ByPolicy { code, .. } => *code,
            _ => ReasonCode::InvalidCsr,
        }
    }
}

/// The subject of the certificate for this station, built from our own record.
///
/// # Errors
/// [`Refused`] if the request asks for anything else.
pub(crate) fn subject_for(
    csr: &Csr,
    station: &StationIdentity,
    certificate_use: Option<CertificateUse>,
    profile: &Profile,
    settings: &CaSettings,
    policy: &dyn IssuancePolicy,
) -> Result<Subject, Refused> {
    check_key(csr, profile, &settings.keys)?;
    let names = policy.common_names(station, certificate_use).unwrap_or_else(|| {
        names_on_record(station, profile.common_name.as_ref().unwrap_or(&settings.common_name))
    });
    let organization = profile.organization.as_ref().unwrap_or(&settings.organization);
    // A00.FR.509, A00.FR.511: built here, never copied.
    let subject = |name: &str| Subject {
        country: profile.country.clone(),
        domain_component: profile.domain_component.clone(),
        ..Subject::new(name, organization)
    };
    if names.is_empty() || names.iter().any(|name| subject(name).to_name().is_err()) {
        return Err(Refused::NoNameOnRecord);
    }
    let expected = || names.join("\" or \"");
    // Exact: "contains" would let CS-1 have the certificate of CS-11.
    let name = match csr.common_name() {
        None => return Err(Refused::NoCommonName { expected: expected() }),
        Some(found) => names
            .iter()
            .find(|name| *name == found)
            .ok_or_else(|| Refused::CommonName { found: found.to_owned(), expected: expected() })?,
    };
    match csr.organization() {
        None => return Err(Refused::NoOrganization { expected: organization.clone() }),
        Some(found) if found != organization => {
            return Err(Refused::Organization { found: found.to_owned(), expected: organization.clone() });
        }
        Some(_) => {}
    }
    if settings.reserved_names.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        return Err(Refused::Reserved { name: name.clone() });
    }
    if looks_like_address(name) {
        return Err(Refused::LooksLikeAddress { name: name.clone() });
    }
    let subject = subject(name);
    policy.check(&Order { csr, station, certificate_use, subject: &subject })?;
    Ok(subject)
}

fn check_key(csr: &Csr, profile: &Profile, rules: &KeyRules) -> Result<(), Refused> {
    let checked = match profile.keys.as_slice() {
        [] => rules.check(csr.public_key()),
        kinds => rules.clone().kinds(kinds.iter().copied()).check(csr.public_key()),
    };
    checked.map_err(|error| Refused::Csr(error.into()))
}

fn names_on_record(station: &StationIdentity, rule: &CommonNameRule) -> Vec<String> {
    match rule {
        CommonNameRule::SerialNumber => vec![station.serial_number.clone()],
        CommonNameRule::Identity => vec![station.identity.clone()],
        CommonNameRule::Table(table) => table.get(&station.identity).into_iter().flatten().cloned().collect(),
    }
}

/// Whether a name could be taken for a URL, a host or an address.
fn looks_like_address(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let bare = lower.trim_start_matches('[').trim_end_matches(']');
    let authority = lower.split(['/', '?']).next().unwrap_or_default();
    let is_ip = [bare, &lower, authority]
        .iter()
        .any(|name| name.parse::<IpAddr>().is_ok() || name.parse::<SocketAddr>().is_ok());
    let is_url = lower.contains("://") || lower.starts_with("www.") || lower.starts_with("//");
    is_ip || is_url || is_host_name(&lower)
}

/// A dotted name whose last part could be a top-level domain: letters only, or an internationalised one (RFC 3696 §2, the
/// root zone). Also with a port or a path. `EVB.AC22` is a serial number, as no top-level domain ends in digits.
fn is_host_name(name: &str) -> bool {
    let host = name.split(['/', ':', '?']).next().unwrap_or_default();
    let labels: Vec<&str> = host.strip_suffix('.').unwrap_or(host).split('.').collect();
    let is_label = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_*".contains(&byte))
    };
    let could_be_top_level = labels.last().is_some_and(|label| {
        label.len() >= 2
            && (label.bytes().all(|byte| byte.is_ascii_alphabetic()) || label.starts_with("xn--"))
    });
    labels.len() >= 2 && labels.iter().all(is_label) && could_be_top_level
}

#[cfg(test)]
mod tests {
    use super::looks_like_address;

    #[test]
    fn a00_fr_511_names_that_look_like_addresses() {
        for name in [
            "https://example.com",
            "wss://x",
            "192.0.2.1",
            "192.0.2.1:443",
            "192.0.2.1/ocpp",
            "192.0.2.1:443/ocpp",
            "2001:db8::1",
            "[2001:db8::1]:443",
            "csms.example.com",
            "CSMS.Example.Com.",
            "*.example.com",
            "example.com/ocpp",
            "example.com:9000",
            "www.7",
            "csms.xn--p1ai",
        ] {
            assert!(looks_like_address(name), "{name}");
        }
    }

    #[test]
    fn a00_fr_511_serial_numbers() {
        for name in [
            "CS-0001",
            "SN1234567890",
            "4711",
            "AC22.1",
            "DE*ABC*E1",
            "V1.0.3",
            "A:B:1",
            "A/B",
            "X.9-2",
            "EVB.AC22",
            "a.b2",
        ] {
            assert!(!looks_like_address(name), "{name}");
        }
    }
}
