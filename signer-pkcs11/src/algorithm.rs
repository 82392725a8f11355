//! The algorithms that a key of ours may have, and what rustls and X.509 call them.

use std::{fmt, str::FromStr};

use der::asn1::ObjectIdentifier;

/// A kind of key that can be generated in a token and sign for us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256: the one kind that every token tried can do (A00.FR.503, A00.FR.505, A00.FR.506).
    #[default]
    EcdsaP256,
}

impl KeyAlgorithm {
    /// Every algorithm, the preferred one first.
    pub const ALL: &[Self] = &[Self::EcdsaP256];

    /// Length of a coordinate, and of each half of a raw signature.
    pub(crate) fn coordinate_bytes(self) -> usize {
        match self {
            Self::EcdsaP256 => 32,
        }
    }

    /// The curve.
    pub(crate) fn curve(self) -> ObjectIdentifier {
        match self {
            Self::EcdsaP256 => oid::SECP256R1,
        }
    }

    /// The signature algorithm that goes into certificates and requests.
    pub(crate) fn signature_oid(self) -> ObjectIdentifier {
        match self {
            Self::EcdsaP256 => oid::ECDSA_WITH_SHA256,
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaP256 => "ecdsa-p256",
        })
    }
}

/// The name is none of [`KeyAlgorithm::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown key algorithm \"{0}\": write ecdsa-p256")]
pub struct UnknownKeyAlgorithm(String);

impl FromStr for KeyAlgorithm {
    type Err = UnknownKeyAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownKeyAlgorithm> {
        let found = Self::ALL.iter().find(|algorithm| algorithm.to_string() == name);
        found.copied().ok_or_else(|| UnknownKeyAlgorithm(name.to_owned()))
    }
}

/// Object identifiers of keys and signatures (RFC 3279, RFC 5480, RFC 5758, RFC 8017).
pub(crate) mod oid {
    use der::asn1::ObjectIdentifier;

    const fn oid(text: &str) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(text)
    }

    pub(crate) const EC_PUBLIC_KEY: ObjectIdentifier = oid("1.2.840.10045.2.1");
    pub(crate) const SECP256R1: ObjectIdentifier = oid("1.2.840.10045.3.1.7");
    pub(crate) const SECP384R1: ObjectIdentifier = oid("1.3.132.0.34");
    pub(crate) const RSA_ENCRYPTION: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
    pub(crate) const ECDSA_WITH_SHA256: ObjectIdentifier = oid("1.2.840.10045.4.3.2");

    /// Signature algorithms whose hash is broken: named so that the refusal can say so.
    pub(crate) const WEAK_HASH: &[(ObjectIdentifier, &str)] = &[
        (oid("1.2.840.10045.4.1"), "ECDSA with SHA-1"),
        (oid("1.2.840.113549.1.1.5"), "RSA with SHA-1"),
        (oid("1.3.14.3.2.29"), "RSA with SHA-1"),
        (oid("1.2.840.113549.1.1.4"), "RSA with MD5"),
        (oid("1.2.840.113549.1.1.2"), "RSA with MD2"),
    ];
}
