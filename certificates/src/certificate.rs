//! One X.509 certificate, kept as it was received, with the parts that the rules and the hash data
//! need.

use std::ops::Range;

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, Tag, Tagged};
use rustls_pki_types::CertificateDer;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use crate::asn1::{self, Signed, Spki, algorithm_identifier, content, context, position, sequence};
use crate::name::{Name, NameError};
use crate::pem::{self, PemError};
use crate::types::{KeyHash, SerialNumber, SerialNumberError, UnixSeconds};

/// An X.509 version 3 certificate: its DER exactly as received, and the positions of its parts.
///
/// The hash data of OCPP are digests over received bytes, so a certificate is never encoded again.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    contents: Contents,
}

/// The content of basicConstraints of a certification authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaConstraints {
    /// The maximum number of sub-CAs below this authority.
    pub path_length: Option<u8>,
}

impl Certificate {
    /// Reads exactly one PEM certificate; text around the block is accepted.
    ///
    /// # Errors
    /// [`CertificateError`] if there is none, more than one, or something that is not an X.509
    /// version 3 certificate with bytes to the end.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let mut found = match pem::certificates(text.as_bytes(), 1) {
            Err(PemError::TooMany { .. }) => return Err(CertificateError::NotExactlyOne),
            other => other?,
        };
        let der = found.pop().ok_or(PemError::Nothing { expected: pem::CERTIFICATE })?;
        Self::from_der(der.to_vec())
    }

    /// Reads a chain of PEM certificates in the order of the text. OCPP requires the leaf first.
    ///
    /// # Errors
    /// As [`Certificate::from_pem`], and [`PemError::TooMany`] beyond `max` certificates.
    pub fn chain_from_pem(text: &str, max: usize) -> Result<Vec<Self>, CertificateError> {
        pem::certificates(text.as_bytes(), max)?.into_iter().map(|der| Self::from_der(der.to_vec())).collect()
    }

    /// Takes a certificate in DER.
    ///
    /// # Errors
    /// [`CertificateError`] if it is not an X.509 version 3 certificate, or bytes follow it.
    pub fn from_der(der: impl Into<Vec<u8>>) -> Result<Self, CertificateError> {
        let der = der.into();
        let contents = read(&der)?;
        Ok(Self { der, contents })
    }

    /// The certificate as received.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate as received, for rustls.
    #[must_use]
    pub fn to_certificate_der(&self) -> CertificateDer<'static> {
        CertificateDer::from(self.der.clone())
    }

    /// The certificate in PEM, 64 characters to a line.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::encode(pem::CERTIFICATE, &self.der)
    }

    /// The issuer, as the certificate contains it.
    #[must_use]
    pub fn issuer(&self) -> Name<'_> {
        Name::checked(&self.der[self.contents.parts.issuer.clone()])
    }

    /// The subject, as the certificate contains it.
    #[must_use]
    pub fn subject(&self) -> Name<'_> {
        Name::checked(&self.der[self.contents.parts.subject.clone()])
    }

    /// The serial number.
    #[must_use]
    pub fn serial_number(&self) -> SerialNumber {
        self.contents.serial_number
    }

    /// The SubjectPublicKeyInfo: tag, length and content.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.der[self.contents.parts.spki.clone()]
    }

    /// The name of the key in records and ledgers.
    #[must_use]
    pub fn key_hash(&self) -> KeyHash {
        KeyHash::of_spki(self.spki())
    }

    /// The content of the subjectPublicKey BIT STRING without its unused-bits octet: the point of
    /// an EC key, the RSAPublicKey of an RSA key.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.der[self.contents.parts.public_key.clone()]
    }

    /// The first second at which the certificate is valid.
    #[must_use]
    pub fn not_before(&self) -> UnixSeconds {
        self.contents.not_before
    }

    /// The last second at which the certificate is valid.
    #[must_use]
    pub fn not_after(&self) -> UnixSeconds {
        self.contents.not_after
    }

    /// Whether issuer and subject are the same Name, byte for byte.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.issuer() == self.subject()
    }

    /// The content of basicConstraints; `None` if the certificate is not that of a certification
    /// authority.
    #[must_use]
    pub fn ca(&self) -> Option<CaConstraints> {
        self.contents.ca
    }

    /// The extension keyUsage; without it every usage is allowed (RFC 5280, 4.2.1.3).
    #[must_use]
    pub fn key_usage(&self) -> Option<&KeyUsage> {
        self.contents.key_usage.as_ref()
    }

    /// The purposes of extendedKeyUsage; `None` without that extension, empty if it cannot be read.
    #[must_use]
    pub fn extended_key_usage(&self) -> Option<Vec<ObjectIdentifier>> {
        let purposes = ExtendedKeyUsage::from_der(self.extension(EXTENDED_KEY_USAGE)?);
        Some(purposes.map(|purposes| purposes.0).unwrap_or_default())
    }

    /// subjectKeyIdentifier (RFC 5280, 4.2.1.2), if it has one that can be read.
    #[must_use]
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        asn1::content(self.extension(SUBJECT_KEY_ID)?, Tag::OctetString).ok()
    }

    /// The value of the extension with the identifier `wanted`.
    #[must_use]
    pub fn extension(&self, wanted: ObjectIdentifier) -> Option<&[u8]> {
        let all = self.extensions();
        all.into_iter().find(|extension| extension.kind == wanted).map(|extension| extension.value)
    }

    pub(crate) fn extensions(&self) -> Vec<asn1::Extension<'_>> {
        // They were read without an error before.
        let all = self.der.get(self.contents.parts.extensions.clone()).filter(|all| !all.is_empty());
        all.and_then(|all| asn1::extensions(all).ok()).unwrap_or_default()
    }

    /// The signed part: tag, length and content.
    #[must_use]
    pub fn signed_part(&self) -> &[u8] {
        &self.der[self.contents.parts.signed.clone()]
    }

    /// The content of the signature's AlgorithmIdentifier, without tag and length, as webpki names
    /// algorithms.
    #[must_use]
    pub fn signature_algorithm(&self) -> &[u8] {
        &self.der[self.contents.parts.signature_algorithm.clone()]
    }

    /// The signature, without the unused-bits octet of its BIT STRING.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.der[self.contents.parts.signature.clone()]
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Certificate")
            .field("subject", &self.subject())
            .field("serial_number", &self.contents.serial_number)
            .finish_non_exhaustive()
    }
}

