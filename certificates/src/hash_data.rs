//! Certificate hash data: how OCPP names a certificate without sending it.
//!
//! It is the CertID of OCSP (RFC 6960, 4.1.1): a digest over the issuer's Name, a digest over the
//! issuer's key, and the serial number. Two certificates with the same hash data are the same
//! certificate for a CSMS.

use std::sync::OnceLock;

use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::certificate::Certificate;
use crate::types::{SerialNumber, SerialNumberError};

/// The digest of hash data (`HashAlgorithmEnumType`). The sender chooses it; a receiver supports
/// all three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashAlgorithm {
    /// Each algorithm that OCPP knows.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its name in every version of OCPP.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
        }
    }

    /// The number of octets of a digest.
    #[must_use]
    pub const fn octets(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub(crate) fn digest(self, bytes: &[u8]) -> Digest {
        let mut digest = [0; MAX_DIGEST];
        let start = &mut digest[..self.octets()];
        match self {
            Self::Sha256 => start.copy_from_slice(&Sha256::digest(bytes)),
            Self::Sha384 => start.copy_from_slice(&Sha384::digest(bytes)),
            Self::Sha512 => start.copy_from_slice(&Sha512::digest(bytes)),
        }
        digest
    }
}

/// A digest. A shorter one is followed by zeros.
type Digest = [u8; MAX_DIGEST];

/// The length of SHA-512 in octets.
const MAX_DIGEST: usize = 64;

/// Certificate hash data (`CertificateHashDataType`), independent of the version of OCPP and of the
/// spelling.
///
/// ```
/// use certificates::{HashAlgorithm, HashData};
///
/// let hash = "AB".repeat(32);
/// let data = HashData::parse(HashAlgorithm::Sha256, &hash, &hash, "0FFF")?;
/// assert_eq!(data.to_text().serial_number, "fff");
/// # Ok::<(), certificates::HashDataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HashData {
    algorithm: HashAlgorithm,
    issuer_name_hash: Digest,
    issuer_key_hash: Digest,
    serial_number: SerialNumber,
}

/// Hash data as OCPP carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashDataText {
    /// Two digits for each octet, lower case; at most 128 characters.
    pub issuer_name_hash: String,
    /// As `issuer_name_hash`.
    pub issuer_key_hash: String,
    /// Lower case, without leading zeros, `0` for zero; at most 40 characters.
    pub serial_number: String,
}

impl HashData {
    /// Reads hash data as a peer sends it: hexadecimal in either case, with leading zeros or
    /// without them, because some peers send a hash like a number. The number of digits must
    /// identify the algorithm.
    ///
    /// # Errors
    /// [`HashDataError`] if it is anything else: such text names no certificate.
    pub fn parse(
        algorithm: HashAlgorithm,
        issuer_name_hash: &str,
        issuer_key_hash: &str,
        serial_number: &str,
    ) -> Result<Self, HashDataError> {
        let hash = |field, text: &str| read_digest(field, text, algorithm.octets());
        Ok(Self {
            algorithm,
            issuer_name_hash: hash("issuerNameHash", issuer_name_hash)?,
            issuer_key_hash: hash("issuerKeyHash", issuer_key_hash)?,
            serial_number: SerialNumber::from_hex(serial_number)
                .map_err(|source| HashDataError::SerialNumber { source })?,
        })
    }

    /// The form in which this project sends hash data.
    #[must_use]
    pub fn to_text(&self) -> HashDataText {
        HashDataText {
            issuer_name_hash: hex::encode(self.issuer_name_hash()),
            issuer_key_hash: hex::encode(self.issuer_key_hash()),
            serial_number: self.serial_number.to_string(),
        }
    }

    /// The digest of both hashes.
    #[must_use]
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The digest over the DER of the issuer's Name.
    #[must_use]
    pub fn issuer_name_hash(&self) -> &[u8] {
        &self.issuer_name_hash[..self.algorithm.octets()]
    }

