//! Name constraints (RFC 5280, 4.2.1.10): the names that an issuer may certify.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

use super::error::PathError;
use super::general_name::{GeneralName, general_names};
use super::purpose::Purpose;
use super::steps::Steps;
use crate::asn1::sequence;
use crate::certificate::Certificate;
use crate::name::{Attribute, Name, RelativeName};

/// The constraints of the issuers from the root downwards.
#[derive(Default)]
pub(super) struct Constraints<'a> {
    issuers: Vec<Subtrees<'a>>,
}

/// The constraints of one issuer.
struct Subtrees<'a> {
    permitted: Vec<GeneralName<'a>>,
    excluded: Vec<GeneralName<'a>>,
}

impl<'a> Constraints<'a> {
    /// Adds the constraints of `issuer`.
    pub(super) fn add(&mut self, position: usize, issuer: &'a Certificate) -> Result<(), PathError> {
        if let Some(value) = issuer.extension(NAME_CONSTRAINTS) {
            let extension = NAME_CONSTRAINTS;
            let read = subtrees(value);
            self.issuers.push(read.map_err(|_| PathError::BrokenExtension { position, extension })?);
        }
        Ok(())
    }

    /// Checks the names of a certificate.
    pub(super) fn check(
        &self,
        position: usize,
        certificate: &Certificate,
        purpose: Purpose,
        steps: &mut Steps,
    ) -> Result<(), PathError> {
        if self.issuers.is_empty() {
            return Ok(());
        }
        let names = Names::of(position, certificate, purpose, self.have_emails())?;
        for issuer in &self.issuers {
            for name in names.all() {
                issuer.check(position, name, steps)?;
            }
        }
        Ok(())
    }
}

impl Constraints<'_> {
    fn have_emails(&self) -> bool {
        let all = self.issuers.iter().flat_map(|issuer| issuer.permitted.iter().chain(&issuer.excluded));
        all.into_iter().any(is_email)
    }
}

impl Subtrees<'_> {
    fn check(&self, position: usize, name: GeneralName<'_>, steps: &mut Steps) -> Result<(), PathError> {
        let unknown = PathError::UnknownNameConstraint { position };
        let refused = || PathError::NameConstraint { position, name: describe(name) };
        let same_kind = |base: &&GeneralName<'_>| base.kind() == name.kind();
        for base in self.excluded.iter().filter(same_kind) {
            steps.take(1)?;
            // A name that cannot be compared could be an excluded one.
            if contains(*base, name).ok_or_else(|| unknown.clone())? || is_wildcard_over(name, *base) {
                return Err(refused());
            }
        }
        let mut permitted = self.permitted.iter().filter(same_kind).peekable();
        if permitted.peek().is_none() {
            return Ok(());
        }
        for base in permitted {
            steps.take(1)?;
            if contains(*base, name).ok_or_else(|| unknown.clone())? {
                return Ok(());
            }
        }
        Err(refused())
    }
}

/// The names of a certificate to which constraints apply.
struct Names<'a> {
    subject: &'a [u8],
    alternative: Vec<GeneralName<'a>>,
    /// The email addresses in the subject, if no alternative name is one.
    emails: Vec<String>,
    /// The common name by which a CSMS is identified (A00.FR.309, A00.FR.510), even if the name is
    /// in subjectAltName too. Otherwise an issuer that may certify only some hosts could certify
    /// any host in the common name.
    host: Option<Host>,
}

impl<'a> Names<'a> {
    fn of(
        position: usize,
        certificate: &'a Certificate,
        purpose: Purpose,
        with_emails: bool,
    ) -> Result<Self, PathError> {
        let broken = |extension| PathError::BrokenExtension { position, extension };
        let value = certificate.extension(SUBJECT_ALT_NAME);
        let alternative = value.map(general_names).transpose().map_err(|_| broken(SUBJECT_ALT_NAME))?;
        let alternative = alternative.unwrap_or_default();
        let subject = certificate.subject();
        let values = |attribute: Attribute| {
            subject.values(attribute).map_err(|_| PathError::UnknownNameConstraint { position })
        };
        let emails = match with_emails && !alternative.iter().any(is_email) {
            true => values(Attribute::EmailAddress)?,
            false => Vec::new(),
        };
        let host = match purpose {
            Purpose::Csms if position == 0 => values(Attribute::CommonName)?.pop().map(Host::read),
            Purpose::Csms | Purpose::Station | Purpose::Secc => None,
        };
        Ok(Self { subject: subject.as_der(), alternative, emails, host })
    }

