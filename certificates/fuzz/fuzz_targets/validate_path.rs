//! Parses any bytes as a certificate: as a leaf, as a sub-CA in its own path, and as a root.
//!
//! No input may cause a panic, and a path that is found ends at the trusted root.

#![no_main]

use std::sync::LazyLock;

use certificates::{
    Certificate, UnixSeconds,
    path::{Purpose, Window, check_root, verify},
};
use libfuzzer_sys::fuzz_target;

static ROOTS: LazyLock<[Certificate; 1]> =
    LazyLock::new(|| [Certificate::from_pem(include_str!("../issuer.pem")).expect("a certificate")]);

fuzz_target!(|bytes: &[u8]| {
    let Ok(certificate) = Certificate::from_der(bytes) else { return };
    let _ = check_root(&certificate);
    let intermediates = [certificate.clone(), ROOTS[0].clone()];
    let itself = [certificate.clone()];
    let window = Window { earliest: UnixSeconds::new(1_800_000_000), latest: UnixSeconds::new(1_800_000_000) };
    for purpose in [Purpose::Station, Purpose::Csms, Purpose::Secc] {
        if let Ok(path) = verify(&certificate, &intermediates, &*ROOTS, window, purpose) {
            assert_eq!(path.root, &ROOTS[0]);
        }
        // The certificate as its own root, so that a self-signed input reaches the checks of a
        // whole path.
        let _ = verify(&certificate, &intermediates, &itself, window, purpose);
    }
});
