//! Public keys that we accept, and signatures checked against them.

use der::{
    AnyRef, Decode, Encode, SliceReader, Tag, Tagged,
    asn1::{BitStringRef, ObjectIdentifier, UintRef},
};
use rustls::pki_types::SignatureVerificationAlgorithm;
use webpki::aws_lc_rs as algorithms;

use crate::algorithm::{KeyAlgorithm, oid};

/// A public key on the allow-list: P-256, P-384, or RSA of 2048 to 8192 bits (A00.FR.501 to A00.FR.503).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublicKey {
    spki_der: Vec<u8>,
    kind: KeyKind,
}

/// What sort of key a [`PublicKey`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// RSA with the modulus' length.
    Rsa {
        /// Length of the modulus.
        bits: usize,
    },
}

/// Why a public key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// Not a DER SubjectPublicKeyInfo.
    #[error("the public key is not a DER SubjectPublicKeyInfo")]
    Malformed,
    /// Neither EC nor RSA.
    #[error("key algorithm {0} is not accepted; use ECDSA P-256, ECDSA P-384 or RSA of at least 2048 bits")]
    Algorithm(ObjectIdentifier),
    /// A named curve that is not on the list.
    #[error("curve {0} is not accepted; use P-256 or P-384")]
    Curve(ObjectIdentifier),
    /// RFC 5480 §2.1.1: only named curves. Explicit parameters let a peer choose a weak generator.
    #[error("the curve is given by explicit parameters; a named curve is required")]
    ExplicitCurve,
    /// The point is not an uncompressed point of the curve's length.
    #[error("the public point is not an uncompressed point of the curve")]
    Point,
    /// RSA below 112 bits of security.
    #[error("an RSA key of {bits} bits is too weak; at least 2048 are required")]
    Weak {
        /// Length of the modulus.
        bits: usize,
    },
    /// RSA so long that verification becomes an attack.
    #[error("an RSA key of {bits} bits is too long; at most 8192 are accepted")]
    TooLong {
        /// Length of the modulus.
        bits: usize,
    },
}

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The hash is broken.
    #[error("{0} is not accepted, because its hash is broken; use SHA-256 or better")]
    WeakHash(&'static str),
    /// Not on the list, or not for this kind of key, or with parameters that it must not have.
    #[error("signature algorithm {0} is not accepted for this kind of key")]
    Algorithm(ObjectIdentifier),
    /// The algorithm identifier is not DER.
    #[error("the signature algorithm is not a DER AlgorithmIdentifier")]
    Malformed,
    /// The signature was not made by this key over these bytes.
    #[error("the signature does not verify")]
    Invalid,
}

impl PublicKey {
    /// Takes a DER `SubjectPublicKeyInfo` over if it is on the allow-list.
    ///
    /// # Errors
    /// Everything else, each with its own [`PublicKeyError`].
    pub fn from_spki_der(spki_der: &[u8]) -> Result<Self, PublicKeyError> {
        let parts = SpkiParts::parse(spki_der).map_err(|_| PublicKeyError::Malformed)?;
        let kind = match parts.algorithm {
            oid::EC_PUBLIC_KEY => ec_kind(&parts)?,
            oid::RSA_ENCRYPTION => rsa_kind(&parts)?,
            other => return Err(PublicKeyError::Algorithm(other)),
        };
        Ok(Self { spki_der: spki_der.to_vec(), kind })
    }

    /// The key at an uncompressed point, as a token gives it.
    pub(crate) fn from_point(algorithm: KeyAlgorithm, point: &[u8]) -> Result<Self, PublicKeyError> {
        let algorithm_id =
            spki::AlgorithmIdentifier { oid: oid::EC_PUBLIC_KEY, parameters: Some(algorithm.curve()) };
        let subject_public_key = BitStringRef::from_bytes(point).map_err(|_| PublicKeyError::Malformed)?;
        let info = spki::SubjectPublicKeyInfo { algorithm: algorithm_id, subject_public_key };
        Self::from_spki_der(&info.to_der().map_err(|_| PublicKeyError::Malformed)?)
    }

    /// The DER `SubjectPublicKeyInfo`, byte for byte as it was received.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// What sort of key it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Checks a signature, whose algorithm is given by the content of its DER `AlgorithmIdentifier`
    /// (without the outer tag and length).
    ///
    /// # Errors
    /// [`VerifyError`]; the algorithm must be on the list *and* fit this key.
    pub(crate) fn verify(
        &self,
        algorithm_id: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        let parts = SpkiParts::parse(&self.spki_der).map_err(|_| VerifyError::Malformed)?;
        let fitting = VERIFIERS.iter().find(|verifier| {
            same_algorithm(verifier.signature_alg_id().as_ref(), algorithm_id)
                && verifier.public_key_alg_id().as_ref() == parts.algorithm_id
        });
        let Some(verifier) = fitting else {
            let mut reader = SliceReader::new(algorithm_id).map_err(|_| VerifyError::Malformed)?;
            let oid = ObjectIdentifier::decode(&mut reader).map_err(|_| VerifyError::Malformed)?;
            let weak = oid::WEAK_HASH.iter().find(|(weak, _)| *weak == oid);
            return Err(weak.map_or(VerifyError::Algorithm(oid), |(_, name)| VerifyError::WeakHash(name)));
        };
        verifier.verify_signature(parts.key, message, signature).map_err(|_| VerifyError::Invalid)
    }

