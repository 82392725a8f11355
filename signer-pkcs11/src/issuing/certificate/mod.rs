//! Certificates and revocation lists: planned, encoded, linted, and assembled after the token has
//! signed.

pub(crate) mod crl;
pub(crate) mod issuer;
pub(crate) mod plan;
pub(crate) mod unsigned;

use std::time::SystemTime;

use certificates::SerialNumber;

/// Maximum number of characters of `CertificateSignedRequest.certificateChain`.
pub const MAX_CHAIN_CHARACTERS: usize = 10_000;

/// A certificate that has just been issued. Its signature is verified.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IssuedCertificate {
    /// The certificate.
    pub der: Vec<u8>,
    /// PEM: the certificate, then the sub-CAs above it in chain order, without the root.
    pub chain_pem: String,
    /// Its serial number.
    pub serial: SerialNumber,
    /// Start of validity.
    pub not_before: SystemTime,
    /// End of validity.
    pub not_after: SystemTime,
}
