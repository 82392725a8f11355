//! The rules of OCPP for the subject of a certificate.
//!
//! On the web, the name of a host is in subjectAltName. OCPP uses the common name and the
//! organization of the subject instead (A00.FR.309, 404, 405, 412, 510, 511).

use certificates::{Attribute, Certificate, CertificateError, NameError};
use rustls_pki_types::CertificateDer;

/// The parts of a certificate's subject that OCPP gives a meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateSubject {
    /// The only common name: a CSMS's FQDN (A00.FR.510), a station's serial number (A00.FR.511).
    pub common_name: String,
    /// The organizations that own the certificate (A00.FR.509), usually one.
    pub organizations: Vec<String>,
}

impl CertificateSubject {
    /// Reads the subject of a certificate.
    ///
    /// # Errors
    /// If the bytes are not an X.509 certificate, if a common name or an organization is not
    /// readable text, or if there is not exactly one common name. With several common names, two
    /// readers could see two different owners.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, NameRuleError> {
        let certificate = Certificate::from_der(certificate.to_vec())
            .map_err(|source| NameRuleError::Certificate { source })?;
        Self::read(&certificate)
    }

    pub(crate) fn read(certificate: &Certificate) -> Result<Self, NameRuleError> {
        let values = |attribute| {
            certificate.subject().values(attribute).map_err(|source| NameRuleError::Unreadable { source })
        };
        let mut common_names = values(Attribute::CommonName)?;
        let organizations = values(Attribute::Organization)?;
        match (common_names.pop(), common_names.len()) {
            (Some(common_name), 0) => Ok(Self { common_name, organizations }),
            (Some(_), more) => Err(NameRuleError::CommonNameCount { count: more + 1 }),
            (None, _) => Err(NameRuleError::CommonNameCount { count: 0 }),
        }
    }
}

/// Whether a station accepts a wildcard in the CSMS's common name (`AllowCSMSTLSWildcards`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wildcards {
    /// As OCPP requires: a wildcard is refused even if it would match.
    #[default]
    Refuse,
    /// `*` may stand for the whole leftmost label.
    Allow,
}

/// Checks that a certificate belongs to the CSMS at `host` (A00.FR.309, A00.FR.412, A00.FR.510).
///
/// The common name must be equal to the whole host name, ignoring the case of ASCII letters. `host`
/// may end with the dot of the root domain.
///
/// # Errors
/// If the name does not match, or is a wildcard that is not allowed.
pub fn check_server_name(
    subject: &CertificateSubject,
    host: &str,
    wildcards: Wildcards,
) -> Result<(), NameRuleError> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let presented = subject.common_name.as_str();
    let mismatch = || NameRuleError::Mismatch { presented: presented.to_owned(), expected: host.to_owned() };
    if presented.contains('*') {
        if wildcards == Wildcards::Refuse {
            return Err(NameRuleError::Wildcard { presented: presented.to_owned() });
        }
        let parent =
            presented.strip_prefix("*.").filter(|parent| !parent.contains('*') && parent.contains('.'));
        let host_parent = host.split_once('.').map(|(_, parent)| parent);
        return match (parent, host_parent) {
            (Some(presented), Some(host)) if presented.eq_ignore_ascii_case(host) => Ok(()),
            _ => Err(mismatch()),
        };
    }
    if !host.is_empty() && presented.eq_ignore_ascii_case(host) { Ok(()) } else { Err(mismatch()) }
}

/// Checks that a station's certificate names one of `trusted` as its organization (A00.FR.404).
///
/// The comparison is exact and covers the whole value. The subject must have exactly one
/// organization.
///
/// # Errors
/// If the organization is missing, ambiguous or not trusted.
pub fn check_organization(subject: &CertificateSubject, trusted: &[String]) -> Result<(), NameRuleError> {
    match subject.organizations.as_slice() {
        [organization] if trusted.contains(organization) => Ok(()),
        presented => Err(NameRuleError::Organization { presented: presented.join(", ") }),
    }
}

