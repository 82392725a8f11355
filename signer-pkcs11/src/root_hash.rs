//! Which root a station asks its certificate to lead to (`hashRootCertificate` of OCPP 2.1).

use der::Encode;
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::Certificate;

/// A root, by what its hash data is computed from.
#[derive(Clone, Debug)]
pub(crate) struct RootIdentity {
    /// DER of the issuer's Name, which is the root's own.
    name: Vec<u8>,
    /// The bits of the root's public key, without tag, length and count of unused bits.
    key: Vec<u8>,
    /// Hexadecimal without leading zeros.
    serial: String,
}

/// `CertificateHashDataType` in the terms of no version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RootHash {
    pub(crate) algorithm: HashAlgorithm,
    pub(crate) issuer_name_hash: String,
    pub(crate) issuer_key_hash: String,
    pub(crate) serial_number: String,
}

/// `HashAlgorithmEnumType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HashAlgorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl RootIdentity {
    pub(crate) fn of(root: &Certificate) -> der::Result<Self> {
        let tbs = root.tbs_certificate();
        let key = tbs.subject_public_key_info().subject_public_key.raw_bytes().to_vec();
        let serial = hex::encode(tbs.serial_number().as_bytes());
        let serial = without_zeros(&serial).to_owned();
        Ok(Self { name: tbs.issuer().to_der()?, key, serial })
    }
}

impl RootHash {
    /// Whether the hash data is that of the root. Neither case nor leading zeros count.
    pub(crate) fn names(&self, root: &RootIdentity) -> bool {
        let same = |hash: &str, of: &[u8]| hash.eq_ignore_ascii_case(&self.algorithm.hex(of));
        same(&self.issuer_name_hash, &root.name)
            && same(&self.issuer_key_hash, &root.key)
            && without_zeros(&self.serial_number).eq_ignore_ascii_case(&root.serial)
    }
}

impl HashAlgorithm {
    fn hex(self, bytes: &[u8]) -> String {
        match self {
            Self::Sha256 => hex::encode(Sha256::digest(bytes)),
            Self::Sha384 => hex::encode(Sha384::digest(bytes)),
            Self::Sha512 => hex::encode(Sha512::digest(bytes)),
        }
    }
}

fn without_zeros(serial: &str) -> &str {
    serial.trim_start_matches('0')
}
