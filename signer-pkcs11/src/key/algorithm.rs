//! The kinds of key that a token can generate, and their signatures.

use std::{fmt, str::FromStr};

use der::{
    Decode as _,
    asn1::{Any, ObjectIdentifier},
};
use rustls::pki_types::{AlgorithmIdentifier, alg_id};
use sha2::{Digest, Sha256, Sha384, Sha512};
use spki::AlgorithmIdentifierOwned;

use crate::key::oid;

/// A kind of key that a token can generate and sign with (A00.FR.501 to A00.FR.504).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on P-256: the only elliptic curve that every tested token supports.
    #[default]
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// ECDSA on P-521 (secp521r1), required by ISO 15118-20. Some TLS peers do not support it.
    /// tpm2-pkcs11 1.9 cannot store it: the key is refused there and removed completely.
    EcdsaP521,
    /// RSA of 2048 bits, for stations that support nothing else (A00.FR.319).
    Rsa2048,
    /// RSA of 3072 bits.
    Rsa3072,
    /// RSA of 4096 bits.
    Rsa4096,
    /// Ed25519, if the token supports it. A TPM does not.
    Ed25519,
}

/// The parts of a signature: key, padding and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureAlgorithm {
    /// ECDSA with SHA-256.
    EcdsaSha256,
    /// ECDSA with SHA-384.
    EcdsaSha384,
    /// ECDSA with SHA-512.
    EcdsaSha512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512,
    /// RSASSA-PSS with SHA-256, MGF1 with the same, salt of 32 bytes.
    RsaPssSha256,
    /// RSASSA-PSS with SHA-384, MGF1 with the same, salt of 48 bytes.
    RsaPssSha384,
    /// RSASSA-PSS with SHA-512, MGF1 with the same, salt of 64 bytes.
    RsaPssSha512,
    /// Ed25519 over the message itself.
    Ed25519,
}

/// Keys and signatures that belong together. An authority can have an issuer for each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyFamily {
    /// Keys on a NIST curve.
    Ecdsa,
    /// RSA keys.
    Rsa,
    /// Keys on an Edwards curve.
    EdDsa,
}

/// The padding of an RSA key's signatures in certificates, requests and CRLs. TLS negotiates its
/// own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RsaPadding {
    /// RSASSA-PKCS1-v1_5, which every peer supports.
    #[default]
    Pkcs1,
    /// RSASSA-PSS, which A00.FR.505 recommends for authorities. Some stations and test tools do not
    /// support it.
    Pss,
}

impl KeyAlgorithm {
    /// Every algorithm, the preferred one first.
    pub const ALL: &[Self] = &[
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::Ed25519,
    ];

    /// Which family it belongs to.
    #[must_use]
    pub fn family(self) -> KeyFamily {
        match self {
            Self::EcdsaP256 | Self::EcdsaP384 | Self::EcdsaP521 => KeyFamily::Ecdsa,
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => KeyFamily::Rsa,
            Self::Ed25519 => KeyFamily::EdDsa,
        }
    }

    /// The signature algorithm of such a key in certificates, requests and CRLs (A00.FR.506:
    /// SHA-256 unless the key is longer than that).
    #[must_use]
    pub fn signature(self, padding: RsaPadding) -> SignatureAlgorithm {
        match (self, padding) {
            (Self::EcdsaP256, _) => SignatureAlgorithm::EcdsaSha256,
            (Self::EcdsaP384, _) => SignatureAlgorithm::EcdsaSha384,
            (Self::EcdsaP521, _) => SignatureAlgorithm::EcdsaSha512,
            (Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096, RsaPadding::Pkcs1) => {
                SignatureAlgorithm::RsaPkcs1Sha256
            }
            (Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096, RsaPadding::Pss) => {
                SignatureAlgorithm::RsaPssSha256
            }
            (Self::Ed25519, _) => SignatureAlgorithm::Ed25519,
        }
    }

    /// Length of the modulus of an RSA key.
    pub(crate) fn modulus_bits(self) -> Option<u16> {
        match self {
            Self::Rsa2048 => Some(2048),
            Self::Rsa3072 => Some(3072),
            Self::Rsa4096 => Some(4096),
            Self::EcdsaP256 | Self::EcdsaP384 | Self::EcdsaP521 | Self::Ed25519 => None,
        }
    }

    /// Length of a coordinate on a NIST curve, and of each half of a raw signature.
    pub(crate) fn coordinate_bytes(self) -> Option<usize> {
        match self {
            Self::EcdsaP256 => Some(32),
            Self::EcdsaP384 => Some(48),
            Self::EcdsaP521 => Some(66),
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 | Self::Ed25519 => None,
        }
    }

    /// The named curve.
    pub(crate) fn curve(self) -> Option<ObjectIdentifier> {
        match self {
            Self::EcdsaP256 => Some(oid::SECP256R1),
            Self::EcdsaP384 => Some(oid::SECP384R1),
            Self::EcdsaP521 => Some(oid::SECP521R1),
            Self::Ed25519 => Some(oid::ED25519),
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => None,
        }
    }
}

impl SignatureAlgorithm {
    /// Whether a key of this kind makes such signatures.
    #[must_use]
    pub fn fits(self, key: KeyAlgorithm) -> bool {
        match self {
            Self::EcdsaSha256 | Self::EcdsaSha384 | Self::EcdsaSha512 => key.family() == KeyFamily::Ecdsa,
            Self::Ed25519 => key.family() == KeyFamily::EdDsa,
            Self::RsaPkcs1Sha256
            | Self::RsaPkcs1Sha384
            | Self::RsaPkcs1Sha512
            | Self::RsaPssSha256
            | Self::RsaPssSha384
            | Self::RsaPssSha512 => key.family() == KeyFamily::Rsa,
        }
    }

