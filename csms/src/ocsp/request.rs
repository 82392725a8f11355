//! OCSPRequest (RFC 6960, 4.1) from the hash data of OCPP.

use der::{
    Encode as _, Sequence,
    asn1::{Any, ObjectIdentifier, OctetString, Uint},
};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use x509_cert::spki::AlgorithmIdentifierOwned;

/// A certificate, as OCSP and OCPP name it: by hashes of its issuer, and its serial number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateId {
    pub(crate) digest: Digest,
    pub(crate) issuer_name_hash: Vec<u8>,
    pub(crate) issuer_key_hash: Vec<u8>,
    /// Magnitude without leading zeros.
    pub(crate) serial_number: Vec<u8>,
}

/// `HashAlgorithmEnumType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Digest {
    Sha256,
    Sha384,
    Sha512,
}

/// Why hash data names no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoCertificateId {
    #[error("{field} is not hexadecimal")]
    Hexadecimal { field: &'static str },
    #[error("{field} has {octets} octets, a hash by this algorithm has {expected}")]
    Length { field: &'static str, octets: usize, expected: usize },
}

impl Digest {
    pub(crate) fn oid(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::Sha256 => "2.16.840.1.101.3.4.2.1",
            Self::Sha384 => "2.16.840.1.101.3.4.2.2",
            Self::Sha512 => "2.16.840.1.101.3.4.2.3",
        })
    }

    pub(crate) fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    fn octets(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl CertificateId {
    /// From the texts of OCPP: hexadecimal of either case, the serial number with or without leading zeros.
    pub(crate) fn parse(
        digest: Digest,
        issuer_name_hash: &str,
        issuer_key_hash: &str,
        serial_number: &str,
    ) -> Result<Self, NoCertificateId> {
        let hash = |field, text: &str| {
            let octets = hex::decode(text).map_err(|_| NoCertificateId::Hexadecimal { field })?;
            match octets.len() == digest.octets() {
                true => Ok(octets),
                false => {
                    Err(NoCertificateId::Length { field, octets: octets.len(), expected: digest.octets() })
                }
            }
        };
        let digits = serial_number.trim_start_matches('0');
        // An odd number of digits is usual: no leading zeros are written.
        let digits = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
        let serial = hex::decode(digits);
        Ok(Self {
            digest,
            issuer_name_hash: hash("issuerNameHash", issuer_name_hash)?,
            issuer_key_hash: hash("issuerKeyHash", issuer_key_hash)?,
            serial_number: serial.map_err(|_| NoCertificateId::Hexadecimal { field: "serialNumber" })?,
        })
    }

    /// The request to a responder, DER: for this one certificate, without a nonce, as answers are cached.
    pub(crate) fn to_request(&self) -> der::Result<Vec<u8>> {
        let id = CertId {
            hash_algorithm: AlgorithmIdentifierOwned {
                oid: self.digest.oid(),
                parameters: Some(Any::null()),
            },
            issuer_name_hash: OctetString::new(self.issuer_name_hash.as_slice())?,
            issuer_key_hash: OctetString::new(self.issuer_key_hash.as_slice())?,
            // An INTEGER has one octet at least.
            serial_number: Uint::new(if self.serial_number.is_empty() { &[0] } else { &self.serial_number })?,
        };
        OcspRequest { tbs_request: TbsRequest { request_list: vec![Request { req_cert: id }] } }.to_der()
    }
}

#[derive(Sequence)]
struct OcspRequest {
    tbs_request: TbsRequest,
}

#[derive(Sequence)]
struct TbsRequest {
    request_list: Vec<Request>,
}

#[derive(Sequence)]
struct Request {
    req_cert: CertId,
}

#[derive(Sequence)]
struct CertId {
    hash_algorithm: AlgorithmIdentifierOwned,
    issuer_name_hash: OctetString,
    issuer_key_hash: OctetString,
    serial_number: Uint,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_data_is_read_in_each_spelling() {
        let hash = "ab".repeat(32);
        let id = |serial_number: &str| CertificateId::parse(Digest::Sha256, &hash, &hash, serial_number);
        assert_eq!(id("fff").expect("odd").serial_number, [0x0f, 0xff]);
        assert_eq!(id("0FFF"), id("fff"));
        assert_eq!(id("00").expect("zero").serial_number, [0_u8; 0]);
        assert_eq!(id("xyz"), Err(NoCertificateId::Hexadecimal { field: "serialNumber" }));
        let error = CertificateId::parse(Digest::Sha384, &hash, &hash, "1").expect_err("too short");
        assert_eq!(error, NoCertificateId::Length { field: "issuerNameHash", octets: 32, expected: 48 });
        let error = CertificateId::parse(Digest::Sha256, &hash, "äöü", "1").expect_err("no hexadecimal");
        assert_eq!(error, NoCertificateId::Hexadecimal { field: "issuerKeyHash" });
    }

    #[test]
    fn a_serial_number_is_a_positive_integer() {
        let hash = "ab".repeat(32);
        for (serial_number, der) in [("0", "020100"), ("80", "02020080"), ("fff", "02020fff")] {
            let id = CertificateId::parse(Digest::Sha256, &hash, &hash, serial_number).expect("good");
            assert!(hex::encode(id.to_request().expect("DER")).ends_with(der), "{serial_number}");
        }
    }
}
