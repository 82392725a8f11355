//! GetInstalledCertificateIds (M03).

use ocpp_types::v201::GetCertificateIdUseEnumType as Listed;
use ocpp_types::v201::InstallCertificateUseEnumType as Use;
use ocpp_types::v201::{GetInstalledCertificateStatusEnumType as Status, HashAlgorithmEnumType};
use station_store::HashAlgorithm;

use crate::pki::{Station, entries, key, leaf, leaf_params, reason, root, settings};

/// One root for each use.
fn full() -> Station {
    let station = Station::new();
    station.must_install(Use::CSMSRootCertificate, &root("CSMS").pem());
    station.must_install(Use::ManufacturerRootCertificate, &root("Manufacturer").pem());
    station.must_install(Use::V2GRootCertificate, &root("V2G").pem());
    station.must_install(Use::MORootCertificate, &root("MO").pem());
    station
}

#[track_caller]
fn check(station: &Station, filter: &[Listed], expected: &[Listed]) {
    let response = station.list(filter);
    assert_eq!(response.status, Status::Accepted);
    let types: Vec<_> = entries(&response).into_iter().map(|(type_, _)| type_).collect();
    assert_eq!(types, expected);
}

#[test]
fn tc_m_12_list_csms_root() {
    check(&full(), &[Listed::CSMSRootCertificate], &[Listed::CSMSRootCertificate]);
}

#[test]
fn tc_m_13_list_manufacturer_root() {
    check(&full(), &[Listed::ManufacturerRootCertificate], &[Listed::ManufacturerRootCertificate]);
}

#[test]
fn tc_m_14_list_v2g_root() {
    check(&full(), &[Listed::V2GRootCertificate], &[Listed::V2GRootCertificate]);
}

#[test]
fn tc_m_16_list_mo_root() {
    check(&full(), &[Listed::MORootCertificate], &[Listed::MORootCertificate]);
}

#[test]
fn tc_m_17_list_two_types_at_once() {
    let filter = [Listed::ManufacturerRootCertificate, Listed::CSMSRootCertificate];
    check(&full(), &filter, &[Listed::CSMSRootCertificate, Listed::ManufacturerRootCertificate]);
}

#[test]
fn tc_m_18_list_all_types() {
    let all = [
        Listed::CSMSRootCertificate,
        Listed::ManufacturerRootCertificate,
        Listed::V2GRootCertificate,
        Listed::MORootCertificate,
    ];
    check(&full(), &[], &all);
    // A type that is named twice, or beside a type without entries, is still reported once.
    let filter = [Listed::MORootCertificate, Listed::V2GCertificateChain, Listed::MORootCertificate];
    check(&full(), &filter, &[Listed::MORootCertificate]);
}

/// Seen elsewhere (libocpp #391, #449, #1035): Accepted with an empty list.
#[test]
fn tc_m_19_nothing_found_omits_the_list() {
    let station = Station::new();
    station.must_install(Use::CSMSRootCertificate, &root("CSMS").pem());
    for filter in [&[Listed::MORootCertificate][..], &[Listed::V2GCertificateChain]] {
        let response = station.list(filter);
        assert_eq!(response.status, Status::NotFound);
        assert_eq!(response.certificate_hash_data_chain, None);
        assert_eq!(reason(&response.status_info), "NotFound");
        let json = ocpp_types::encode(&response).expect("encodes");
        assert!(!json.contains("certificateHashDataChain"), "{json}");
    }
    assert_eq!(Station::new().list(&[]).status, Status::NotFound);
}

#[test]
fn m03_fr_04_every_root_of_a_type_is_listed_in_order_of_installation() {
    let station = Station::new();
    let roots: Vec<_> = (0..5).map(|number| root(&format!("Root {number}"))).collect();
    for root in &roots {
        station.must_install(Use::CSMSRootCertificate, &root.pem());
    }
    let station = station.restart();
    assert_eq!(station.all().len(), 5);
    let kept = station.store.roots(Use::CSMSRootCertificate);
    assert_eq!(kept, roots.iter().map(|root| root.der().clone()).collect::<Vec<_>>());
}

#[test]
fn m03_the_station_chooses_the_algorithm() {
    let root = root("Root");
    for (algorithm, expected, digits) in [
        (HashAlgorithm::Sha256, HashAlgorithmEnumType::SHA256, 64),
        (HashAlgorithm::Sha384, HashAlgorithmEnumType::SHA384, 96),
        (HashAlgorithm::Sha512, HashAlgorithmEnumType::SHA512, 128),
    ] {
        let station = Station::with(settings().hash_algorithm(algorithm));
        station.must_install(Use::CSMSRootCertificate, &root.pem());
        let (_, hash) = station.all().remove(0);
        assert_eq!(hash.hash_algorithm, expected);
        assert_eq!(hash.issuer_name_hash.len(), digits);
        assert_eq!(hash.issuer_key_hash.len(), digits);
    }
}

/// Trap of TC_M_23: the station's own certificate has no type and must not appear.
#[test]
fn m03_own_certificate_is_not_listed() {
    let station = Station::new();
    let root = root("CSMS");
    station.must_install(Use::CSMSRootCertificate, &root.pem());
    let key = key();
    station.request("own", &key);
    assert!(station.signed(&leaf(&root, &key, leaf_params())).installed.is_some());
    check(&station, &[], &[Listed::CSMSRootCertificate]);
}