    /// Content of the DER `AlgorithmIdentifier` that names it in certificates.
    pub(crate) fn identifier(self) -> AlgorithmIdentifier {
        match self {
            Self::EcdsaSha256 => alg_id::ECDSA_SHA256,
            Self::EcdsaSha384 => alg_id::ECDSA_SHA384,
            Self::EcdsaSha512 => alg_id::ECDSA_SHA512,
            Self::RsaPkcs1Sha256 => alg_id::RSA_PKCS1_SHA256,
            Self::RsaPkcs1Sha384 => alg_id::RSA_PKCS1_SHA384,
            Self::RsaPkcs1Sha512 => alg_id::RSA_PKCS1_SHA512,
            Self::RsaPssSha256 => alg_id::RSA_PSS_SHA256,
            Self::RsaPssSha384 => alg_id::RSA_PSS_SHA384,
            Self::RsaPssSha512 => alg_id::RSA_PSS_SHA512,
            Self::Ed25519 => alg_id::ED25519,
        }
    }

    /// The identifier with its tag, as x509-cert requires it.
    pub(crate) fn identifier_owned(self) -> der::Result<AlgorithmIdentifierOwned> {
        let identifier = self.identifier();
        let (oid, rest) = ObjectIdentifier::from_der_partial(identifier.as_ref())?;
        let parameters = if rest.is_empty() { None } else { Some(Any::from_der(rest)?) };
        Ok(AlgorithmIdentifierOwned { oid, parameters })
    }

    /// The input of the token's signature. It is the hash, computed here, because some tokens
    /// cannot hash and one hashed wrongly; for PKCS #1 v1.5 it is inside its DigestInfo. Tokens
    /// sign hashes of any length without an error, so the length must be right by construction.
    /// Ed25519 signs the message itself.
    pub(crate) fn token_input(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::EcdsaSha256 | Self::RsaPssSha256 => Sha256::digest(message).to_vec(),
            Self::EcdsaSha384 | Self::RsaPssSha384 => Sha384::digest(message).to_vec(),
            Self::EcdsaSha512 | Self::RsaPssSha512 => Sha512::digest(message).to_vec(),
            Self::RsaPkcs1Sha256 => [DIGEST_INFO_SHA256, &Sha256::digest(message)].concat(),
            Self::RsaPkcs1Sha384 => [DIGEST_INFO_SHA384, &Sha384::digest(message)].concat(),
            Self::RsaPkcs1Sha512 => [DIGEST_INFO_SHA512, &Sha512::digest(message)].concat(),
            Self::Ed25519 => message.to_vec(),
        }
    }
}

/// DigestInfo without its hash (RFC 8017 §9.2, note 1).
const DIGEST_INFO_SHA256: &[u8] =
    &[0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
const DIGEST_INFO_SHA384: &[u8] =
    &[0x30, 0x41, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2, 5, 0, 4, 0x30];
const DIGEST_INFO_SHA512: &[u8] =
    &[0x30, 0x51, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3, 5, 0, 4, 0x40];

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::EcdsaP521 => "ecdsa-p521",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::Ed25519 => "ed25519",
        })
    }
}

impl fmt::Display for KeyFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ecdsa => "ECDSA",
            Self::Rsa => "RSA",
            Self::EdDsa => "EdDSA",
        })
    }
}

/// The name is none of [`KeyAlgorithm::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown key algorithm \"{0}\": use one of ecdsa-p256, ecdsa-p384, ecdsa-p521, rsa-2048, rsa-3072, rsa-4096 or ed25519"
)]
pub struct UnknownKeyAlgorithm(String);

impl FromStr for KeyAlgorithm {
    type Err = UnknownKeyAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownKeyAlgorithm> {
        let found = Self::ALL.iter().find(|algorithm| algorithm.to_string() == name);
        found.copied().ok_or_else(|| UnknownKeyAlgorithm(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyAlgorithm, RsaPadding, SignatureAlgorithm};

    #[test]
    fn names_are_read_again() {
        for algorithm in KeyAlgorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(*algorithm));
            for padding in [RsaPadding::Pkcs1, RsaPadding::Pss] {
                assert!(algorithm.signature(padding).fits(*algorithm));
            }
        }
        assert!("dsa-1024".parse::<KeyAlgorithm>().unwrap_err().to_string().contains("ecdsa-p256"));
    }

    #[test]
    fn what_a_token_signs_has_the_length_of_the_hash() {
        for (algorithm, length) in [
            (SignatureAlgorithm::EcdsaSha256, 32),
            (SignatureAlgorithm::EcdsaSha384, 48),
            (SignatureAlgorithm::EcdsaSha512, 64),
            (SignatureAlgorithm::RsaPssSha512, 64),
            (SignatureAlgorithm::RsaPkcs1Sha256, 51),
            (SignatureAlgorithm::RsaPkcs1Sha384, 67),
            (SignatureAlgorithm::RsaPkcs1Sha512, 83),
        ] {
            for message in [&b""[..], &[7; 5000]] {
                assert_eq!(algorithm.token_input(message).len(), length, "{algorithm:?}");
            }
        }
        assert_eq!(SignatureAlgorithm::Ed25519.token_input(b"abc"), b"abc");
    }
}
