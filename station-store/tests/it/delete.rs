//! DeleteCertificate (M04).

use ocpp_types::v201::DeleteCertificateStatusEnumType::{Accepted, Failed, NotFound};
use ocpp_types::v201::InstallCertificateUseEnumType as Use;
use ocpp_types::v201::{CertificateHashDataType, HashAlgorithmEnumType};
use station_store::{Certificate, CertificateId, HashAlgorithm};

use crate::pki::{Station, hash_data, key, leaf, leaf_params, reason, root, sub_ca};

#[test]
fn tc_m_20_delete_a_listed_root_with_each_algorithm() {
    let root = root("Root");
    let id = CertificateId::of_root(&Certificate::from_pem(&root.pem()).expect("root"));
    for algorithm in HashAlgorithm::ALL {
        let station = Station::new();
        station.must_install(Use::CSMSRootCertificate, &root.pem());
        // The only CSMS root: 2.0.1 permits its deletion.
        let response = station.delete(&hash_data(id.hash_data(algorithm)));
        assert_eq!(response.status, Accepted, "{response:?}");
        assert!(station.all().is_empty());
        let station = station.restart();
        assert!(station.all().is_empty(), "it stays away");
        assert!(station.store.roots(Use::CSMSRootCertificate).is_empty());
        assert_eq!(station.delete(&hash_data(id.hash_data(algorithm))).status, NotFound);
    }
}

#[test]
fn m04_what_was_listed_is_deletable_as_it_was_listed() {
    let station = Station::new();
    for number in 0..4 {
        station.must_install(Use::CSMSRootCertificate, &root(&format!("Root {number}")).pem());
    }
    for left in (0..4).rev() {
        let (_, hash) = station.all().swap_remove(left / 2);
        assert_eq!(station.delete(&hash).status, Accepted);
        assert_eq!(station.all().len(), left);
    }
}

/// Seen elsewhere (EVerest #2027, Hubject's audit HUB-283-004): case or leading zeros made a
/// certificate undeletable.
#[test]
fn m04_spelling_of_the_hash_does_not_matter() {
    let station = Station::new();
    let root = root("Root");
    let spell = |hash: &CertificateHashDataType| {
        let serial = format!("{:0>40}", hash.serial_number.to_uppercase());
        CertificateHashDataType::new(
            hash.hash_algorithm,
            hash.issuer_name_hash.to_uppercase().try_into().expect("as long"),
            hash.issuer_key_hash.trim_start_matches('0').to_uppercase().try_into().expect("shorter"),
            serial.try_into().expect("40 digits"),
        )
    };
    station.must_install(Use::CSMSRootCertificate, &root.pem());
    let (_, hash) = station.all().remove(0);
    assert_eq!(station.delete(&spell(&hash)).status, Accepted);
}

/// The message does not name a use, so the certificate is deleted for every use.
#[test]
fn m04_fr_02_deletes_every_use() {
    let station = Station::new();
    let (both, other) = (root("Both"), root("Other"));
    station.must_install(Use::CSMSRootCertificate, &both.pem());
    station.must_install(Use::V2GRootCertificate, &both.pem());
    station.must_install(Use::V2GRootCertificate, &other.pem());
    let (_, hash) = station.all().remove(0);
    assert_eq!(station.delete(&hash).status, Accepted);
    let station = station.restart();
    assert_eq!(station.all().len(), 1);
    assert_eq!(station.store.roots(Use::V2GRootCertificate), [other.der().clone()]);
}

#[test]
fn tc_m_22_delete_unknown_is_not_found() {
    let station = Station::new();
    let (known, unknown) = (root("Known"), root("Unknown"));
    station.must_install(Use::CSMSRootCertificate, &known.pem());
    let id = CertificateId::of_root(&Certificate::from_pem(&unknown.pem()).expect("root"));
    for algorithm in HashAlgorithm::ALL {
        assert_eq!(station.delete(&hash_data(id.hash_data(algorithm))).status, NotFound);
    }
    assert_eq!(station.all().len(), 1);
}

