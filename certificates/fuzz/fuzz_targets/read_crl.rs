//! Parses any bytes as a revocation list of the authority of the corpus.
//!
//! No input may cause a panic. A list that verifies names the revoked certificate, because the
//! authority has signed nothing else.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use certificates::{Certificate, RevocationList, SerialNumber, UnixSeconds};
use libfuzzer_sys::fuzz_target;

static ISSUER: LazyLock<Certificate> =
    LazyLock::new(|| Certificate::from_pem(include_str!("../issuer.pem")).expect("a certificate"));

fuzz_target!(|bytes: &[u8]| {
    let Ok(list) = RevocationList::from_der(bytes) else { return };
    assert!(list.entries().is_sorted());
    assert!(list.entries().iter().all(|entry| list.names(entry.serial_number)));
    let (now, skew) = (UnixSeconds::new(2_000_000_000), Duration::from_secs(2_000_000_000));
    if list.verify(&ISSUER, now, skew).is_ok() {
        let serial_number = SerialNumber::from_hex("1000").expect("a serial number");
        assert_eq!(list.is_revoked(serial_number, None), Ok(true));
    }
});
