//! The messages of OCPP 2.1.

super::v2::words_of_v2!(
    v21,
    roots: [OEMRootCertificate: Oem],
    uses: [V2G20Certificate: V2g20]
);

fn request_id(request: &CertificateSignedRequest) -> Option<i64> {
    request.request_id
}
