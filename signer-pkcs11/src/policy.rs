//! Who may get which certificate.

use core::net::{IpAddr, SocketAddr};

use ocpp_types::v201::CertificateSigningUseEnumType;

use crate::{
    csr::{Csr, CsrError, Subject},
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
    UseNotOffered(CertificateSigningUseEnumType),
}

impl Refused {
    /// The reason code of the official list.
    pub fn reason_code(&self) -> &'static str {
        match self {
            // The request is sound, the value of one parameter is not supported.
            Self::UseNotOffered(_) => "UnsupportedParam",
            // Not the request's fault.
            Self::NoNameOnRecord => "InternalError",
            _ => "InvalidCSR",
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
    settings: &CaSettings,
) -> Result<Subject, Refused> {
    settings.keys.check(csr.public_key()).map_err(CsrError::from)?;
    let expected = match settings.common_name {
        CommonNameRule::SerialNumber => &station.serial_number,
        CommonNameRule::Identity => &station.identity,
    };
    // A00.FR.509, A00.FR.511: built here, never copied.
    let subject = Subject::new(expected, &settings.organization);
    subject.to_name().map_err(|_| Refused::NoNameOnRecord)?;
    match csr.common_name() {
        None => return Err(Refused::NoCommonName { expected: expected.clone() }),
        // Exact: "contains" would let CS-1 have the certificate of CS-11.
        Some(found) if found != expected => {
            return Err(Refused::CommonName { found: found.to_owned(), expected: expected.clone() });
        }
        Some(_) => {}
    }
    let organization = &settings.organization;
    match csr.organization() {
        None => return Err(Refused::NoOrganization { expected: organization.clone() }),
        Some(found) if found != organization => {
            return Err(Refused::Organization { found: found.to_owned(), expected: organization.clone() });
        }
        Some(_) => {}
    }
    if settings.reserved_names.iter().any(|name| name.eq_ignore_ascii_case(expected)) {
        return Err(Refused::Reserved { name: expected.clone() });
    }
    if looks_like_address(expected) {
        return Err(Refused::LooksLikeAddress { name: expected.clone() });
    }
    Ok(subject)
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