    /// The digest over the issuer's public key.
    #[must_use]
    pub fn issuer_key_hash(&self) -> &[u8] {
        &self.issuer_key_hash[..self.algorithm.octets()]
    }

    /// The serial number.
    #[must_use]
    pub fn serial_number(&self) -> SerialNumber {
        self.serial_number
    }

    /// Whether these hash data belong to a certificate that was issued with this Name and this key.
    #[must_use]
    pub fn is_issued_by(&self, issuer: &Certificate) -> bool {
        self.algorithm.digest(issuer.subject().as_der()) == self.issuer_name_hash
            && self.algorithm.digest(issuer.public_key()) == self.issuer_key_hash
    }
}

fn read_digest(field: &'static str, text: &str, expected: usize) -> Result<Digest, HashDataError> {
    if text.is_empty() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(HashDataError::Hexadecimal { field });
    }
    let all = 2 * expected;
    let digits = if text.len() == all { text } else { text.trim_start_matches('0') };
    if !(all - MAX_MISSING_ZEROS..=all).contains(&digits.len()) {
        return Err(HashDataError::Length { field, digits: text.len(), expected: all });
    }
    let mut digest = [0; MAX_DIGEST];
    hex::decode_to_slice(format!("{digits:0>all$}"), &mut digest[..expected])
        .map_err(|_| HashDataError::Hexadecimal { field })?;
    Ok(digest)
}

/// The maximum number of leading zeros that a peer may omit. One of 4 × 10⁹ hashes begins with that
/// many. Hashes of two algorithms differ by 32 digits.
const MAX_MISSING_ZEROS: usize = 8;

/// The data from which the hash data of one certificate are computed.
#[derive(Clone, Debug)]
pub struct CertificateId {
    issuer: Vec<u8>,
    issuer_key: Vec<u8>,
    serial_number: SerialNumber,
    /// By algorithm, computed at the first use: an inventory is listed far more often than it
    /// changes.
    hashes: [OnceLock<HashData>; 3],
}

impl PartialEq for CertificateId {
    fn eq(&self, other: &Self) -> bool {
        (&self.serial_number, &self.issuer, &self.issuer_key)
            == (&other.serial_number, &other.issuer, &other.issuer_key)
    }
}

impl Eq for CertificateId {}

impl CertificateId {
    /// Identifies `certificate`, which the holder of `issuer_key` has signed.
    ///
    /// `issuer_key` is the content of the subjectPublicKey BIT STRING without the unused-bits octet
    /// ([`Certificate::public_key`] of the issuer). The certificate itself does not contain this
    /// key.
    #[must_use]
    pub fn new(certificate: &Certificate, issuer_key: &[u8]) -> Self {
        // The bytes of the certificate are never encoded again: the string types and the order of
        // the Name count.
        Self::of(certificate.issuer().as_der(), issuer_key, certificate.serial_number())
    }

    /// Identifies a self-signed certificate, which is its own issuer.
    #[must_use]
    pub fn of_root(root: &Certificate) -> Self {
        Self::new(root, root.public_key())
    }

    /// Identifies the certificate with this serial number that `issuer` has issued.
    #[must_use]
    pub fn issued_by(issuer: &Certificate, serial_number: SerialNumber) -> Self {
        Self::of(issuer.subject().as_der(), issuer.public_key(), serial_number)
    }

    fn of(issuer: &[u8], issuer_key: &[u8], serial_number: SerialNumber) -> Self {
        Self {
            issuer: issuer.to_vec(),
            issuer_key: issuer_key.to_vec(),
            serial_number,
            hashes: [const { OnceLock::new() }; 3],
        }
    }

    /// The hash data by `algorithm`.
    #[must_use]
    pub fn hash_data(&self, algorithm: HashAlgorithm) -> HashData {
        *self.hashes[algorithm as usize].get_or_init(|| HashData {
            algorithm,
            issuer_name_hash: algorithm.digest(&self.issuer),
            issuer_key_hash: algorithm.digest(&self.issuer_key),
            serial_number: self.serial_number,
        })
    }

