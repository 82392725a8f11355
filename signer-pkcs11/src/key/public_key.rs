//! Accepted public keys, and the verification of signatures.

use certificates::KeyHash;
use der::{
    AnyRef, Decode, Encode, SliceReader, Tag, Tagged,
    asn1::{Any, BitStringRef, ObjectIdentifier, UintRef},
};
use rustls::pki_types::SignatureVerificationAlgorithm;
use webpki::aws_lc_rs as algorithms;

use crate::key::{
    algorithm::{KeyAlgorithm, SignatureAlgorithm},
    error::{PublicKeyError, VerifyError},
    kind::KeyKind,
    oid, pss, weak_key,
};

/// A valid public key: P-256, P-384, P-521, Ed25519, or RSA of 2048 to 8192 bits without a known
/// weakness (A00.FR.501 to A00.FR.503). [`KeyRules`](crate::KeyRules) define which of them an
/// authority certifies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublicKey {
    spki_der: Vec<u8>,
    kind: KeyKind,
}

impl PublicKey {
    /// Parses a DER `SubjectPublicKeyInfo` and checks it against the allow-list.
    ///
    /// # Errors
    /// [`PublicKeyError`] for every other key.
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

    /// The key at an uncompressed point of a named curve, or with the 32 bytes of Ed25519, as a
    /// token returns it.
    pub(crate) fn from_point(algorithm: KeyAlgorithm, point: &[u8]) -> Result<Self, PublicKeyError> {
        let curve = algorithm.curve().ok_or(PublicKeyError::Malformed)?;
        let (oid, parameters) = match algorithm {
            KeyAlgorithm::Ed25519 => (curve, None),
            _ => (oid::EC_PUBLIC_KEY, Some(Any::from(curve))),
        };
        Self::from_parts(oid, parameters, point)
    }

    /// The RSA key with this modulus and exponent, which may have leading zeros, as a token returns
    /// them.
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
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The name of the key in records and in lists of blocked keys.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash::of_spki(&self.spki_der)
    }

    /// The kind of key.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Verifies a signature. `algorithm_id` is the content of its DER `AlgorithmIdentifier`,
    /// without the outer tag and length.
    ///
    /// # Errors
    /// [`VerifyError`]; the algorithm must be on the list *and* match this key.
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
            // OpenSSL's default salt has another length than aws-lc verifies.
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

    /// Verifies a signature with an algorithm of this crate.
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
    // The verification of the signature checks whether the point is on the curve.
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

/// Whether the contents of two AlgorithmIdentifiers name the same algorithm. They are compared byte
/// by byte, except that absent parameters equal NULL. RFC 4055 §2.1 requires that of verifiers for
/// RSA. For ECDSA, Mbed TLS before 3.5 writes a NULL that RFC 5758 §3.2 forbids, and many stations
/// use it. Neither form carries information, so neither can mislead.
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

/// Accepted pairs of key and signature algorithm (A00.FR.504 to A00.FR.506). The key's identifier
/// must match exactly, the signature's as [`same_algorithm`] defines.
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
