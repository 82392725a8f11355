//! Parses any bytes as an OCSP response about the certificate of the corpus.
//!
//! No input may cause a panic. A response that verifies reports that the certificate is revoked,
//! because the authority has signed nothing else.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use certificates::{
    Certificate, CertificateId, HashAlgorithm, SerialNumber, UnixSeconds,
    ocsp::{CertificateStatus, check_about, verify},
};
use libfuzzer_sys::fuzz_target;

static ISSUER: LazyLock<Certificate> =
    LazyLock::new(|| Certificate::from_pem(include_str!("../issuer.pem")).expect("a certificate"));

static ID: LazyLock<CertificateId> = LazyLock::new(|| {
    CertificateId::issued_by(&ISSUER, SerialNumber::from_hex("1000").expect("a serial number"))
});

fuzz_target!(|bytes: &[u8]| {
    let _ = check_about(bytes, &ID.hash_data(HashAlgorithm::Sha256));
    // A time long after the corpus was created, and a clock tolerance of the same length.
    let verified = verify(bytes, &ID, &ISSUER, UnixSeconds::new(2_000_000_000), Duration::from_secs(2_000_000_000));
    if let Ok(verified) = verified {
        assert_eq!(verified.status, CertificateStatus::Revoked);
    }
});
