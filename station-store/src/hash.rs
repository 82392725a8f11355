//! Certificate hash data: how OCPP names a certificate without sending it.
//!
//! It is the CertID of OCSP (RFC 6960, 4.1.1): a digest over the issuer's Name, a digest over the issuer's key, and the
//! serial number. Two certificates with the same hash data are one certificate to a CSMS.

use std::sync::OnceLock;

use ocpp_types::BoundedString;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::certificate::Certificate;

/// The digest of hash data. The station chooses the one it reports with; it understands all three.
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

    pub(crate) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// What the hash data of one certificate are made from.
#[derive(Clone, Debug)]
pub struct CertificateId {
    issuer: Vec<u8>,
    issuer_key: Vec<u8>,
    serial: Vec<u8>,
    /// By algorithm, once they were asked for: an inventory is listed far more often than it changes.
    hashes: [OnceLock<CertificateHash>; 3],
}

impl PartialEq for CertificateId {
    fn eq(&self, other: &Self) -> bool {
        (&self.serial, &self.issuer, &self.issuer_key) == (&other.serial, &other.issuer, &other.issuer_key)
    }
}

impl Eq for CertificateId {}

impl CertificateId {
    /// Names `certificate`, which the holder of `issuer_key` signed.
    ///
    /// `issuer_key` is the content of the subjectPublicKey BIT STRING without the unused-bits octet
    /// ([`Certificate::public_key`] of the issuer). Who it is cannot be read from the certificate itself.
    pub fn new(certificate: &Certificate, issuer_key: &[u8]) -> Self {
        Self {
            // The bytes of the certificate, never encoded again: string types and order of the Name count.
            issuer: certificate.issuer().to_vec(),
            issuer_key: issuer_key.to_vec(),
            serial: certificate.serial().to_vec(),
            hashes: [const { OnceLock::new() }; 3],
        }
    }

    /// Names a self-signed certificate, which is its own issuer.
    pub fn of_root(root: &Certificate) -> Self {
        Self::new(root, root.public_key())
    }

    /// The hash data by `algorithm`, as they are sent.
    pub fn hash(&self, algorithm: HashAlgorithm) -> CertificateHash {
        self.hashes[algorithm as usize].get_or_init(|| self.compute(algorithm)).clone()
    }

    fn compute(&self, algorithm: HashAlgorithm) -> CertificateHash {
        let serial = hex::encode(&self.serial);
        let digits = serial.trim_start_matches('0');
        let digits = if digits.is_empty() { "0" } else { digits };
        let digest = |bytes: &[u8]| {
            BoundedString::try_from(hex::encode(algorithm.digest(bytes)))
                .expect("the longest digest has 64 octets")
        };
        CertificateHash {
            algorithm,
            issuer_name_hash: digest(&self.issuer),
            issuer_key_hash: digest(&self.issuer_key),
            serial_number: BoundedString::try_from(digits)
                .expect("a Certificate with more than 20 octets of serial number cannot be made"),
        }
    }

    /// Whether `hash`, in whatever spelling, names this certificate.
    ///
    /// Compared are numbers: upper or lower case, leading zeros and an odd count of digits do not matter. Text that is not
    /// hexadecimal names nothing.
    pub fn is_named_by(&self, hash: &CertificateHash) -> bool {
        let algorithm = hash.algorithm;
        // The serial number first: it is cheap, and nearly always settles it.
        same_number(&hash.serial_number, &self.serial)
            && same_number(&hash.issuer_name_hash, &algorithm.digest(&self.issuer))
            && same_number(&hash.issuer_key_hash, &algorithm.digest(&self.issuer_key))
    }

    pub(crate) fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    pub(crate) fn issuer_key(&self) -> &[u8] {
        &self.issuer_key
    }

    pub(crate) fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// A name for the store's index: two certificates share it exactly if they share their hash data.
    pub(crate) fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        for part in [&self.issuer, &self.issuer_key, &self.serial] {
            // A length before each part: no two lists of parts give the same bytes.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        hex::encode(digest.finalize())
    }
}

/// Certificate hash data as text: what `CertificateHashDataType` carries in every version of OCPP.
///
/// As sent by this crate: hexadecimal, lower case, two digits for each octet of a hash; the serial number without leading
/// zeros, `0` for zero, so that an odd count of digits is normal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateHash {
    /// The digest of both hashes.
    pub algorithm: HashAlgorithm,
    /// Digest over the DER of the issuer's Name.
    pub issuer_name_hash: BoundedString<128>,
    /// Digest over the issuer's public key.
    pub issuer_key_hash: BoundedString<128>,
    /// The serial number.
    pub serial_number: BoundedString<40>,
}

fn same_number(text: &str, octets: &[u8]) -> bool {
    if text.is_empty() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return false;
    }
    let ours = hex::encode(octets);
    text.trim_start_matches('0').eq_ignore_ascii_case(ours.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_not_text_are_compared() {
        for (text, octets, expected) in [
            ("0", &[][..], true),
            ("00", &[], true),
            ("", &[], false),
            ("FFF", &[0x0f, 0xff], true),
            ("0fff", &[0x0f, 0xff], true),
            ("fff0", &[0x0f, 0xff], false),
            ("000FFf", &[0x0f, 0xff], true),
            ("0x0fff", &[0x0f, 0xff], false),
            (" fff", &[0x0f, 0xff], false),
            ("-1", &[1], false),
            ("00ab", &[0x00, 0xab], true),
            ("ab", &[0x00, 0xab], true),
        ] {
            assert_eq!(same_number(text, octets), expected, "{text:?} against {octets:02x?}");
        }
    }
}
