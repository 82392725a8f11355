//! Distinguished names: built here, or read from certificates and requests of others.

use const_oid::db::rfc4519::{COMMON_NAME, COUNTRY_NAME, DOMAIN_COMPONENT, ORGANIZATION_NAME};
use der::{
    Decode, Encode,
    asn1::{Any, Ia5StringRef, ObjectIdentifier, PrintableStringRef, SetOfVec, Utf8StringRef},
};
use x509_cert::{attr::AttributeTypeAndValue, name::Name};

/// The subject of a certificate or request that this crate creates.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subject {
    /// CN: the station's serial number (A00.FR.511), a CSMS's FQDN (A00.FR.510), or a CA's name.
    pub common_name: String,
    /// O: the name of the organization that owns it (A00.FR.509).
    pub organization: String,
    /// C: two letters (ISO 3166-1), used in V2G certificates.
    pub country: Option<String>,
    /// DC: `CPO` in V2G certificates (ISO 15118-2).
    pub domain_component: Option<String>,
}

/// Why a subject cannot be encoded in a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// RFC 5280 appendix A.1 limits both to 64 characters.
    #[error("{attribute} has {characters} characters; 1 to 64 are allowed")]
    Length {
        /// `CN` or `O`.
        attribute: &'static str,
        /// The actual number.
        characters: usize,
    },
    /// Control characters hide the content of a name.
    #[error("{attribute} contains a control character")]
    Control {
        /// `CN` or `O`.
        attribute: &'static str,
    },
    /// Not a country code.
    #[error("country \"{0}\" is not two capital letters")]
    Country(String),
    /// Not ASCII.
    #[error("domain component \"{0}\" is not ASCII text of 1 to 64 characters")]
    DomainComponent(String),
}

impl Subject {
    /// A subject with CN and O, which every OCPP certificate has.
    pub fn new(common_name: impl Into<String>, organization: impl Into<String>) -> Self {
        Self {
            common_name: common_name.into(),
            organization: organization.into(),
            country: None,
            domain_component: None,
        }
    }

    /// Sets C.
    #[must_use]
    pub fn country(mut self, country: impl Into<String>) -> Self {
        self.country = Some(country.into());
        self
    }

    /// Sets DC.
    #[must_use]
    pub fn domain_component(mut self, domain_component: impl Into<String>) -> Self {
        self.domain_component = Some(domain_component.into());
        self
    }

    pub(crate) fn to_name(&self) -> Result<Name, SubjectError> {
        check_text("CN", &self.common_name)?;
        check_text("O", &self.organization)?;
        let mut parts: Vec<(ObjectIdentifier, Any)> = Vec::new();
        if let Some(component) = &self.domain_component {
            let refuse = || SubjectError::DomainComponent(component.clone());
            let text = Ia5StringRef::new(component).map_err(|_| refuse())?;
            if !(1..=64).contains(&component.len()) || component.chars().any(char::is_control) {
                return Err(refuse());
            }
            parts.push((DOMAIN_COMPONENT, Any::from(text)));
        }
        if let Some(country) = &self.country {
            let refuse = || SubjectError::Country(country.clone());
            if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
                return Err(refuse());
            }
            let text = PrintableStringRef::new(country).map_err(|_| refuse())?;
            parts.push((COUNTRY_NAME, Any::from(text)));
        }
        parts.push((ORGANIZATION_NAME, utf8("O", &self.organization)?));
        parts.push((COMMON_NAME, utf8("CN", &self.common_name)?));
        name_of(parts).map_err(|_| SubjectError::Length { attribute: "CN", characters: 0 })
    }
}

fn check_text(attribute: &'static str, text: &str) -> Result<(), SubjectError> {
    let characters = text.chars().count();
    if !(1..=64).contains(&characters) {
        return Err(SubjectError::Length { attribute, characters });
    }
    if text.chars().any(char::is_control) {
        return Err(SubjectError::Control { attribute });
    }
    Ok(())
}

fn utf8(attribute: &'static str, text: &str) -> Result<Any, SubjectError> {
    let text = Utf8StringRef::new(text).map_err(|_| SubjectError::Length { attribute, characters: 0 })?;
    Ok(Any::from(text))
}

fn name_of(parts: Vec<(ObjectIdentifier, Any)>) -> der::Result<Name> {
    let mut rdns: Vec<SetOfVec<AttributeTypeAndValue>> = Vec::new();
    for (oid, value) in parts {
        rdns.push(SetOfVec::try_from(vec![AttributeTypeAndValue { oid, value }])?);
    }
    Name::from_der(&rdns.to_der()?)
}

#[cfg(test)]
mod tests {
    use certificates::Attribute;
    use der::Encode as _;

    use super::{Subject, SubjectError};

    fn check(subject: Subject, expected: &str) {
        assert_eq!(subject.to_name().unwrap().to_string(), expected, "{subject:?}");
    }

    #[test]
    fn order_and_string_types() {
        check(Subject::new("CS-0001", "Example CSO"), "CN=CS-0001,O=Example CSO");
        check(
            Subject::new("DE*ABC*S1", "Example").country("DE").domain_component("CPO"),
            "CN=DE*ABC*S1,O=Example,C=DE,DC=CPO",
        );
    }

    #[test]
    fn refusals() {
        let error = |subject: Subject| subject.to_name().unwrap_err();
        assert_eq!(error(Subject::new("", "O")), SubjectError::Length { attribute: "CN", characters: 0 });
        assert_eq!(
            error(Subject::new("ü".repeat(65), "O")),
            SubjectError::Length { attribute: "CN", characters: 65 }
        );
        assert_eq!(error(Subject::new("CS\u{0}1", "O")), SubjectError::Control { attribute: "CN" });
        assert_eq!(error(Subject::new("C", "O").country("de")), SubjectError::Country("de".into()));
        assert_eq!(
            error(Subject::new("C", "O").domain_component("é")),
            SubjectError::DomainComponent("é".into())
        );
    }

    #[test]
    fn written_names_are_read_again() {
        let der = Subject::new("Säule 7", "Örtliche Werke").to_name().unwrap().to_der().unwrap();
        let name = certificates::Name::read(&der).unwrap();
        assert_eq!(name.value(Attribute::CommonName), Ok(Some("Säule 7".into())));
        assert_eq!(name.value(Attribute::Organization), Ok(Some("Örtliche Werke".into())));
    }
}