/// Why some bytes are not an acceptable certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not PEM of certificates.
    #[error("the text is not PEM of certificates")]
    Pem {
        /// What is wrong with it, and in which line.
        #[source]
        source: PemError,
    },
    /// Several certificates where one is expected.
    #[error("exactly one certificate is expected, and there are several")]
    NotExactlyOne,
    /// Not DER of an X.509 certificate, or bytes follow it.
    #[error("the bytes are not an X.509 certificate in DER")]
    Der {
        /// The error of the decoder.
        #[source]
        source: der::Error,
    },
    /// The issuer or the subject is not a name.
    #[error("the issuer or the subject of the certificate cannot be read")]
    Name {
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// Versions 1 and 2 have no extensions, so they cannot restrict the use of the certificate.
    #[error("the certificate is not of X.509 version 3")]
    Version,
    /// A serial number that hash data cannot contain.
    #[error("the certificate has no serial number that can be used")]
    SerialNumber {
        /// What is wrong with it.
        #[source]
        source: SerialNumberError,
    },
    /// The algorithm in the signed part differs from the one outside it (RFC 5280, 4.1.1.2).
    #[error("the certificate names two different signature algorithms")]
    SignatureAlgorithm,
    /// An extension occurs twice (RFC 5280, 4.2).
    #[error("the certificate has an extension twice")]
    RepeatedExtension,
}

impl From<der::Error> for CertificateError {
    fn from(source: der::Error) -> Self {
        Self::Der { source }
    }
}

impl From<NameError> for CertificateError {
    fn from(source: NameError) -> Self {
        Self::Name { source }
    }
}

impl From<PemError> for CertificateError {
    fn from(source: PemError) -> Self {
        Self::Pem { source }
    }
}

impl From<SerialNumberError> for CertificateError {
    fn from(source: SerialNumberError) -> Self {
        Self::SerialNumber { source }
    }
}

