//! Hash data, compared with vectors of known origin.

use certificates::{Certificate, CertificateId, HashAlgorithm, HashData};
use serde_json::Value;

const VECTORS: &str = include_str!("../data/certificate-hash-vectors.json");

const ALGORITHMS: [(HashAlgorithm, &str); 3] =
    [(HashAlgorithm::Sha256, "SHA256"), (HashAlgorithm::Sha384, "SHA384"), (HashAlgorithm::Sha512, "SHA512")];

fn vectors() -> Vec<Value> {
    let file: Value = serde_json::from_str(VECTORS).expect("vectors");
    file["vectors"].as_array().expect("an array").clone()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().expect("a string")
}

fn certificate(vector: &Value) -> Certificate {
    Certificate::from_pem(text(vector, "pem")).expect("a certificate")
}

fn id(vector: &Value, all: &[Value]) -> CertificateId {
    let issuer =
        all.iter().find(|other| other["name"] == vector["issuer"]).expect("its issuer is among them");
    CertificateId::new(&certificate(vector), certificate(issuer).public_key())
}

/// Seen in other software (libevse-security #11): wrong hash data of sub-CAs. Root, two sub-CAs and
/// a leaf.
#[test]
fn hash_data_equal_the_vectors() {
    let all = vectors();
    assert_eq!(all.len(), 4);
    for vector in &all {
        let id = id(vector, &all);
        for (algorithm, name) in ALGORITHMS {
            let hash = id.hash_data(algorithm).to_text();
            assert_eq!(hash.issuer_name_hash, text(&vector[name], "issuerNameHash"), "{}", vector["name"]);
            assert_eq!(hash.issuer_key_hash, text(&vector[name], "issuerKeyHash"), "{}", vector["name"]);
            assert_eq!(hash.serial_number, text(vector, "serialNumber"), "{}", vector["name"]);
        }
    }
}

/// Seen in other software: a certificate was not found because of upper case (EVerest #2027) or a
/// padded serial number (MicroOcpp).
#[test]
fn spelling_of_hash_data_does_not_matter_and_digits_do() {
    let all = vectors();
    for vector in &all {
        let id = id(vector, &all);
        for (algorithm, name) in ALGORITHMS {
            let hash = id.hash_data(algorithm);
            let issuer = all.iter().find(|other| other["name"] == vector["issuer"]).expect("its issuer");
            assert!(id.is_named_by(&hash) && hash.is_issued_by(&certificate(issuer)));
            let shouted = HashData::parse(
                algorithm,
                &hash.to_text().issuer_name_hash.to_uppercase(),
                &hash.to_text().issuer_key_hash.to_uppercase(),
                &text(vector, "derSerialContentHex").to_uppercase(),
            );
            assert_eq!(shouted, Ok(hash), "{} {name}", vector["name"]);

            let changed = |text: &str| {
                let (rest, last) = text.split_at(text.len() - 1);
                format!("{rest}{}", if last == "0" { "1" } else { "0" })
            };
            let spelled = hash.to_text();
            for (name_hash, key_hash, serial) in [
                (
                    changed(&spelled.issuer_name_hash),
                    spelled.issuer_key_hash.clone(),
                    spelled.serial_number.clone(),
                ),
                (
                    spelled.issuer_name_hash.clone(),
                    changed(&spelled.issuer_key_hash),
                    spelled.serial_number.clone(),
                ),
                (spelled.issuer_name_hash, spelled.issuer_key_hash, changed(&spelled.serial_number)),
            ] {
                let wrong = HashData::parse(algorithm, &name_hash, &key_hash, &serial).expect("readable");
                assert!(!id.is_named_by(&wrong), "{wrong:?}");
            }
        }
    }
}

/// A certificate with each byte changed, or cut off at each byte: an error or a certificate, never
/// a panic.
#[test]
fn bytes_of_a_peer_do_not_panic() {
    for vector in vectors() {
        let der = certificate(&vector).der().to_vec();
        for length in 0..der.len() {
            assert!(Certificate::from_der(&der[..length]).is_err(), "cut at {length}");
        }
        for position in 0..der.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut changed = der.clone();
                changed[position] ^= change;
                if let Ok(read) = Certificate::from_der(changed) {
                    let _ = CertificateId::of_root(&read).hash_data(HashAlgorithm::Sha256);
                }
            }
        }
        let mut longer = der.clone();
        longer.push(0);
        assert!(Certificate::from_der(longer).is_err(), "a byte after the certificate");
    }
}