    fn all(&self) -> impl Iterator<Item = GeneralName<'_>> {
        let subject = Some(GeneralName::Directory(self.subject)).filter(|_| self.subject != EMPTY_NAME);
        let emails = self.emails.iter().map(|email| GeneralName::Email(email));
        let host = self.host.as_ref().map(Host::general_name);
        subject.into_iter().chain(self.alternative.iter().copied()).chain(emails).chain(host)
    }
}

/// A host, as a name or as an address. A station may know its CSMS by either.
enum Host {
    Name(String),
    Address(Vec<u8>),
}

impl Host {
    fn read(text: String) -> Self {
        match text.parse() {
            Ok(IpAddr::V4(address)) => Self::Address(address.octets().to_vec()),
            Ok(IpAddr::V6(address)) => Self::Address(address.octets().to_vec()),
            Err(_) => Self::Name(text),
        }
    }

    fn general_name(&self) -> GeneralName<'_> {
        match self {
            Self::Name(name) => GeneralName::Dns(name),
            Self::Address(octets) => GeneralName::Address(octets),
        }
    }
}

fn is_email(name: &GeneralName<'_>) -> bool {
    matches!(name, GeneralName::Email(_))
}

/// Whether a wildcard covers hosts that are excluded.
fn is_wildcard_over(name: GeneralName<'_>, excluded: GeneralName<'_>) -> bool {
    match (name, excluded) {
        (GeneralName::Dns(name), GeneralName::Dns(excluded)) => {
            name.strip_prefix("*.").is_some_and(|parent| contains_host(parent, excluded))
        }
        _ => false,
    }
}

/// Whether the subtree at `base` contains `name`, which is of the same kind; `None` if they cannot
/// be compared.
fn contains(base: GeneralName<'_>, name: GeneralName<'_>) -> Option<bool> {
    match (base, name) {
        (GeneralName::Email(base), GeneralName::Email(name)) => Some(contains_email(base, name)),
        (GeneralName::Dns(base), GeneralName::Dns(name)) => Some(contains_host(base, name)),
        (GeneralName::Directory(base), GeneralName::Directory(name)) => contains_directory(base, name),
        (GeneralName::Uri(base), GeneralName::Uri(name)) => contains_uri(base, name),
        (GeneralName::Address(base), GeneralName::Address(name)) => contains_address(base, name),
        _ => None,
    }
}

/// A host and all hosts below it. A leading dot excludes the host itself, as in OpenSSL.
fn contains_host(base: &str, name: &str) -> bool {
    let (base, name) = (base.to_ascii_lowercase(), name.to_ascii_lowercase());
    let name = name.strip_suffix('.').unwrap_or(&name);
    match name.strip_suffix(base.as_str()) {
        Some("") => !base.starts_with('.'),
        Some(below) => base.is_empty() || base.starts_with('.') || below.ends_with('.'),
        None => false,
    }
}

/// One mailbox, all mailboxes of a host, or those of all hosts below a domain that begins with a
/// dot.
fn contains_email(base: &str, name: &str) -> bool {
    let Some((mailbox, host)) = name.rsplit_once('@') else { return false };
    match base.rsplit_once('@') {
        Some((base_mailbox, base_host)) => mailbox == base_mailbox && host.eq_ignore_ascii_case(base_host),
        None => contains_host_of(base, host),
    }
}

/// The host of a URI; `None` if the URI contains no host name (4.2.1.10).
fn contains_uri(base: &str, name: &str) -> Option<bool> {
    let (_, rest) = name.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let is_named = !host.is_empty() && !host.starts_with('[') && host.parse::<Ipv4Addr>().is_err();
    is_named.then(|| contains_host_of(base, host))
}

