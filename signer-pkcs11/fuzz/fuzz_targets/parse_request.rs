//! Parses any bytes as a certificate request: as the text that OCPP carries, and as DER.
//!
//! No input may cause a panic. An accepted request is accepted again in both forms, with the same
//! content.

#![no_main]

use libfuzzer_sys::fuzz_target;
use signer_pkcs11::{Csr, KeyRules};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(csr) = Csr::from_der(bytes) {
        assert_eq!(csr.der(), bytes);
        check(&csr);
    }
    if let Ok(csr) = std::str::from_utf8(bytes).map_err(drop).and_then(|text| Csr::parse(text).map_err(drop)) {
        check(&csr);
    }
});

fn check(csr: &Csr) {
    let pem = csr.to_pem();
    // PEM is longer than base64 in one line, so an accepted request may be too long as PEM.
    if pem.len() <= signer_pkcs11::csr::MAX_CSR_CHARACTERS {
        let again = Csr::parse(&pem).expect("what was accepted is accepted as PEM");
        assert_eq!(again.der(), csr.der());
        assert_eq!(again.public_key(), csr.public_key());
        assert_eq!((again.common_name(), again.organization()), (csr.common_name(), csr.organization()));
    }
    let _ = KeyRules::default().check(csr.public_key());
}
