//! Parses any text as hash data, as a serial number, as the hash of a key, and as the identity of a
//! station.
//!
//! No input may cause a panic. A parsed value has one written form, and that form parses to the
//! same value.

#![no_main]

use certificates::{HashAlgorithm, HashData, KeyHash, SerialNumber, StationIdentity};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(serial_number) = text.parse::<SerialNumber>() {
        let written = serial_number.to_string();
        assert!(written.len() <= 40);
        assert_eq!(SerialNumber::from_hex(&written), Ok(serial_number));
        assert_eq!(SerialNumber::from_octets(serial_number.octets()), Ok(serial_number));
    }
    if let Ok(serial_number) = SerialNumber::from_hex(text) {
        assert_eq!(text.parse(), Ok(serial_number));
    }
    if let Ok(hash) = text.parse::<KeyHash>() {
        assert_eq!(hash.to_string().parse(), Ok(hash));
    }
    if let Ok(identity) = text.parse::<StationIdentity>() {
        assert_eq!(identity.as_str(), text);
        assert_eq!(text.to_ascii_lowercase().parse(), Ok(identity));
    }
    let mut lines = text.lines();
    let mut line = || lines.next().unwrap_or_default();
    let (name_hash, key_hash, serial_number) = (line(), line(), line());
    for algorithm in HashAlgorithm::ALL {
        if let Ok(data) = HashData::parse(algorithm, name_hash, key_hash, serial_number) {
            let text = data.to_text();
            let (name_hash, key_hash) = (&text.issuer_name_hash, &text.issuer_key_hash);
            assert_eq!(HashData::parse(algorithm, name_hash, key_hash, &text.serial_number), Ok(data));
        }
    }
});
