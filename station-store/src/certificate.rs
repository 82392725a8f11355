//! One X.509 certificate, kept as it was received, with the parts that the rules and the hash data need.

use std::ops::Range;
use std::time::SystemTime;

use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Reader, SliceReader, Tag, Tagged};
use rustls_pki_types::CertificateDer;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::time::Time;

use crate::asn1::{Spki, context, sequence, whole_octets};
use crate::pem;

/// An X.509 version 3 certificate: its DER exactly as received, and where its parts lie in it.
///
/// The hash data of OCPP are digests over received bytes, so nothing here is ever encoded again.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    parts: Parts,
    not_before: Time,
    not_after: Time,
    ca: Option<CaConstraints>,
    key_usage: Option<KeyUsage>,
}

/// What basicConstraints says of a certification authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CaConstraints {
    /// How many intermediates may follow below this one.
    pub(crate) path_length: Option<u8>,
}

impl Certificate {
    /// Reads exactly one PEM certificate; text around the armour is let through.
    ///
    /// # Errors
    /// [`CertificateError`] when there is none, more than one, or something that is not an X.509 version 3
    /// certificate with bytes to the end.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let mut found = match pem::certificates(text, 1) {
            Err(CertificateError::TooMany { .. }) => return Err(CertificateError::NotExactlyOne),
            other => other?,
        };
        found.pop().ok_or(CertificateError::Nothing).and_then(Self::from_der)
    }

    /// Reads a chain of PEM certificates in the order of the text, which OCPP wants to be leaf first.
    ///
    /// # Errors
    /// As [`Certificate::from_pem`], and [`CertificateError::TooMany`] beyond `max` certificates.
    pub fn chain_from_pem(text: &str, max: usize) -> Result<Vec<Self>, CertificateError> {
        pem::certificates(text, max)?.into_iter().map(Self::from_der).collect()
    }

    /// Takes a certificate in DER.
    ///
    /// # Errors
    /// [`CertificateError`] when it is not an X.509 version 3 certificate, or bytes follow it.
    pub fn from_der(der: impl Into<Vec<u8>>) -> Result<Self, CertificateError> {
        let der = der.into();
        let read = read(&der)?;
        Ok(Self {
            parts: read.parts,
            not_before: read.not_before,
            not_after: read.not_after,
            ca: read.ca,
            key_usage: read.key_usage,
            der,
        })
    }

    /// The certificate as received.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate as received, for rustls.
    pub fn to_certificate_der(&self) -> CertificateDer<'static> {
        CertificateDer::from(self.der.clone())
    }

    /// The certificate in PEM, 64 characters to a line.
    pub fn to_pem(&self) -> String {
        pem::encode(&self.der)
    }

    /// The issuer Name as it stands in the certificate: tag, length and content.
    pub fn issuer(&self) -> &[u8] {
        &self.der[self.parts.issuer.clone()]
    }

    /// The subject Name as it stands in the certificate: tag, length and content.
    pub fn subject(&self) -> &[u8] {
        &self.der[self.parts.subject.clone()]
    }

    /// The magnitude of the serial number, big endian, without leading zero octets; empty for zero.
    pub fn serial(&self) -> &[u8] {
        &self.der[self.parts.serial.clone()]
    }

    /// The SubjectPublicKeyInfo: tag, length and content.
    pub fn spki(&self) -> &[u8] {
        &self.der[self.parts.spki.clone()]
    }

    /// The content of the subjectPublicKey BIT STRING without its unused-bits octet: the point of an EC key, the
    /// RSAPublicKey of an RSA key.
    pub fn public_key(&self) -> &[u8] {
        &self.der[self.parts.public_key.clone()]
    }

    /// The first second at which the certificate is valid.
    pub fn not_before(&self) -> SystemTime {
        self.not_before.to_system_time()
    }

    /// The last second at which the certificate is valid.
    pub fn not_after(&self) -> SystemTime {
        self.not_after.to_system_time()
    }

    /// Whether issuer and subject are the same Name, byte for byte.
    pub fn is_self_issued(&self) -> bool {
        self.issuer() == self.subject()
    }

    /// Each value of `attribute` in the subject, in its order; a value whose string type is unknown is left out.
    pub(crate) fn subject_values(&self, attribute: ObjectIdentifier) -> Vec<String> {
        name_values(self.subject(), attribute).unwrap_or_default()
    }

    pub(crate) fn not_before_text(&self) -> String {
        self.not_before.to_date_time().to_string()
    }

    pub(crate) fn not_after_text(&self) -> String {
        self.not_after.to_date_time().to_string()
    }

    pub(crate) fn ca(&self) -> Option<CaConstraints> {
        self.ca
    }

    pub(crate) fn key_usage(&self) -> Option<&KeyUsage> {
        self.key_usage.as_ref()
    }

    /// The value of the extension `wanted`.
    pub(crate) fn extension(&self, wanted: ObjectIdentifier) -> Option<&[u8]> {
        let mut reader = sequence(self.der.get(self.parts.extensions.clone())?).ok()?;
        while !reader.is_finished() {
            let (kind, value) = extension(&mut reader).ok()?;
            if kind == wanted {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn signed_part(&self) -> &[u8] {
        &self.der[self.parts.signed.clone()]
    }

    /// The content of the signature's AlgorithmIdentifier, without tag and length, as webpki names algorithms.
    pub(crate) fn signature_algorithm(&self) -> &[u8] {
        &self.der[self.parts.signature_algorithm.clone()]
    }

    pub(crate) fn signature(&self) -> &[u8] {
        &self.der[self.parts.signature.clone()]
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Certificate")
            .field("subject", &self.subject_values(COMMON_NAME))
            .field("serial", &hex::encode(self.serial()))
            .finish_non_exhaustive()
    }
}

/// Why some bytes are not a certificate that this crate takes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// No armour of a certificate in the text.
    #[error("there is no PEM certificate in the text")]
    Nothing,
    /// Several certificates where one is wanted.
    #[error("exactly one certificate is expected, and there are several")]
    NotExactlyOne,
    /// More certificates than a chain may have.
    #[error("more than {max} certificates")]
    TooMany {
        /// The most that are taken.
        max: usize,
    },
    /// A BEGIN line without its END line.
    #[error("the PEM armour is not closed")]
    Armour,
    /// PEM of something else, for example of a private key.
    #[error("a certificate is expected, and this is PEM of {label}")]
    OtherArmour {
        /// What the armour says it holds.
        label: String,
    },
    /// Not base64, or base64 with stray bits at its end.
    #[error("the text inside the PEM armour is not base64")]
    Base64,
    /// Not DER of an X.509 certificate, or bytes follow it.
    #[error("the bytes are not an X.509 certificate in DER")]
    Der {
        /// Where the encoding breaks.
        #[source]
        source: der::Error,
    },
    /// Versions 1 and 2 have no extensions and so cannot say what they may be used for.
    #[error("the certificate is not of X.509 version 3")]
    Version,
    /// Hash data write the serial number as a magnitude, so a negative one could never be listed.
    #[error("the serial number is negative")]
    NegativeSerial,
    /// Hash data have room for 40 hexadecimal digits (RFC 5280: 20 octets).
    #[error("the serial number has more than 20 octets")]
    LongSerial,
    /// The algorithm inside the signed part is not the one outside (RFC 5280, 4.1.1.2).
    #[error("the certificate names two different signature algorithms")]
    SignatureAlgorithm,
    /// An extension stands twice (RFC 5280, 4.2).
    #[error("the certificate has an extension twice")]
    RepeatedExtension,
}

impl From<der::Error> for CertificateError {
    fn from(source: der::Error) -> Self {
        Self::Der { source }
    }
}

/// id-at-commonName.
pub(crate) const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// id-at-organizationName.
pub(crate) const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
/// id-at-countryName.
pub(crate) const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");
/// id-domainComponent (RFC 4519).
pub(crate) const DOMAIN_COMPONENT: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.25");

const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");

/// `CertificateHashDataType.serialNumber` has 40 characters.
const MAX_SERIAL_OCTETS: usize = 20;

/// Where the parts of a certificate lie in its DER.
#[derive(Clone, PartialEq, Eq)]
struct Parts {
    signed: Range<usize>,
    signature_algorithm: Range<usize>,
    signature: Range<usize>,
    serial: Range<usize>,
    issuer: Range<usize>,
    subject: Range<usize>,
    spki: Range<usize>,
    public_key: Range<usize>,
    /// The Extensions, empty where there are none.
    extensions: Range<usize>,
}

struct Read {
    parts: Parts,
    not_before: Time,
    not_after: Time,
    ca: Option<CaConstraints>,
    key_usage: Option<KeyUsage>,
}

/// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }, RFC 5280 4.1.
fn read(der: &[u8]) -> Result<Read, CertificateError> {
    let mut reader = sequence(der)?;
    let signed = reader.tlv_bytes()?;
    let signature_algorithm = AnyRef::decode(&mut reader)?;
    signature_algorithm.tag().assert_eq(Tag::Sequence)?;
    let signature = whole_octets(&mut reader)?;
    reader.finish()?;

    let mut tbs = sequence(signed)?;
    let version = AnyRef::decode(&mut tbs)?;
    // [0] EXPLICIT INTEGER 2: without it this is version 1, and the next field would be the serial number.
    if version.tag() != context(0) || version.value() != [0x02, 0x01, 0x02] {
        return Err(CertificateError::Version);
    }
    let serial = serial(AnyRef::decode(&mut tbs)?)?;
    let inner_algorithm = AnyRef::decode(&mut tbs)?;
    if inner_algorithm != signature_algorithm {
        return Err(CertificateError::SignatureAlgorithm);
    }
    let issuer = name(&mut tbs)?;
    let (not_before, not_after) =
        tbs.sequence(|validity| Ok::<_, der::Error>((Time::decode(validity)?, Time::decode(validity)?)))?;
    let subject = name(&mut tbs)?;
    let spki = tbs.tlv_bytes()?;
    let public_key = Spki::read(spki)?.key;

    let mut ca = None;
    let mut key_usage = None;
    let mut all_extensions: &[u8] = &[];
    while !tbs.is_finished() {
        let field = AnyRef::decode(&mut tbs)?;
        // [1] and [2] are the unique identifiers that nobody uses; [3] holds the extensions and comes last.
        if field.tag() == context(3) {
            all_extensions = field.value();
            (ca, key_usage) = extensions(all_extensions)?;
            break;
        }
    }
    tbs.finish()?;

    let parts = Parts {
        signed: position(der, signed),
        signature_algorithm: position(der, signature_algorithm.value()),
        signature: position(der, signature),
        serial: position(der, serial),
        issuer: position(der, issuer),
        subject: position(der, subject),
        spki: position(der, spki),
        public_key: position(der, public_key),
        extensions: if all_extensions.is_empty() { 0..0 } else { position(der, all_extensions) },
    };
    Ok(Read { parts, not_before, not_after, ca, key_usage })
}

/// Where `part`, a slice that was borrowed from `whole`, begins and ends in it.
fn position(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr().addr()).saturating_sub(whole.as_ptr().addr()).min(whole.len());
    start..(start + part.len()).min(whole.len())
}

