//! The rules for the leaf of the station's own chain: names, key, use (A00.FR.5xx, ISO 15118).

use certificates::key_strength::is_vehicle_key;
use certificates::{Attribute, Certificate};

use crate::own::refused::ChainRefused;
use crate::uses::CertificateSigningUse;

/// The names that the subject of a leaf must have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) common_name: &'a str,
    /// `None`: any. The same applies to the other members.
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
    // A00.FR.511, A02 (CN = SeccId): the whole CN, once; "contains" would accept CS10 for CS1.
    match leaf.subject().value(Attribute::CommonName) {
        Ok(Some(name)) if name == names.common_name => {}
        _ => return Err(ChainRefused::CommonName { expected: names.common_name.to_owned(), use_ }),
    }
    let lacks = |attribute, expected: &str| {
        let values = leaf.subject().values(attribute);
        !values.is_ok_and(|values| values.iter().any(|name| name == expected))
    };
    // A00.FR.509, once: the CSMS refuses a certificate with several O (A00.FR.404).
    if let Some(organization) = names.organization
        && leaf.subject().value(Attribute::Organization).ok().flatten().as_deref() != Some(organization)
    {
        return Err(ChainRefused::Organization { expected: organization.to_owned() });
    }
    if let Some(country) = names.country
        && lacks(Attribute::Country, country)
    {
        return Err(ChainRefused::Country { expected: country.to_owned() });
    }
    // ISO 15118-2, annex F: vehicles refuse an SECC whose certificate lacks it.
    if let Some(domain_component) = names.domain_component
        && lacks(Attribute::DomainComponent, domain_component)
    {
        return Err(ChainRefused::DomainComponent { expected: domain_component.to_owned() });
    }
    // TC_A_12: ECDSA with 256 bits or more; ISO 15118-20 also permits Ed448.
    if use_.is_for_vehicles() && !is_vehicle_key(leaf.spki()) {
        return Err(ChainRefused::VehicleKey);
    }
    Ok(())
}
