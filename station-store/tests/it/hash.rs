//! Hash data against vectors of known origin.

use serde_json::Value;
use station_store::{Certificate, CertificateHash, CertificateId, HashAlgorithm};

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

/// Seen elsewhere (libevse-security #11): wrong hash data of sub-CAs. Root, two sub-CAs and a leaf.
#[test]
fn hash_data_equal_the_vectors() {
    let all = vectors();
    assert_eq!(all.len(), 4);
    for vector in &all {
        let id = id(vector, &all);
        for (algorithm, name) in ALGORITHMS {
            let hash = id.hash(algorithm);
            assert_eq!(
                hash.issuer_name_hash.as_str(),
                text(&vector[name], "issuerNameHash"),
                "{}",
                vector["name"]
            );
            assert_eq!(
                hash.issuer_key_hash.as_str(),
                text(&vector[name], "issuerKeyHash"),
                "{}",
                vector["name"]
            );
            assert_eq!(hash.serial_number.as_str(), text(vector, "serialNumber"), "{}", vector["name"]);
        }
    }
}

/// Seen elsewhere: not found again because of upper case (EVerest #2027) or of a padded serial number (MicroOcpp).
#[test]
fn spelling_of_hash_data_does_not_matter_and_digits_do() {
    let all = vectors();
    for vector in &all {
        let id = id(vector, &all);
        for (algorithm, name) in ALGORITHMS {
            let hash = id.hash(algorithm);
            assert!(id.is_named_by(&hash));
            let shouted = CertificateHash {
                issuer_name_hash: hash.issuer_name_hash.to_uppercase().try_into().expect("as long"),
                issuer_key_hash: hash.issuer_key_hash.to_uppercase().try_into().expect("as long"),
                serial_number: text(vector, "derSerialContentHex").to_uppercase().try_into().expect("short"),
                ..hash.clone()
            };
            assert!(id.is_named_by(&shouted), "{} {name}", vector["name"]);

            let changed = |text: &str| -> String {
                let (rest, last) = text.split_at(text.len() - 1);
                format!("{rest}{}", if last == "0" { "1" } else { "0" })
            };
            for wrong in [
                CertificateHash {
                    issuer_name_hash: changed(&hash.issuer_name_hash).try_into().expect("as long"),
                    ..hash.clone()
                },
                CertificateHash {
                    issuer_key_hash: changed(&hash.issuer_key_hash).try_into().expect("as long"),
                    ..hash.clone()
                },
                CertificateHash {
                    serial_number: changed(&hash.serial_number).try_into().expect("as long"),
                    ..hash.clone()
                },
                CertificateHash { serial_number: "".try_into().expect("empty"), ..hash.clone() },
                CertificateHash { issuer_name_hash: "xyz".try_into().expect("short"), ..hash.clone() },
            ] {
                assert!(!id.is_named_by(&wrong), "{wrong:?}");
            }
        }
    }
}

/// Every byte of a certificate cut off or changed: an error or a certificate, never a panic.
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
                    CertificateId::of_root(&read).hash(HashAlgorithm::Sha256);
                }
            }
        }
        let mut longer = der.clone();
        longer.push(0);
        assert!(Certificate::from_der(longer).is_err(), "a byte after the certificate");
    }
}
