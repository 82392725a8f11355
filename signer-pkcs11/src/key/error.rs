//! Why a public key or a signature is refused.

use der::asn1::ObjectIdentifier;

use crate::key::kind::KeyKind;

/// Why a public key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// Not a DER SubjectPublicKeyInfo.
    #[error("the public key is not a DER SubjectPublicKeyInfo")]
    Malformed,
    /// An unsupported algorithm.
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
    /// A valid key that the operator's rules do not allow.
    #[error("a key of kind {0} is not allowed here")]
    NotAllowed(KeyKind),
    /// A key that is known to others, or that the operator has blocked.
    #[error("this public key is on the list of blocked keys; generate a new one")]
    Blocked,
    /// RSA with another exponent than 65537.
    #[error("the RSA key's public exponent is not 65537")]
    Exponent,
    /// RSA with a factor that anybody can find.
    #[error("the RSA key's modulus is divisible by {factor}; generate a new key")]
    SmallFactor {
        /// The factor.
        factor: u32,
    },
    /// RSA with factors that Fermat's method finds (CVE-2022-26320).
    #[error(
        "the RSA key's prime factors are so close that anybody can find them; generate a new key with other software"
    )]
    CloseFactors,
    /// RSA from the generator of Infineon's library (CVE-2017-15361).
    #[error(
        "the RSA key was made by a generator with a known weakness (ROCA, CVE-2017-15361); generate a new key with other hardware or software"
    )]
    Roca,
    /// RSA whose modulus is a prime or the power of one.
    #[error(
        "the RSA key's modulus is not the product of two primes, so anybody can factor it; generate a new key with other software"
    )]
    PrimePower,
    /// RSA so long that its verification would be an attack.
    #[error("an RSA key of {bits} bits is too long; at most 8192 are accepted")]
    TooLong {
        /// Length of the modulus.
        bits: usize,
    },
}

/// Why a signature is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The hash is broken.
    #[error("{0} is not accepted, because its hash is broken; use SHA-256 or better")]
    WeakHash(&'static str),
    /// Not on the list, not for this kind of key, or with parameters that are not allowed.
    #[error("signature algorithm {0} is not accepted for this kind of key")]
    Algorithm(ObjectIdentifier),
    /// The algorithm identifier is not DER.
    #[error("the signature algorithm is not a DER AlgorithmIdentifier")]
    Malformed,
    /// The signature was not made by this key over these bytes.
    #[error("the signature does not verify")]
    Invalid,
}