/// Seen elsewhere: a CA deleted without comparing its hashes (libocpp 05d32116), hashAlgorithm
/// ignored (open-ocpp), the serial number used as a file name (SAP simulator).
#[test]
fn m04_fr_04_hash_data_that_name_nothing_are_not_found() {
    let station = Station::new();
    station.must_install(Use::CSMSRootCertificate, &root("Root").pem());
    let (_, right) = station.all().remove(0);
    let text = |text: &str| text.try_into().expect("short");
    let odd = [
        // The digest belongs to another algorithm than the named one.
        CertificateHashDataType { hash_algorithm: HashAlgorithmEnumType::SHA512, ..right.clone() },
        CertificateHashDataType { issuer_name_hash: text(""), ..right.clone() },
        CertificateHashDataType { issuer_key_hash: text("not hexadecimal"), ..right.clone() },
        CertificateHashDataType { issuer_key_hash: text("ÄÖÜ"), ..right.clone() },
        CertificateHashDataType { serial_number: "".try_into().expect("short"), ..right.clone() },
        CertificateHashDataType { serial_number: "-1".try_into().expect("short"), ..right.clone() },
        CertificateHashDataType {
            serial_number: "../../etc/passwd".try_into().expect("short"),
            ..right.clone()
        },
    ];
    for hash in odd {
        assert_eq!(station.delete(&hash).status, NotFound, "{hash:?}");
    }
    assert_eq!(station.all().len(), 1);
}

#[test]
fn tc_m_23_delete_own_certificate_fails() {
    let station = Station::new();
    let root = root("CSMS");
    let sub = sub_ca(&root, "Sub");
    station.must_install(Use::CSMSRootCertificate, &root.pem());

    let (first_key, second_key) = (key(), key());
    station.request("first", &first_key);
    let first = leaf(&sub, &first_key, leaf_params());
    let own = station.signed(&format!("{first}{}", sub.pem())).installed.expect("accepted");
    station.store.confirm_own(own.id).expect("confirmed");
    station.request("second", &second_key);
    let second = leaf(&root, &second_key, leaf_params());
    let renewed = station.signed(&second).installed.expect("accepted");

    let station = station.restart();
    let hash =
        |pem: &str, issuer: &[u8]| CertificateId::new(&Certificate::from_pem(pem).expect("leaf"), issuer);
    let sub_certificate = Certificate::from_pem(&sub.pem()).expect("sub-CA");
    let root_certificate = Certificate::from_pem(&root.pem()).expect("root");
    let own_hash = hash(&first, sub_certificate.public_key());
    let renewed_hash = hash(&second, root_certificate.public_key());
    for algorithm in HashAlgorithm::ALL {
        // M04.FR.06: the certificate in use and the renewed one.
        for id in [&own_hash, &renewed_hash] {
            let response = station.delete(&hash_data(id.hash_data(algorithm)));
            assert_eq!(response.status, Failed);
            assert_eq!(reason(&response.status_info), "UnsupportedRequest");
        }
        // A sub-CA of its chain was never listed.
        let sub_hash = CertificateId::new(&sub_certificate, root_certificate.public_key());
        assert_eq!(station.delete(&hash_data(sub_hash.hash_data(algorithm))).status, NotFound);
    }
    assert_eq!(station.store.own_certificates().len(), 2);

    // The issuer's certificate may be deleted; the own certificate is still recognised.
    let (_, root_hash) = station.all().remove(0);
    assert_eq!(station.delete(&root_hash).status, Accepted);
    assert_eq!(station.delete(&hash_data(renewed_hash.hash_data(HashAlgorithm::Sha384))).status, Failed);

    // A discarded certificate does not belong to the station any more.
    station.store.confirm_own(renewed.id).expect("confirmed");
    assert_eq!(station.delete(&hash_data(own_hash.hash_data(HashAlgorithm::Sha256))).status, NotFound);
}