    /// Checks a signature made by one of our own algorithms.
    ///
    /// # Errors
    /// [`VerifyError`]
    pub fn verify_with(
        &self,
        algorithm: KeyAlgorithm,
        message: &[u8],
        signature_der: &[u8],
    ) -> Result<(), VerifyError> {
        let identifier = algorithm.signature_oid().to_der().map_err(|_| VerifyError::Malformed)?;
        self.verify(&identifier, message, signature_der)
    }
}

/// The parts of a SubjectPublicKeyInfo, borrowed from its DER.
struct SpkiParts<'a> {
    /// Content of the AlgorithmIdentifier.
    algorithm_id: &'a [u8],
    algorithm: ObjectIdentifier,
    parameters: Option<AnyRef<'a>>,
    key: &'a [u8],
}

impl<'a> SpkiParts<'a> {
    fn parse(spki_der: &'a [u8]) -> der::Result<Self> {
        let outer = AnyRef::from_der(spki_der)?;
        outer.tag().assert_eq(Tag::Sequence)?;
        let (identifier, rest) = AnyRef::from_der_partial(outer.value())?;
        identifier.tag().assert_eq(Tag::Sequence)?;
        let key = BitStringRef::from_der(rest)?;
        let (algorithm, rest) = ObjectIdentifier::from_der_partial(identifier.value())?;
        let parameters = if rest.is_empty() { None } else { Some(AnyRef::from_der(rest)?) };
        let key = key.as_bytes().ok_or(der::ErrorKind::Value { tag: Tag::BitString })?;
        Ok(Self { algorithm_id: identifier.value(), algorithm, parameters, key })
    }
}

fn ec_kind(parts: &SpkiParts<'_>) -> Result<KeyKind, PublicKeyError> {
    let parameters = parts.parameters.ok_or(PublicKeyError::Malformed)?;
    let curve = match parameters.tag() {
        Tag::ObjectIdentifier => {
            parameters.decode_as::<ObjectIdentifier>().map_err(|_| PublicKeyError::Malformed)?
        }
        Tag::Sequence => return Err(PublicKeyError::ExplicitCurve),
        _ => return Err(PublicKeyError::Malformed),
    };
    let (kind, point_bytes) = match curve {
        oid::SECP256R1 => (KeyKind::P256, 65),
        oid::SECP384R1 => (KeyKind::P384, 97),
        other => return Err(PublicKeyError::Curve(other)),
    };
    // Whether the point lies on the curve is found out by the verification of the signature.
    if parts.key.len() != point_bytes || parts.key[0] != 4 {
        return Err(PublicKeyError::Point);
    }
    Ok(kind)
}

fn rsa_kind(parts: &SpkiParts<'_>) -> Result<KeyKind, PublicKeyError> {
    let key = RsaPublicKey::from_der(parts.key).map_err(|_| PublicKeyError::Malformed)?;
    let modulus = key.modulus.as_bytes();
    let leading_zeros = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    match modulus.len() * 8 - leading_zeros {
        bits @ ..2048 => Err(PublicKeyError::Weak { bits }),
        bits @ 2048..=8192 => Ok(KeyKind::Rsa { bits }),
        bits => Err(PublicKeyError::TooLong { bits }),
    }
}

/// Whether two contents of an AlgorithmIdentifier name the same algorithm, byte for byte save that absent parameters and
/// NULL count as the same. RFC 4055 §2.1 asks so of verifiers for RSA; for ECDSA, Mbed TLS before 3.5 writes a NULL
/// that RFC 5758 §3.2 forbids, into the requests of many a station. Neither says anything, so neither can mislead.
fn same_algorithm(a: &[u8], b: &[u8]) -> bool {
    fn without_null(content: &[u8]) -> &[u8] {
        match content {
            [0x06, length, oid @ .., 0x05, 0x00] if usize::from(*length) == oid.len() => {
                &content[..oid.len() + 2]
            }
            _ => content,
        }
    }
    without_null(a) == without_null(b)
}

#[derive(der::Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
}

/// Pairs of key and signature algorithm that are accepted (A00.FR.504 to A00.FR.506). The key's identifier must match to
/// the byte, the signature's as [`same_algorithm`] says.
static VERIFIERS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P256_SHA512,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ECDSA_P384_SHA512,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];
