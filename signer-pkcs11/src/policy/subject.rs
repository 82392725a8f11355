//! The subject of a station's certificate.

use std::net::{IpAddr, SocketAddr};

use crate::{
    csr::{Csr, name::Subject},
    policy::{
        applicant::Applicant,
        certificate_use::CertificateUse,
        issuance::{IssuancePolicy, ProposedCertificate},
        key_rules::KeyRules,
        profiles::{CommonNameRule, Profile},
        refused::Refused,
        settings::CaSettings,
    },
};

/// The subject of the station's certificate, built from the CSMS's own data.
///
/// # Errors
/// [`Refused`] if the request asks for another subject.
pub(crate) fn subject_for(
    csr: &Csr,
    station: &Applicant,
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
    // Exact comparison: "contains" would give CS-1 the certificate of CS-11.
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
    policy.check(&ProposedCertificate { csr, station, certificate_use, subject: &subject })?;
    Ok(subject)
}

fn check_key(csr: &Csr, profile: &Profile, rules: &KeyRules) -> Result<(), Refused> {
    let checked = match profile.keys.as_slice() {
        [] => rules.check(csr.public_key()),
        kinds => rules.clone().kinds(kinds.iter().copied()).check(csr.public_key()),
    };
    checked.map_err(|error| Refused::Csr(error.into()))
}

fn names_on_record(station: &Applicant, rule: &CommonNameRule) -> Vec<String> {
    match rule {
        CommonNameRule::SerialNumber => vec![station.serial_number.clone()],
        CommonNameRule::Identity => vec![station.identity.to_string()],
        CommonNameRule::Table(table) => table.get(&station.identity).into_iter().flatten().cloned().collect(),
    }
}

/// Whether a name could be taken for a URL, a host name or an address.
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

/// A dotted name whose last part could be a top-level domain: letters only, or an internationalized
/// one (RFC 3696 §2, the root zone). Also with a port or a path. `EVB.AC22` is a serial number,
/// because no top-level domain ends in digits.
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
