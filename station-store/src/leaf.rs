//! What the leaf of the station's own chain must say: names, key, use (A00.FR.5xx, ISO 15118).

use crate::certificate::{COMMON_NAME, COUNTRY, Certificate, DOMAIN_COMPONENT, ORGANIZATION};
use crate::chain::ChainRefused;
use crate::key::is_vehicle_key;
use crate::pending::CertificateSigningUse;

/// What the subject of a leaf must name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) common_name: &'a str,
    /// `None`: any; of the others too.
    pub(crate) organization: Option<&'a str>,
    pub(crate) country: Option<&'a str>,
    pub(crate) domain_component: Option<&'a str>,
}

/// Checks the leaf of a chain for `use_`.
pub(crate) fn check(
    leaf: &Certificate,
    use_: CertificateSigningUse,
    names: Names<'_>,
) -> Result<(), ChainRefused> {
    // A00.FR.511, A02 (CN = SeccId): the whole CN, once; "contains" would let CS10 pass for CS1.
    match leaf.subject_values(COMMON_NAME).as_slice() {
        [name] if name == names.common_name => {}
        _ => return Err(ChainRefused::CommonName { expected: names.common_name.to_owned(), use_ }),
    }
    let lacks =
        |attribute, expected: &str| !leaf.subject_values(attribute).iter().any(|name| name == expected);
    // A00.FR.509
    if let Some(organization) = names.organization
        && lacks(ORGANIZATION, organization)
    {
        return Err(ChainRefused::Organization { expected: organization.to_owned() });
    }
    if let Some(country) = names.country
        && lacks(COUNTRY, country)
    {
        return Err(ChainRefused::Country { expected: country.to_owned() });
    }
    // ISO 15118-2, annex F: vehicles refuse an SECC whose certificate lacks it.
    if let Some(domain_component) = names.domain_component
        && lacks(DOMAIN_COMPONENT, domain_component)
    {
        return Err(ChainRefused::DomainComponent { expected: domain_component.to_owned() });
    }
    // A00.FR.512: keyUsage may be absent; where it restricts, it must leave what TLS needs.
    if leaf.key_usage().is_some_and(|usage| !usage.digital_signature()) {
        return Err(ChainRefused::KeyUsage);
    }
    // TC_A_12: ECDSA with 256 bits or more; ISO 15118-20 knows Ed448 besides.
    if use_.is_for_vehicles() && !is_vehicle_key(leaf.spki()) {
        return Err(ChainRefused::VehicleKey);
    }
    Ok(())
}