fn contains_host_of(base: &str, host: &str) -> bool {
    if base.starts_with('.') { contains_host(base, host) } else { base.eq_ignore_ascii_case(host) }
}

/// Address and mask.
fn contains_address(base: &[u8], name: &[u8]) -> Option<bool> {
    if !matches!(name.len(), 4 | 16) || !matches!(base.len(), 8 | 32) {
        return None;
    }
    let (address, mask) = base.split_at(base.len() / 2);
    // An IPv6 network contains no IPv4 address.
    let is_within = |((base, mask), octet): ((&u8, &u8), &u8)| base & mask == octet & mask;
    Some(address.len() == name.len() && address.iter().zip(mask).zip(name).all(is_within))
}

/// Whether the name begins with the same relative names (7.1); `None` if they differ in a value
/// that is not readable text, because it may be the same text.
fn contains_directory(base: &[u8], name: &[u8]) -> Option<bool> {
    let relative_names = |der| Name::read(der).and_then(Name::relative_names).ok();
    let (base, name) = (relative_names(base)?, relative_names(name)?);
    if name.starts_with(&base) {
        return Some(true);
    }
    let is_unreadable = |set: &BTreeSet<RelativeName>| set.iter().any(|(_, value)| value.is_unreadable());
    let differing = base.iter().zip(&name).filter(|(base, name)| base != name);
    let mut differing = differing.peekable();
    // The result is unknown if `base` is not longer and every difference is in an unreadable value.
    let unknown = differing.peek().is_some()
        && base.len() <= name.len()
        && differing.all(|(base, name)| is_unreadable(base) || is_unreadable(name));
    (!unknown).then_some(false)
}

/// A name for an error. It is escaped, so that it cannot forge a line of a log.
fn describe(name: GeneralName<'_>) -> String {
    match name {
        GeneralName::Email(text) | GeneralName::Dns(text) | GeneralName::Uri(text) => {
            text.escape_debug().to_string()
        }
        GeneralName::Directory(der) => Name::checked(der).to_string(),
        GeneralName::Address(octets) => match (<[u8; 4]>::try_from(octets), <[u8; 16]>::try_from(octets)) {
            (Ok(octets), _) => IpAddr::from(octets).to_string(),
            (_, Ok(octets)) => IpAddr::from(octets).to_string(),
            _ => "an address".to_owned(),
        },
        GeneralName::Other { kind } => format!("a name of kind {kind}"),
    }
}

/// NameConstraints.
fn subtrees(der: &[u8]) -> der::Result<Subtrees<'_>> {
    let mut fields: SliceReader<'_> = sequence(der)?;
    let mut read = Subtrees { permitted: Vec::new(), excluded: Vec::new() };
    while !fields.is_finished() {
        let field = AnyRef::decode(&mut fields)?;
        let place = match field.tag() {
            Tag::ContextSpecific { constructed: true, number: TagNumber(0) } => &mut read.permitted,
            Tag::ContextSpecific { constructed: true, number: TagNumber(1) } => &mut read.excluded,
            tag => return Err(tag.value_error().into()),
        };
        let mut all = SliceReader::new(field.value())?;
        while !all.is_finished() {
            let mut subtree = sequence(all.tlv_bytes()?)?;
            let base = GeneralName::read(&mut subtree)?;
            // minimum is 0 and maximum is absent. DER omits both, but some tools write the 0.
            if !subtree.is_finished() && subtree.tlv_bytes()? != MINIMUM_ZERO {
                return Err(Tag::Integer.value_error().into());
            }
            subtree.finish()?;
            place.push(base);
        }
    }
    Ok(read)
}

/// id-ce-nameConstraints
pub(super) const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
/// id-ce-subjectAltName
pub(super) const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// `minimum [0] BaseDistance` with the value 0.
const MINIMUM_ZERO: &[u8] = &[0x80, 1, 0];

/// A Name without relative names.
const EMPTY_NAME: &[u8] = &[0x30, 0];
