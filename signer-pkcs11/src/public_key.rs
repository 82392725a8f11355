//! Public keys that we accept, and signatures checked against them.

use std::fmt;

use der::{
    AnyRef, Decode, Encode, SliceReader, Tag, Tagged,
    asn1::{Any, BitStringRef, ObjectIdentifier, UintRef},
};
use rustls::pki_types::SignatureVerificationAlgorithm;
use sha2::{Digest as _, Sha256};
use webpki::aws_lc_rs as algorithms;

use crate::{
    algorithm::{KeyAlgorithm, KeyFamily, SignatureAlgorithm, oid},
    pss, weak_key,
};

/// A sound public key: P-256, P-384, P-521, Ed25519, or RSA of 2048 to 8192 bits without a known weakness (A00.FR.501 to
/// A00.FR.503). Which of them an authority certifies, its [`KeyRules`](crate::KeyRules) say.
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
    /// NIST P-521, of ISO 15118-20.
    P521,
    /// Ed25519.
    Ed25519,
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
    /// None of ours.
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
    /// A sound key that the operator's rules do not allow.
    #[error("a key of kind {0} is not allowed here")]
    NotAllowed(KeyKind),
    /// A key that is known to others, or that the operator has blocked.
    #[error("this public key is on the list of blocked keys; generate a new one")]
    Blocked,
    /// RSA with another exponent than 65537.
    #[error("the RSA key's public exponent is not 65537")]
    Exponent,
    /// RSA with a factor that anybody finds.
    #[error("the RSA key's modulus is divisible by {factor}; generate a new key")]
    SmallFactor {
        /// The factor.
        factor: u32,
    },
    /// RSA with factors that Fermat's method finds (CVE-2022-26320).
    #[error(
        "the RSA key's prime factors are close to each other, so that anybody finds them; generate a new key by other software"
    )]
    CloseFactors,
    /// RSA by the generator of Infineon's library (CVE-2017-15361).
    #[error(
        "the RSA key was made by a generator with a known weakness (ROCA, CVE-2017-15361); generate a new key by other hardware or software"
    )]
    Roca,
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
            oid::ED25519 => ed25519_kind(&parts)?,
            other => return Err(PublicKeyError::Algorithm(other)),
        };
        Ok(Self { spki_der: spki_der.to_vec(), kind })
    }

    /// The key at an uncompressed point of a named curve, or with the 32 bytes of Ed25519, as a token gives it.
    pub(crate) fn from_point(algorithm: KeyAlgorithm, point: &[u8]) -> Result<Self, PublicKeyError> {
        let curve = algorithm.curve().ok_or(PublicKeyError::Malformed)?;
        let (oid, parameters) = match algorithm {
            KeyAlgorithm::Ed25519 => (curve, None),
            _ => (oid::EC_PUBLIC_KEY, Some(Any::from(curve))),
        };
        Self::from_parts(oid, parameters, point)
    }

    /// The RSA key with this modulus and exponent, which may have leading zeros, as a token gives them.
    pub(crate) fn from_modulus(modulus: &[u8], exponent: &[u8]) -> Result<Self, PublicKeyError> {
        let malformed = |_| PublicKeyError::Malformed;
        let key = RsaPublicKey {
            modulus: UintRef::new(modulus).map_err(malformed)?,
            public_exponent: UintRef::new(exponent).map_err(malformed)?,
        };
        Self::from_parts(oid::RSA_ENCRYPTION, Some(Any::null()), &key.to_der().map_err(malformed)?)
    }

    fn from_parts(
        oid: ObjectIdentifier,
        parameters: Option<Any>,
        key: &[u8],
    ) -> Result<Self, PublicKeyError> {
        let subject_public_key = BitStringRef::from_bytes(key).map_err(|_| PublicKeyError::Malformed)?;
        let algorithm = spki::AlgorithmIdentifier { oid, parameters };
        let info = spki::SubjectPublicKeyInfo { algorithm, subject_public_key };
        Self::from_spki_der(&info.to_der().map_err(|_| PublicKeyError::Malformed)?)
    }

    /// The DER `SubjectPublicKeyInfo`, byte for byte as it was received.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// SHA-256 over the `SubjectPublicKeyInfo`: what names the key in records and in lists of blocked keys.
    pub fn spki_sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.spki_der).into()
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
            // OpenSSL's default is another length of salt than aws-lc verifies.
            if let (KeyKind::Rsa { .. }, Some(parameters)) = (self.kind, pss::Parameters::parse(algorithm_id))
            {
                let key = RsaPublicKey::from_der(parts.key).map_err(|_| VerifyError::Malformed)?;
                let (modulus, exponent) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
                let holds = parameters.verify(modulus, exponent, message, signature);
                return if holds { Ok(()) } else { Err(VerifyError::Invalid) };
            }
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
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        self.verify(algorithm.identifier().as_ref(), message, signature)
    }
}

impl KeyKind {
    /// The family of the issuer that certifies such keys by preference.
    pub fn family(self) -> KeyFamily {
        match self {
            Self::P256 | Self::P384 | Self::P521 => KeyFamily::Ecdsa,
            Self::Rsa { .. } => KeyFamily::Rsa,
            Self::Ed25519 => KeyFamily::EdDsa,
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P256 => f.write_str("ecdsa-p256"),
            Self::P384 => f.write_str("ecdsa-p384"),
            Self::P521 => f.write_str("ecdsa-p521"),
            Self::Ed25519 => f.write_str("ed25519"),
            Self::Rsa { bits } => write!(f, "rsa-{bits}"),
        }
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
        oid::SECP521R1 => (KeyKind::P521, 133),
        other => return Err(PublicKeyError::Curve(other)),
    };
    // Whether the point lies on the curve is found out by the verification of the signature.
    if parts.key.len() != point_bytes || parts.key[0] != 4 {
        return Err(PublicKeyError::Point);
    }
    Ok(kind)
}

fn ed25519_kind(parts: &SpkiParts<'_>) -> Result<KeyKind, PublicKeyError> {
    // RFC 8410 §3: parameters are absent.
    match (parts.parameters, parts.key.len()) {
        (None, 32) => Ok(KeyKind::Ed25519),
        _ => Err(PublicKeyError::Malformed),
    }
}

fn rsa_kind(parts: &SpkiParts<'_>) -> Result<KeyKind, PublicKeyError> {
    let key = RsaPublicKey::from_der(parts.key).map_err(|_| PublicKeyError::Malformed)?;
    let modulus = key.modulus.as_bytes();
    let leading_zeros = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    match modulus.len() * 8 - leading_zeros {
        bits @ ..2048 => Err(PublicKeyError::Weak { bits }),
        bits @ 2048..=8192 => {
            weak_key::check_rsa(modulus, key.public_exponent.as_bytes())?;
            Ok(KeyKind::Rsa { bits })
        }
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
    algorithms::ECDSA_P521_SHA256,
    algorithms::ECDSA_P521_SHA384,
    algorithms::ECDSA_P521_SHA512,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];