/// The magnitude of an INTEGER, without leading zero octets.
fn serial(integer: AnyRef<'_>) -> Result<&[u8], CertificateError> {
    integer.tag().assert_eq(Tag::Integer)?;
    let octets = integer.value();
    match octets {
        [] => return Err(der::Error::from(Tag::Integer.length_error()).into()),
        // More octets than needed: not DER.
        [0x00, second, ..] if second & 0x80 == 0 => {
            return Err(der::Error::from(Tag::Integer.non_canonical_error()).into());
        }
        [first, ..] if first & 0x80 != 0 => return Err(CertificateError::NegativeSerial),
        _ => {}
    }
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    let magnitude = &octets[zeros..];
    if magnitude.len() > MAX_SERIAL_OCTETS {
        return Err(CertificateError::LongSerial);
    }
    Ok(magnitude)
}

/// A Name, checked to be a sequence of sets of attributes.
fn name<'a>(reader: &mut SliceReader<'a>) -> Result<&'a [u8], der::Error> {
    let bytes = reader.tlv_bytes()?;
    name_values(bytes, COMMON_NAME)?;
    Ok(bytes)
}

fn name_values(name: &[u8], wanted: ObjectIdentifier) -> Result<Vec<String>, der::Error> {
    let mut values = Vec::new();
    let mut sets = sequence(name)?;
    while !sets.is_finished() {
        let set = AnyRef::decode(&mut sets)?;
        set.tag().assert_eq(Tag::Set)?;
        let mut attributes = SliceReader::new(set.value())?;
        while !attributes.is_finished() {
            let (kind, value) = attributes.sequence(|attribute| {
                Ok::<_, der::Error>((ObjectIdentifier::decode(attribute)?, AnyRef::decode(attribute)?))
            })?;
            if kind == wanted {
                values.extend(directory_string(value));
            }
        }
    }
    Ok(values)
}

