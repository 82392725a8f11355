//! How strong a public key is (A00.FR.501–503).

use der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use der::{Decode, SliceReader};

use crate::asn1::{Spki, sequence};

/// Checks that a key has at least 112 bits of security: RSA from 2048 bits, EC from 224 bits.
/// `spki` is the SubjectPublicKeyInfo: tag, length and content.
///
/// # Errors
/// [`WeakKey`] if it has fewer, or if nothing is known of its algorithm.
pub fn check_strength(spki: &[u8]) -> Result<(), WeakKey> {
    let unreadable = |source| WeakKey::Unreadable { source };
    let spki = Spki::read(spki).map_err(unreadable)?;
    let (algorithm, parameters) = algorithm(&spki).map_err(unreadable)?;
    if algorithm == RSA {
        let bits = modulus_bits(&spki).map_err(unreadable)?;
        // A00.FR.502
        if bits < 2048 {
            return Err(WeakKey::Rsa { bits });
        }
        return Ok(());
    }
    if algorithm == EC {
        let curve = parameters.ok_or(WeakKey::Unknown { algorithm })?;
        let bits = CURVES
            .iter()
            .find(|(known, _)| *known == curve)
            .map(|(_, bits)| *bits)
            .ok_or(WeakKey::Unknown { algorithm: curve })?;
        // A00.FR.503
        if bits < 224 {
            return Err(WeakKey::Ec { bits });
        }
        return Ok(());
    }
    // Ed25519 and Ed448 have 128 and 224 bits of security.
    if algorithm == ED25519 || algorithm == ED448 { Ok(()) } else { Err(WeakKey::Unknown { algorithm }) }
}

/// Whether ISO 15118 uses such keys: ECDSA with 256 bits or more, or Ed448.
#[must_use]
pub fn is_vehicle_key(spki: &[u8]) -> bool {
    let Ok((algorithm, curve)) = Spki::read(spki).and_then(|spki| algorithm(&spki)) else { return false };
    let bits = CURVES.iter().find(|(known, _)| Some(*known) == curve).map_or(0, |(_, bits)| *bits);
    algorithm == ED448 || (algorithm == EC && bits >= 256)
}

/// Why a key is too weak for A00.FR.501–503.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeakKey {
    /// Below A00.FR.502.
    #[error("its RSA key has {bits} bits, at least 2048 are needed (A00.FR.502)")]
    Rsa {
        /// Bits of the modulus.
        bits: usize,
    },
    /// Below A00.FR.503.
    #[error("its EC key has {bits} bits, at least 224 are needed (A00.FR.503)")]
    Ec {
        /// Bits of the field.
        bits: usize,
    },
    /// An algorithm or curve whose strength this crate does not know.
    #[error("its key is of the unknown algorithm or curve {algorithm}")]
    Unknown {
        /// The identifier in the certificate.
        algorithm: ObjectIdentifier,
    },
    /// The key does not parse.
    #[error("its public key cannot be read")]
    Unreadable {
        /// The error of the decoder.
        #[source]
        source: der::Error,
    },
}

/// The algorithm of a key, and its parameter if that is an object identifier.
fn algorithm(spki: &Spki<'_>) -> Result<(ObjectIdentifier, Option<ObjectIdentifier>), der::Error> {
    let mut identifier = SliceReader::new(spki.algorithm)?;
    let algorithm = ObjectIdentifier::decode(&mut identifier)?;
    let parameters = Option::<AnyRef<'_>>::decode(&mut identifier)?;
    Ok((algorithm, parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok())))
}

fn modulus_bits(spki: &Spki<'_>) -> Result<usize, der::Error> {
    let modulus = UintRef::decode(&mut sequence(spki.key)?)?;
    let octets = modulus.as_bytes();
    let unused = octets.first().map_or(0, |first| first.leading_zeros() as usize);
    Ok(octets.len() * 8 - unused)
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ED448: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.113");

/// Named curves and the bits of their fields.
const CURVES: [(ObjectIdentifier, usize); 10] = [
    (ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.1"), 192), // secp192r1
    (ObjectIdentifier::new_unwrap("1.3.132.0.33"), 224),        // secp224r1
    (ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"), 256), // secp256r1
    (ObjectIdentifier::new_unwrap("1.3.132.0.34"), 384),        // secp384r1
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), 521),        // secp521r1
    (ObjectIdentifier::new_unwrap("1.3.132.0.10"), 256),        // secp256k1
    (ObjectIdentifier::new_unwrap("1.3.36.3.3.2.8.1.1.5"), 224), // brainpoolP224r1
    (ObjectIdentifier::new_unwrap("1.3.36.3.3.2.8.1.1.7"), 256), // brainpoolP256r1
    (ObjectIdentifier::new_unwrap("1.3.36.3.3.2.8.1.1.11"), 384), // brainpoolP384r1
    (ObjectIdentifier::new_unwrap("1.3.36.3.3.2.8.1.1.13"), 512), // brainpoolP512r1
];
