//! OCSPRequest (RFC 6960, 4.1) from hash data.

use der::asn1::{Any, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Encode as _, Sequence};
use sha1::{Digest as _, Sha1};
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::hash_data::{CertificateId, HashAlgorithm, HashData};
use crate::types::SerialNumber;

/// The request to a responder, in DER: for one certificate, and without a nonce, because answers
/// are cached.
///
/// # Errors
/// [`der::Error`] if it cannot be encoded, which no hash data is known to cause.
pub fn to_request(hash: &HashData) -> Result<Vec<u8>, der::Error> {
    let (name, key) = (hash.issuer_name_hash(), hash.issuer_key_hash());
    request(oid(hash.algorithm()), name, key, hash.serial_number())
}

/// As [`to_request`], with SHA-1: many responders support no other digest (RFC 5019, 2.1.1). SHA-1
/// only identifies the certificate; it protects no signature.
///
/// # Errors
/// As [`to_request`].
pub fn to_sha1_request(id: &CertificateId) -> Result<Vec<u8>, der::Error> {
    let [name, key] = [id.issuer(), id.issuer_key()].map(Sha1::digest);
    request(SHA1, &name, &key, id.serial_number())
}

fn request(
    digest: ObjectIdentifier,
    issuer_name_hash: &[u8],
    issuer_key_hash: &[u8],
    serial: SerialNumber,
) -> Result<Vec<u8>, der::Error> {
    let id = CertId {
        hash_algorithm: AlgorithmIdentifierOwned { oid: digest, parameters: Some(Any::null()) },
        issuer_name_hash: OctetStringRef::new(issuer_name_hash)?,
        issuer_key_hash: OctetStringRef::new(issuer_key_hash)?,
        // An INTEGER has one octet at least.
        serial_number: UintRef::new(if serial.octets().is_empty() { &[0] } else { serial.octets() })?,
    };
    OcspRequest { tbs_request: TbsRequest { request_list: vec![Request { req_cert: id }] } }.to_der()
}

/// The identifier of the algorithm in OCSP.
pub(super) fn oid(algorithm: HashAlgorithm) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(match algorithm {
        HashAlgorithm::Sha256 => "2.16.840.1.101.3.4.2.1",
        HashAlgorithm::Sha384 => "2.16.840.1.101.3.4.2.2",
        HashAlgorithm::Sha512 => "2.16.840.1.101.3.4.2.3",
    })
}

pub(super) const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");

#[derive(Sequence)]
struct OcspRequest<'a> {
    tbs_request: TbsRequest<'a>,
}

#[derive(Sequence)]
struct TbsRequest<'a> {
    request_list: Vec<Request<'a>>,
}

#[derive(Sequence)]
struct Request<'a> {
    req_cert: CertId<'a>,
}

#[derive(Sequence)]
struct CertId<'a> {
    hash_algorithm: AlgorithmIdentifierOwned,
    issuer_name_hash: &'a OctetStringRef,
    issuer_key_hash: &'a OctetStringRef,
    serial_number: UintRef<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_a_positive_integer() {
        let hash = "ab".repeat(32);
        for (serial_number, der) in [("0", "020100"), ("80", "02020080"), ("fff", "02020fff")] {
            let hash = HashData::parse(HashAlgorithm::Sha256, &hash, &hash, serial_number).expect("good");
            assert!(hex::encode(to_request(&hash).expect("DER")).ends_with(der), "{serial_number}");
        }
    }
}
