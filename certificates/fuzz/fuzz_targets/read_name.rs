//! Parses any bytes as a name, and as a certificate.
//!
//! No input may cause a panic. Text that is read contains no control characters, and a certificate
//! can be read again from its own PEM.

#![no_main]

use certificates::{Attribute, Certificate, CertificateId, HashAlgorithm, Name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(name) = Name::read(bytes) {
        check(name);
    }
    if let Ok(certificate) = Certificate::from_der(bytes) {
        check(certificate.subject());
        check(certificate.issuer());
        assert_eq!(Certificate::from_pem(&certificate.to_pem()).as_ref(), Ok(&certificate));
        let _ = (certificate.extended_key_usage(), certificate.not_before().to_string());
        let id = CertificateId::of_root(&certificate);
        assert!(id.is_named_by(&id.hash_data(HashAlgorithm::Sha256)));
    }
});

fn check(name: Name<'_>) {
    for attribute in Attribute::ALL {
        let values = name.values(attribute).unwrap_or_default();
        assert!(values.iter().all(|value| !value.chars().any(char::is_control)));
        if let Ok(value) = name.value(attribute) {
            assert_eq!(value.into_iter().collect::<Vec<_>>(), values);
        }
    }
    assert!(!name.to_string().chars().any(char::is_control));
}
