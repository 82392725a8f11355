//! The messages of OCPP 2.0.1.

super::v2::words_of_v2!(v201, roots: [], uses: []);

/// This version has no `requestId`.
fn request_id(_: &CertificateSignedRequest) -> Option<i64> {
    None
}