/// DirectoryString of RFC 5280, and the IA5String that some tools use instead.
fn directory_string(value: AnyRef<'_>) -> Option<String> {
    let bytes = value.value();
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => {
            std::str::from_utf8(bytes).ok().map(str::to_owned)
        }
        // T.61 in theory, Latin-1 in every tool that writes it.
        Tag::TeletexString => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        Tag::BmpString => {
            let units: Vec<u16> = bytes
                .chunks(2)
                .map(|pair| pair.iter().fold(0, |unit, byte| unit << 8 | u16::from(*byte)))
                .collect();
            String::from_utf16(&units).ok().filter(|_| bytes.len().is_multiple_of(2))
        }
        _ => None,
    }
}

type Understood = (Option<CaConstraints>, Option<KeyUsage>);

/// The two extensions that the rules ask for; rustls-webpki judges the others.
fn extensions(explicit: &[u8]) -> Result<Understood, CertificateError> {
    let mut ca = None;
    let mut key_usage = None;
    let mut seen: Vec<ObjectIdentifier> = Vec::new();
    let mut reader = sequence(explicit)?;
    while !reader.is_finished() {
        let (kind, value) = extension(&mut reader)?;
        if seen.contains(&kind) {
            return Err(CertificateError::RepeatedExtension);
        }
        seen.push(kind);
        if kind == BASIC_CONSTRAINTS {
            let constraints = BasicConstraints::from_der(value)?;
            ca = constraints.ca.then_some(CaConstraints { path_length: constraints.path_len_constraint });
        } else if kind == KEY_USAGE {
            key_usage = Some(KeyUsage::from_der(value)?);
        }
    }
    Ok((ca, key_usage))
}

/// One extension: what it is, and the content of its OCTET STRING.
fn extension<'a>(reader: &mut SliceReader<'a>) -> Result<(ObjectIdentifier, &'a [u8]), der::Error> {
    reader.sequence(|extension| {
        let kind = ObjectIdentifier::decode(extension)?;
        // Older tools write the DEFAULT FALSE out; it is not DER, and it harms nothing.
        Option::<bool>::decode(extension)?;
        Ok::<_, der::Error>((kind, <&OctetStringRef>::decode(extension)?.as_bytes()))
    })
}