    /// Whether `hash` identifies this certificate.
    #[must_use]
    pub fn is_named_by(&self, hash: &HashData) -> bool {
        // The serial number is compared first: it is cheap, and nearly always decides.
        hash.serial_number == self.serial_number && self.hash_data(hash.algorithm) == *hash
    }

    /// The DER of the issuer's Name.
    #[must_use]
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// The issuer's key, in the form of [`Certificate::public_key`].
    #[must_use]
    pub fn issuer_key(&self) -> &[u8] {
        &self.issuer_key
    }

    /// The serial number.
    #[must_use]
    pub fn serial_number(&self) -> SerialNumber {
        self.serial_number
    }

    /// A key for an index. Two certificates have the same one exactly if they have the same hash
    /// data.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        for part in [&self.issuer, &self.issuer_key, self.serial_number.octets()] {
            // The length of each part comes first, so that different parts never give the same
            // bytes.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        hex::encode(digest.finalize())
    }
}

/// Why hash data identify no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashDataError {
    /// Characters other than hexadecimal digits, or no characters.
    #[error("{field} is not hexadecimal")]
    Hexadecimal {
        /// The field.
        field: &'static str,
    },
    /// The hash of another algorithm, or a part of one.
    #[error("{field} has {digits} digits, and a hash by this algorithm has {expected}")]
    Length {
        /// The field.
        field: &'static str,
        /// The number of digits.
        digits: usize,
        /// The number of digits of the algorithm.
        expected: usize,
    },
    /// The serial number is invalid.
    #[error("serialNumber cannot be read")]
    SerialNumber {
        /// The reason.
        #[source]
        source: SerialNumberError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_data_is_read_in_each_spelling() {
        let hash = "ab".repeat(32);
        let id = |serial: &str| HashData::parse(HashAlgorithm::Sha256, &hash, &hash, serial);
        assert_eq!(id("fff").expect("odd").serial_number().octets(), [0x0f, 0xff]);
        assert_eq!(id("0FFF"), id("fff"));
        assert_eq!(HashData::parse(HashAlgorithm::Sha256, &hash.to_uppercase(), &hash, "fff"), id("fff"));
        assert_eq!(id("00").expect("zero").to_text().serial_number, "0");
        for serial in ["xyz", "", "0x1", " 1", "1:2"] {
            let source = SerialNumberError::NotHexadecimal;
            assert_eq!(id(serial), Err(HashDataError::SerialNumber { source }), "{serial:?}");
        }
    }

    /// Seen in other software (EVerest #2027, Hubject's audit HUB-283-004): case or leading zeros
    /// made a certificate undeletable.
    #[test]
    fn a_hash_may_lack_its_leading_zeros() {
        let whole = format!("0{}", "ab1".repeat(21));
        let parse = |text: &str| HashData::parse(HashAlgorithm::Sha256, text, &whole, "1");
        let expected = parse(&whole).expect("whole");
        for text in [&whole[1..], &format!("00{whole}"), &whole.to_uppercase()] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        assert_ne!(parse(&format!("{whole}0")[1..]), Ok(expected));
    }

    #[test]
    fn a_hash_of_another_algorithm_is_not_taken_for_this_ones() {
        let hash = "ab".repeat(32);
        let error = HashData::parse(HashAlgorithm::Sha384, &hash, &hash, "1").expect_err("too short");
        assert_eq!(error, HashDataError::Length { field: "issuerNameHash", digits: 64, expected: 96 });
        HashData::parse(HashAlgorithm::Sha256, &hash, &"ab".repeat(48), "1").expect_err("too long");
        HashData::parse(HashAlgorithm::Sha256, &hash, &"ab".repeat(27), "1").expect_err("too short");
        for wrong in ["äöü", "0x", "", " "] {
            let error =
                HashData::parse(HashAlgorithm::Sha256, &hash, wrong, "1").expect_err("not hexadecimal");
            assert_eq!(error, HashDataError::Hexadecimal { field: "issuerKeyHash" }, "{wrong}");
        }
    }
}
