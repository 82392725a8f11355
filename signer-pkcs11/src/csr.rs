//! Certificate signing requests (RFC 2986): built for a key in a token, and received ones, read and proven.

use base64ct::{Base64, Encoding};
use der::{
    AnyRef, Decode, EncodePem, Reader, SliceReader, Tag, TagNumber, Tagged, asn1::BitStringRef,
    pem::LineEnding,
};
use x509_cert::{
    builder::Builder,
    ext::pkix::{KeyUsage, KeyUsages},
    name::Name,
    request::RequestBuilder,
};

pub use crate::name::{Subject, SubjectError};
use crate::{
    name::{self, ReadError},
    public_key::{PublicKey, PublicKeyError, VerifyError},
    sign::{RemoteKey, SignError, Signer},
};

/// A certificate signing request whose sender has proven to hold the private key.
///
/// Nothing of it but the public key and the wish for a subject is kept: requested extensions are not honoured.
#[derive(Clone, Debug)]
pub struct Csr {
    der: Vec<u8>,
    public_key: PublicKey,
    common_name: Option<String>,
    organization: Option<String>,
}

/// Why a request is refused. The texts are fit to be sent to the station.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrError {
    /// OCPP bounds `csr`.
    #[error("the request has {characters} characters; at most {MAX_CSR_CHARACTERS} are allowed")]
    TooLong {
        /// As counted.
        characters: usize,
    },
    /// Neither PEM nor base64.
    #[error("the request is neither PEM nor base64")]
    NotText,
    /// PEM of something else.
    #[error("the PEM block is labelled \"{0}\"; \"CERTIFICATE REQUEST\" is expected")]
    Label(String),
    /// No end line, or another one than the begin line asks for.
    #[error("the PEM block has no matching END line")]
    Armour,
    /// More than one request: it is not clear which one is meant.
    #[error("the text holds more than one PEM block")]
    Several,
    /// Bytes after the request, which a signature would not cover.
    #[error("{bytes} bytes follow the request")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
    /// Not the DER of a request.
    #[error("the request is not DER of a PKCS #10 request (RFC 2986)")]
    Malformed,
    /// RFC 2986 §4: only version 0 exists.
    #[error("the request is not of version 0")]
    Version,
    /// The key is not on the allow-list.
    #[error(transparent)]
    PublicKey(#[from] PublicKeyError),
    /// The signature's hash is broken.
    #[error("the request is signed by {0}, whose hash is broken; use SHA-256 or better")]
    WeakHash(&'static str),
    /// The signature algorithm is not on the list or does not fit the key.
    #[error("the request's signature algorithm {0} is not accepted for its kind of key")]
    SignatureAlgorithm(String),
    /// No proof of possession.
    #[error("the request's signature does not verify: possession of the private key is not proven")]
    Signature,
    /// CN or O stands twice.
    #[error("the subject has more than one {0}")]
    SubjectTwice(&'static str),
    /// CN or O is not readable text.
    #[error("{0} in the subject is not readable text")]
    SubjectText(&'static str),
}

/// Why no request could be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The subject cannot be written.
    #[error("the subject cannot be written into a request")]
    Subject(#[source] SubjectError),
    /// The encoder refused, which is our bug.
    #[error("the request cannot be encoded")]
    Encode(#[source] x509_cert::builder::Error),
    /// No signature.
    #[error("the request cannot be signed")]
    Sign(#[source] SignError),
    /// The token's signature is not by the key that the request names.
    #[error(
        "the token's signature over the request does not verify: the public and the private key in the token do not belong together"
    )]
    OwnSignature(#[source] VerifyError),
}

/// Most characters of `SignCertificateRequest.csr`.
pub const MAX_CSR_CHARACTERS: usize = 5500;

/// The PEM request for a key, signed by it. Blocks while the token signs.
///
/// It asks for the critical key usage digitalSignature, which strict CAs want to see, and for nothing else.
///
/// # Errors
/// [`BuildError`]
pub fn build<S: Signer + ?Sized>(key: &S, subject: &Subject) -> Result<String, BuildError> {
    let unsigned = Unsigned::new(key, subject)?;
    let signature = key.sign_blocking(unsigned.to_be_signed()).map_err(BuildError::Sign)?;
    unsigned.assemble(&signature)
}

/// A request that waits for its signature.
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

impl Csr {
    /// Reads a request as OCPP carries it, and verifies its signature over the received bytes.
    ///
    /// Accepted are PEM with either label in use, with any text around the armour, and DER in base64.
    ///
    /// # Errors
    /// [`CsrError`]
    pub fn parse(text: &str) -> Result<Self, CsrError> {
        let characters = text.chars().count();
        if characters > MAX_CSR_CHARACTERS {
            return Err(CsrError::TooLong { characters });
        }
        Self::from_der(&decode_text(text)?)
    }

    /// The same for DER.
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
        // Over the received bytes, never over a re-encoding: a set in another order would encode differently.
        public_key.verify(parts.algorithm_id, parts.signed, parts.signature).map_err(
            |error| match error {
                VerifyError::WeakHash(name) => CsrError::WeakHash(name),
                VerifyError::Algorithm(oid) => CsrError::SignatureAlgorithm(oid.to_string()),
                VerifyError::Malformed => CsrError::Malformed,
                VerifyError::Invalid => CsrError::Signature,
            },
        )?;
        let subject = name::read(&parts.subject).map_err(|error| match error {
            ReadError::Twice(attribute) => CsrError::SubjectTwice(attribute),
            ReadError::Text(attribute) => CsrError::SubjectText(attribute),
        })?;
        Ok(Self {
            der: der.to_vec(),
            public_key,
            common_name: subject.common_name,
            organization: subject.organization,
        })
    }

    /// The request as it was received.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The key whose possession is proven.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The key's DER `SubjectPublicKeyInfo`, as it was received.
    pub fn spki_der(&self) -> &[u8] {
        self.public_key.spki_der()
    }

    /// CN of the wished subject.
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// O of the wished subject.
    pub fn organization(&self) -> Option<&str> {
        self.organization.as_deref()
    }
}

/// The parts of a request, borrowed from its DER.
struct Parts<'a> {
    /// CertificationRequestInfo with tag and length: what the signature covers.
    signed: &'a [u8],
    version: u8,
    subject: Name,
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
        let subject = Name::decode(&mut reader)?;
        let spki = reader.tlv_bytes()?;
        // Attributes: never honoured, so not read. A few old stacks leave the empty set out; OpenSSL accepts that too.
        if !reader.is_finished() {
            let attributes = AnyRef::decode(&mut reader)?;
            attributes.tag().assert_eq(Tag::ContextSpecific { constructed: true, number: TagNumber(0) })?;
            reader.finish()?;
        }
        let signature = signature.as_bytes().ok_or(der::ErrorKind::Value { tag: Tag::BitString })?;
        Ok(Self { signed, version, subject, spki, algorithm_id: algorithm.value(), signature })
    }
}

/// DER of a text that is PEM or bare base64.
fn decode_text(text: &str) -> Result<Vec<u8>, CsrError> {
    let Some(begin) = text.find(BEGIN) else {
        return decode_base64(text);
    };
    let after = &text[begin + BEGIN.len()..];
    let (label, body) = after.split_once("-----").ok_or(CsrError::Armour)?;
    if !LABELS.contains(&label) {
        // A peer chose it, and it goes into logs.
        return Err(CsrError::Label(label.chars().filter(|letter| !letter.is_control()).take(40).collect()));
    }
    let end = format!("-----END {label}-----");
    let (body, rest) = body.split_once(end.as_str()).ok_or(CsrError::Armour)?;
    if rest.contains(BEGIN) {
        return Err(CsrError::Several);
    }
    decode_base64(body)
}

fn decode_base64(text: &str) -> Result<Vec<u8>, CsrError> {
    let packed: String = text.split_ascii_whitespace().collect();
    if packed.is_empty() {
        return Err(CsrError::NotText);
    }
    Base64::decode_vec(&packed).map_err(|_| CsrError::NotText)
}

const BEGIN: &str = "-----BEGIN ";

/// RFC 7468 §7, and the label of older tools.
const LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/// Writes DER as base64 lines of 64 characters inside an armour.
pub(crate) fn pem(label: &'static str, der: &[u8]) -> der::Result<String> {
    Ok(der::pem::encode_string(label, LineEnding::LF, der)?)
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
    /// The request as PEM, by the label of RFC 7468.
    pub fn to_pem(&self) -> String {
        // Base64 of any bytes with a constant label always succeeds; an empty text would be visible at once.
        pem(LABELS[0], &self.der).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BuildError, Csr, CsrError, MAX_CSR_CHARACTERS, Subject, build};
    use crate::sign::software::SoftwareKey;

    fn check(text: &str, expected: CsrError) {
        assert_eq!(Csr::parse(text).unwrap_err(), expected, "{text}");
    }

    #[test]
    fn armour() {
        check("", CsrError::NotText);
        check("hello!", CsrError::NotText);
        check("aGVsbG8=", CsrError::Malformed);
        check("-----BEGIN CERTIFICATE REQUEST", CsrError::Armour);
        check("-----BEGIN CERTIFICATE REQUEST-----\naGVsbG8=\n", CsrError::Armour);
        check("-----BEGIN CERTIFICATE REQUEST-----\n\n-----END CERTIFICATE REQUEST-----", CsrError::NotText);
        check(
            "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----",
            CsrError::Label("CERTIFICATE".into()),
        );
        let twice =
            "-----BEGIN CERTIFICATE REQUEST-----\naGVsbG8=\n-----END CERTIFICATE REQUEST-----\n".repeat(2);
        check(&twice, CsrError::Several);
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
