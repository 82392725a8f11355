//! Any bytes as an OCSP response about the certificate of the corpus.
//!
//! Nothing may panic, and whatever verifies says that the certificate is revoked: only that was
//! signed.

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
    // Long after the corpus was made, by a clock that is off by as much.
    let verified = verify(bytes, &ID, &ISSUER, UnixSeconds::new(2_000_000_000), Duration::from_secs(2_000_000_000));
    if let Ok(verified) = verified {
        assert_eq!(verified.status, CertificateStatus::Revoked);
    }
});