/// id-ce-basicConstraints
pub(crate) const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
/// id-ce-keyUsage
pub(crate) const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
/// id-ce-subjectKeyIdentifier
const SUBJECT_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
/// id-ce-cRLDistributionPoints
pub(crate) const DISTRIBUTION_POINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.31");
/// id-ce-extKeyUsage
pub(crate) const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");

/// The positions of the parts of a certificate in its DER.
#[derive(Clone, PartialEq, Eq)]
struct Parts {
    signed: Range<usize>,
    signature_algorithm: Range<usize>,
    signature: Range<usize>,
    issuer: Range<usize>,
    subject: Range<usize>,
    spki: Range<usize>,
    public_key: Range<usize>,
    /// The Extensions; empty if there are none.
    extensions: Range<usize>,
}

/// The content of a certificate that was read.
#[derive(Clone, PartialEq, Eq)]
struct Contents {
    parts: Parts,
    serial_number: SerialNumber,
    not_before: UnixSeconds,
    not_after: UnixSeconds,
    ca: Option<CaConstraints>,
    key_usage: Option<KeyUsage>,
}

/// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }, RFC 5280 4.1.
fn read(der: &[u8]) -> Result<Contents, CertificateError> {
    let mut reader = sequence(der)?;
    let outer = Signed::read(&mut reader)?;
    reader.finish()?;

    let mut tbs = sequence(outer.content)?;
    let version = AnyRef::decode(&mut tbs)?;
    // [0] EXPLICIT INTEGER 2. Without it the certificate is of version 1, and the next field would
    // be the serial number.
    if version.tag() != context(0) || version.value() != [0x02, 0x01, 0x02] {
        return Err(CertificateError::Version);
    }
    let serial_number = SerialNumber::from_der_integer(content(tbs.tlv_bytes()?, Tag::Integer)?)?;
    if algorithm_identifier(&mut tbs)? != outer.algorithm {
        return Err(CertificateError::SignatureAlgorithm);
    }
    let issuer = Name::read(tbs.tlv_bytes()?)?;
    let mut validity = sequence(tbs.tlv_bytes()?)?;
    let (not_before, not_after) =
        (UnixSeconds::read_time(&mut validity)?, UnixSeconds::read_time(&mut validity)?);
    validity.finish()?;
    let subject = Name::read(tbs.tlv_bytes()?)?;
    let spki = tbs.tlv_bytes()?;
    let public_key = Spki::read(spki)?.key;

    let mut all_extensions: &[u8] = &[];
    while !tbs.is_finished() {
        let field = AnyRef::decode(&mut tbs)?;
        // [1] and [2] are the unique identifiers, which are not used; [3] contains the extensions
        // and comes last.
        if field.tag() == context(3) {
            all_extensions = field.value();
            break;
        }
    }
    tbs.finish()?;
    let (ca, key_usage) = if all_extensions.is_empty() { (None, None) } else { understood(all_extensions)? };

    let parts = Parts {
        signed: position(der, outer.content),
        signature_algorithm: position(der, outer.algorithm),
        signature: position(der, outer.signature),
        issuer: position(der, issuer.as_der()),
        subject: position(der, subject.as_der()),
        spki: position(der, spki),
        public_key: position(der, public_key),
        extensions: if all_extensions.is_empty() { 0..0 } else { position(der, all_extensions) },
    };
    Ok(Contents { parts, serial_number, not_before, not_after, ca, key_usage })
}

type Understood = (Option<CaConstraints>, Option<KeyUsage>);

/// Reads the two extensions that most rules need, and refuses an extension that occurs twice. The
/// other extensions are read where a rule applies them.
fn understood(explicit: &[u8]) -> Result<Understood, CertificateError> {
    let (mut ca, mut key_usage) = (None, None);
    let all = asn1::extensions(explicit)?;
    for (index, extension) in all.iter().enumerate() {
        if all.iter().take(index).any(|earlier| earlier.kind == extension.kind) {
            return Err(CertificateError::RepeatedExtension);
        }
        if extension.kind == BASIC_CONSTRAINTS {
            let constraints = BasicConstraints::from_der(extension.value)?;
            ca = constraints.ca.then_some(CaConstraints { path_length: constraints.path_len_constraint });
        } else if extension.kind == KEY_USAGE {
            key_usage = Some(KeyUsage::from_der(extension.value)?);
        }
    }
    Ok((ca, key_usage))
}