/// Why the subject of a certificate breaks OCPP's rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameRuleError {
    /// Not an X.509 certificate.
    #[error("the certificate cannot be read")]
    Certificate {
        /// The cause.
        #[source]
        source: CertificateError,
    },
    /// A name is not text.
    #[error("the certificate's subject cannot be read")]
    Unreadable {
        /// The attribute that cannot be read.
        #[source]
        source: NameError,
    },
    /// No common name, or several.
    #[error("the certificate's subject has {count} common names, one is needed")]
    CommonNameCount {
        /// How many there are.
        count: usize,
    },
    /// The common name belongs to another host.
    #[error("the certificate is for {presented:?}, not for {expected:?}")]
    Mismatch {
        /// The common name in the certificate.
        presented: String,
        /// The host's name in the URL.
        expected: String,
    },
    /// The common name is a wildcard.
    #[error("the certificate is for the wildcard {presented:?}, which OCPP forbids")]
    Wildcard {
        /// The common name in the certificate.
        presented: String,
    },
    /// The organization is missing, ambiguous or not trusted.
    #[error("the certificate's organization {presented:?} is not a trusted one")]
    Organization {
        /// The organizations in the certificate.
        presented: String,
    },
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

    use super::*;

    fn subject(common_name: &str) -> CertificateSubject {
        CertificateSubject { common_name: common_name.into(), organizations: Vec::new() }
    }

    fn certificate(names: &[(DnType, &str)]) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in names {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn the_subject_is_read() {
        let der =
            certificate(&[(DnType::OrganizationName, "Ladestrom eG"), (DnType::CommonName, "csms.example")]);
        assert_eq!(
            CertificateSubject::of(&der).unwrap(),
            CertificateSubject {
                common_name: "csms.example".into(),
                organizations: vec!["Ladestrom eG".into()]
            }
        );
        let der = certificate(&[(DnType::OrganizationName, "Ladestrom eG")]);
        assert_eq!(CertificateSubject::of(&der), Err(NameRuleError::CommonNameCount { count: 0 }));
        let nothing = CertificateSubject::of(&CertificateDer::from(vec![0x30, 0]));
        assert!(matches!(nothing, Err(NameRuleError::Certificate { .. })), "{nothing:?}");
    }

    #[test]
    fn a00_fr_405_every_string_type_is_read() {
        let read = |value: DnValue| {
            let mut params = CertificateParams::default();
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, value);
            let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone();
            CertificateSubject::of(&der).map(|subject| subject.common_name)
        };
        for value in [
            DnValue::Ia5String("SN-2026-0001".try_into().unwrap()),
            DnValue::TeletexString("SN-2026-0001".try_into().unwrap()),
            DnValue::UniversalString("SN-2026-0001".try_into().unwrap()),
            DnValue::BmpString("SN-2026-0001".try_into().unwrap()),
            DnValue::PrintableString("SN-2026-0001".try_into().unwrap()),
            DnValue::Utf8String("SN-2026-0001".into()),
        ] {
            assert_eq!(read(value.clone()).unwrap(), "SN-2026-0001", "{value:?}");
        }
        let hidden = read(DnValue::Utf8String("SN-0001\u{0}".into()));
        assert!(matches!(hidden, Err(NameRuleError::Unreadable { .. })), "{hidden:?}");
    }

    #[test]
    fn a00_fr_309_the_common_name_is_the_host_as_a_whole() {
        let check =
            |name: &str, host: &str| check_server_name(&subject(name), host, Wildcards::Refuse).is_ok();
        assert!(check("csms.example.com", "csms.example.com"));
        assert!(check("CSMS.Example.com", "csms.example.COM."));
        for other in ["example.com", "sms.example.com", "csms.example.com.evil.net", "", "csms.example.com\0"]
        {
            assert!(!check(other, "csms.example.com"), "{other:?}");
        }
        assert!(!check("", ""));
    }

    #[test]
    fn tc_a_05_a_wildcard_is_refused_even_if_it_matches() {
        assert_eq!(
            check_server_name(&subject("*.example.com"), "csms.example.com", Wildcards::Refuse),
            Err(NameRuleError::Wildcard { presented: "*.example.com".into() })
        );
    }

    #[test]
    fn an_allowed_wildcard_stands_for_one_whole_label() {
        let check =
            |name: &str, host: &str| check_server_name(&subject(name), host, Wildcards::Allow).is_ok();
        assert!(check("*.example.com", "csms.EXAMPLE.com"));
        for other in ["*.com", "c*.example.com", "*", "*.*.com", "*.example.net", "*.csms.example.com"] {
            assert!(!check(other, "csms.example.com"), "{other:?}");
        }
        assert!(!check("*.example.com", "a.b.example.com"));
        assert!(!check("*.example.com", "example.com"));
    }

    #[test]
    fn a00_fr_404_the_organization_is_compared_whole() {
        let trusted = ["Ladestrom eG".to_owned()];
        let check = |organizations: &[&str]| {
            let organizations = organizations.iter().map(ToString::to_string).collect();
            check_organization(&CertificateSubject { common_name: "SN1".into(), organizations }, &trusted)
                .is_ok()
        };
        assert!(check(&["Ladestrom eG"]));
        for other in
            [&[][..], &["Ladestrom"], &["ladestrom eG"], &["Ladestrom eG "], &["Ladestrom eG", "Evil"]]
        {
            assert!(!check(other), "{other:?}");
        }
    }
}
