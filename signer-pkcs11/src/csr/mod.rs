//! Certificate signing requests (RFC 2986): built for a key in a token, or received, parsed and
//! verified.

pub(crate) mod name;

use certificates::{Attribute, NameError, PemError, pem};
use der::{
    AnyRef, Decode, EncodePem, Reader, SliceReader, Tag, TagNumber, Tagged, asn1::BitStringRef,
    pem::LineEnding,
};
use x509_cert::{
    builder::Builder,
    ext::pkix::{KeyUsage, KeyUsages},
    request::RequestBuilder,
};

pub use crate::csr::name::{Subject, SubjectError};
use crate::key::{
    error::{PublicKeyError, VerifyError},
    public_key::PublicKey,
    signer::{RemoteKey, SignError, Signer},
};

/// A certificate signing request whose sender has proven possession of the private key.
///
/// Only the public key and the requested subject are kept. Requested extensions are ignored.
#[derive(Clone, Debug)]
pub struct Csr {
    der: Vec<u8>,
    public_key: PublicKey,
    common_name: Option<String>,
    organization: Option<String>,
}

/// Why a request is refused. The texts may be sent to the station.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrError {
    /// OCPP limits the length of `csr`.
    #[error("the request has {characters} characters; at most {MAX_CSR_CHARACTERS} are allowed")]
    TooLong {
        /// The actual number.
        characters: usize,
    },
    /// Neither PEM of one request nor base64.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// Bytes after the request, which the signature does not cover.
    #[error("{bytes} bytes follow the request")]
    TrailingBytes {
        /// Their number.
        bytes: usize,
    },
    /// Not a DER-encoded request.
    #[error("the request is not DER of a PKCS #10 request (RFC 2986)")]
    Malformed,
    /// RFC 2986 §4: only version 0 exists.
    #[error("the request is not of version 0")]
    Version,
    /// The key is not on the allow-list.
    #[error(transparent)]
    PublicKey(#[from] PublicKeyError),
    /// The hash of the signature algorithm is broken.
    #[error("the request is signed by {0}, whose hash is broken; use SHA-256 or better")]
    WeakHash(&'static str),
    /// The signature algorithm is not on the list or does not fit the key.
    #[error("the request's signature algorithm {0} is not accepted for its kind of key")]
    SignatureAlgorithm(String),
    /// No proof of possession.
    #[error("the request's signature does not verify: possession of the private key is not proven")]
    Signature,
    /// The subject contains CN or O twice.
    #[error("the subject has more than one {0}")]
    SubjectTwice(&'static str),
    /// CN or O is not readable text.
    #[error("{0} in the subject is not readable text")]
    SubjectText(&'static str),
}

/// Why a request cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The subject cannot be encoded.
    #[error("cannot encode the subject of the request")]
    Subject(#[source] SubjectError),
    /// The encoder failed, which is a bug of this crate.
    #[error("cannot encode the request")]
    Encode(#[source] x509_cert::builder::Error),
    /// There is no signature.
    #[error("cannot sign the request")]
    Sign(#[source] SignError),
    /// The token's signature does not match the public key in the request.
    #[error(
        "the token's signature over the request does not verify: the public and the private key in the token do not match; generate a new pair"
    )]
    OwnSignature(#[source] VerifyError),
}

/// Maximum number of characters of `SignCertificateRequest.csr`.
pub const MAX_CSR_CHARACTERS: usize = 5500;

/// Builds the PEM request for a key and has the key sign it. Blocks while the token signs.
///
/// The request asks for the critical key usage digitalSignature, which strict CAs require, and for
/// no other extension.
///
/// # Errors
/// [`BuildError`]
pub fn build<S: Signer + ?Sized>(key: &S, subject: &Subject) -> Result<String, BuildError> {
    let unsigned = Unsigned::new(key, subject)?;
    let signature = key.sign_blocking(unsigned.to_be_signed()).map_err(BuildError::Sign)?;
    unsigned.assemble(&signature)
}

/// A request that is not signed yet.
pub(crate) struct Unsigned {
    builder: RequestBuilder,
    key: RemoteKey,
    to_be_signed: Vec<u8>,
}

impl Unsigned {
    pub(crate) fn new<S: Signer + ?Sized>(key: &S, subject: &Subject) -> Result<Self, BuildError> {
        let key = RemoteKey::of(key);
        let name = subject.to_name().map_err(BuildError::Subject)?;
        let mut builder = RequestBuilder::new(name).map_err(BuildError::Encode)?;
        builder
            .add_extension(&KeyUsage(KeyUsages::DigitalSignature.into()))
            .map_err(|source| BuildError::Encode(source.into()))?;
        let to_be_signed = builder.finalize(&key).map_err(BuildError::Encode)?;
        Ok(Self { builder, key, to_be_signed })
    }

    pub(crate) fn to_be_signed(&self) -> &[u8] {
        &self.to_be_signed
    }

    pub(crate) fn assemble(self, signature: &[u8]) -> Result<String, BuildError> {
        let bits = self.key.verified(&self.to_be_signed, signature).map_err(BuildError::OwnSignature)?;
        let request = self.builder.assemble(bits, &self.key).map_err(BuildError::Encode)?;
        request.to_pem(LineEnding::LF).map_err(|source| BuildError::Encode(source.into()))
    }
}

impl From<NameError> for CsrError {
    fn from(error: NameError) -> Self {
        match error {
            NameError::Text { attribute } => Self::SubjectText(attribute.abbreviation()),
            NameError::Several { attribute } => Self::SubjectTwice(attribute.abbreviation()),
            // Not a name.
            _ => Self::Malformed,
        }
    }
}

impl Csr {
    /// Parses a request as OCPP carries it, and verifies its signature over the received bytes.
    ///
    /// Accepts PEM with either common label and any text around the block, and DER in base64.
    ///
    /// # Errors
    /// [`CsrError`]
    pub fn parse(text: &str) -> Result<Self, CsrError> {
        let characters = text.chars().count();
        if characters > MAX_CSR_CHARACTERS {
            return Err(CsrError::TooLong { characters });
        }
        Self::from_der(&pem::request(text)?)
    }

    /// Parses a request in DER.
    ///
    /// # Errors
    /// [`CsrError`]
    pub fn from_der(der: &[u8]) -> Result<Self, CsrError> {
        let (outer, rest) = AnyRef::from_der_partial(der).map_err(|_| CsrError::Malformed)?;
        if !rest.is_empty() {
            return Err(CsrError::TrailingBytes { bytes: rest.len() });
        }
        let parts = Parts::parse(&outer).map_err(|_| CsrError::Malformed)?;
        if parts.version != 0 {
            return Err(CsrError::Version);
        }
        let public_key = PublicKey::from_spki_der(parts.spki)?;
        // Over the received bytes, not over a new encoding: a set in another order would be encoded
        // differently.
        public_key.verify(parts.algorithm_id, parts.signed, parts.signature).map_err(
            |error| match error {
                VerifyError::WeakHash(name) => CsrError::WeakHash(name),
                VerifyError::Algorithm(oid) => CsrError::SignatureAlgorithm(oid.to_string()),
                VerifyError::Malformed => CsrError::Malformed,
                VerifyError::Invalid => CsrError::Signature,
            },
        )?;
        let subject = certificates::Name::read(parts.subject)?;
        Ok(Self {
            der: der.to_vec(),
            public_key,
            common_name: subject.value(Attribute::CommonName)?,
            organization: subject.value(Attribute::Organization)?,
        })
    }

    /// The request as it was received.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The key whose possession was proven.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The key's DER `SubjectPublicKeyInfo`, as it was received.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        self.public_key.spki_der()
    }

    /// CN of the requested subject.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// O of the requested subject.
    #[must_use]
    pub fn organization(&self) -> Option<&str> {
        self.organization.as_deref()
    }
}

/// The parts of a request, borrowed from its DER.
struct Parts<'a> {
    /// CertificationRequestInfo with tag and length: what the signature covers.
    signed: &'a [u8],
    version: u8,
    subject: &'a [u8],
    spki: &'a [u8],
    /// Content of the signature's AlgorithmIdentifier.
    algorithm_id: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    fn parse(outer: &AnyRef<'a>) -> der::Result<Self> {
        outer.tag().assert_eq(Tag::Sequence)?;
        let mut reader = SliceReader::new(outer.value())?;
        let signed = reader.tlv_bytes()?;
        let algorithm = AnyRef::decode(&mut reader)?;
        algorithm.tag().assert_eq(Tag::Sequence)?;
        let signature = BitStringRef::decode(&mut reader)?;
        reader.finish()?;

        let info = AnyRef::from_der(signed)?;
        info.tag().assert_eq(Tag::Sequence)?;
        let mut reader = SliceReader::new(info.value())?;
        let version = u8::decode(&mut reader)?;
        let subject = reader.tlv_bytes()?;
        let spki = reader.tlv_bytes()?;
        // Attributes are ignored and therefore not parsed. A few old stacks omit the empty set;
        // OpenSSL accepts that too.
        if !reader.is_finished() {
            let attributes = AnyRef::decode(&mut reader)?;
            attributes.tag().assert_eq(Tag::ContextSpecific { constructed: true, number: TagNumber(0) })?;
            reader.finish()?;
        }
        let signature = signature.as_bytes().ok_or(der::ErrorKind::Value { tag: Tag::BitString })?;
        Ok(Self { signed, version, subject, spki, algorithm_id: algorithm.value(), signature })
    }
}

impl<'a> TryFrom<&'a str> for Csr {
    type Error = CsrError;

    fn try_from(text: &'a str) -> Result<Self, CsrError> {
        Self::parse(text)
    }
}

impl std::str::FromStr for Csr {
    type Err = CsrError;

    fn from_str(text: &str) -> Result<Self, CsrError> {
        Self::parse(text)
    }
}

impl Csr {
    /// The request as PEM, with the label of RFC 7468.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::encode(pem::REQUEST, &self.der)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use certificates::{PemError, pem};

    use super::{BuildError, Csr, CsrError, MAX_CSR_CHARACTERS, Subject, build};
    use crate::key::signer::software::SoftwareKey;

    fn check(text: &str, expected: CsrError) {
        assert_eq!(Csr::parse(text).unwrap_err(), expected, "{text}");
    }

    #[test]
    fn blocks() {
        let expected = pem::REQUEST;
        check("", CsrError::Pem(PemError::NeitherPemNorBase64 { expected }));
        check("hello!", CsrError::Pem(PemError::NeitherPemNorBase64 { expected }));
        check("aGVsbG8=", CsrError::Malformed);
        for (text, reason) in [
            ("-----BEGIN CERTIFICATE REQUEST", "belongs to no PEM block"),
            ("-----BEGIN CERTIFICATE REQUEST-----\naGVsbG8=\n", "is not closed"),
            ("-----BEGIN CERTIFICATE REQUEST-----\n\n-----END CERTIFICATE REQUEST-----", "is not base64"),
            (
                "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----",
                "CERTIFICATE REQUEST is expected, and this is PEM of CERTIFICATE",
            ),
            (
                &"-----BEGIN CERTIFICATE REQUEST-----\naGVsbG8=\n-----END CERTIFICATE REQUEST-----\n"
                    .repeat(2),
                "another certificate signing request begins here",
            ),
        ] {
            let error = Csr::parse(text).unwrap_err();
            assert!(
                matches!(error, CsrError::Pem(_)) && error.to_string().contains(reason),
                "{error}: {text}"
            );
        }
    }

    #[test]
    fn length_is_bounded_before_anything_is_read() {
        check(&"A".repeat(5501), CsrError::TooLong { characters: 5501 });
        check(&"A".repeat(MAX_CSR_CHARACTERS), CsrError::Malformed);
    }

    #[test]
    fn a_token_whose_halves_do_not_belong_together_makes_no_request() {
        let key = SoftwareKey::generate();
        let subject = Subject::new("CS-0001", "Example");
        let pem = build(&key, &subject).unwrap();
        assert_eq!(Csr::parse(&pem).unwrap().to_pem(), pem);
        let mixed = SoftwareKey::generate().with_public_half_of(&key);
        assert!(matches!(build(&mixed, &subject), Err(BuildError::OwnSignature(_))));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = Csr::parse(&text);
            let _ = Csr::parse(&format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----"));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Csr::from_der(&bytes);
        }

        #[test]
        fn no_damage_goes_unnoticed(position: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let pem = build(&SoftwareKey::generate(), &Subject::new("CS-0001", "Example")).unwrap();
            let der = Csr::parse(&pem).unwrap().der().to_vec();
            let mut damaged = der.clone();
            *position.get_mut(&mut damaged) = byte;
            prop_assert_eq!(Csr::from_der(&damaged).is_ok(), damaged == der);
            prop_assert!(Csr::from_der(&der[..cut.index(der.len())]).is_err());
        }
    }
}
