//! Parses any bytes as a file or message in PEM.
//!
//! No input may cause a panic, and no block may be skipped. The blocks that are read can be
//! written, and are read again as the same.

#![no_main]

use certificates::pem;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(found) = pem::certificates(bytes, MAX_BLOCKS) {
        assert_eq!(found.len(), count(bytes, b"-----BEGIN CERTIFICATE-----"));
        assert_eq!(found.len(), count(bytes, b"-----END CERTIFICATE-----"));
        let text = found.iter().map(|der| pem::encode(pem::CERTIFICATE, der)).collect::<String>();
        assert_eq!(pem::certificates(text.as_bytes(), MAX_BLOCKS).as_ref(), Ok(&found));
    }
    if let Ok(found) = pem::revocation_lists(bytes, MAX_BLOCKS) {
        let in_der = found.iter().map(|list| list.len()).sum::<usize>() == bytes.len();
        assert!(in_der || found.len() == count(bytes, b"-----BEGIN X509 CRL-----"));
    }
    let _ = pem::private_key(bytes);
    if let Some(der) = std::str::from_utf8(bytes).ok().and_then(|text| pem::request(text).ok()) {
        assert_eq!(pem::request(&pem::encode(pem::REQUEST, &der)), Ok(der));
    }
});

fn count(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).filter(|window| *window == wanted).count()
}

const MAX_BLOCKS: usize = 100;
