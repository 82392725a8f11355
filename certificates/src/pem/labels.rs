//! The labels of blocks.

/// The label of a certificate.
pub const CERTIFICATE: &str = "CERTIFICATE";

/// The label of a revocation list.
pub const REVOCATION_LIST: &str = "X509 CRL";

/// The label of a certificate signing request (RFC 7468, 7).
pub const REQUEST: &str = "CERTIFICATE REQUEST";

/// The label of a private key in PKCS #8.
pub(super) const PKCS8: &str = "PRIVATE KEY";
/// The label of an RSA key in PKCS #1.
pub(super) const PKCS1: &str = "RSA PRIVATE KEY";
/// The label of an EC key in SEC 1.
pub(super) const SEC1: &str = "EC PRIVATE KEY";
