//! The kinds of public key.

use std::{fmt, str::FromStr};

use crate::key::algorithm::KeyFamily;

/// The kind of a [`PublicKey`](crate::PublicKey).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521, required by ISO 15118-20.
    P521,
    /// Ed25519.
    Ed25519,
    /// RSA with the length of its modulus.
    Rsa {
        /// Length of the modulus.
        bits: usize,
    },
}

/// The text names no [`KeyKind`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of key: use one of ecdsa-p256, ecdsa-p384, ecdsa-p521, ed25519 or rsa-2048")]
pub struct UnknownKeyKind(String);

impl KeyKind {
    /// The family of the issuer that is preferred for such keys.
    #[must_use]
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

impl FromStr for KeyKind {
    type Err = UnknownKeyKind;

    fn from_str(name: &str) -> Result<Self, UnknownKeyKind> {
        let unknown = || UnknownKeyKind(name.to_owned());
        Ok(match name {
            "ecdsa-p256" => Self::P256,
            "ecdsa-p384" => Self::P384,
            "ecdsa-p521" => Self::P521,
            "ed25519" => Self::Ed25519,
            _ => {
                let bits = name.strip_prefix("rsa-").and_then(|bits| bits.parse().ok());
                Self::Rsa { bits: bits.filter(|bits| (2048..=8192).contains(bits)).ok_or_else(unknown)? }
            }
        })
    }
}
