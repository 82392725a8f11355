//! InstallCertificate (M05).

use std::time::Duration;

use base64ct::{Base64, Encoding};
use ocpp_types::v201::InstallCertificateUseEnumType::{
    CSMSRootCertificate, MORootCertificate, ManufacturerRootCertificate, V2GRootCertificate,
};
use ocpp_types::v201::{
    GetCertificateIdUseEnumType, GetInstalledCertificateStatusEnumType, InstallCertificateStatusEnumType,
    InstallCertificateUseEnumType,
};
use rcgen::{BasicConstraints, CustomExtension, IsCa, KeyUsagePurpose, SerialNumber, date_time_ymd};
use station_store::{Certificate, CertificateId, HashAlgorithm, InstallError, RootRefused};

use crate::pki::{
    Station, ca_params, detail, entries, hash_data, key, leaf, leaf_params, now, reason, root, root_of,
    settings, sub_ca,
};

fn check_installed_and_listed(use_: InstallCertificateUseEnumType, listed_as: GetCertificateIdUseEnumType) {
    let station = Station::new();
    let root = root("Root");
    station.must_install(use_, &root.pem());
    let station = station.restart();
    let response = station.list(&[listed_as]);
    assert_eq!(response.status, GetInstalledCertificateStatusEnumType::Accepted);
    let certificate = Certificate::from_pem(&root.pem()).expect("root");
    let hash = hash_data(CertificateId::of_root(&certificate).hash_data(HashAlgorithm::Sha256));
    assert_eq!(entries(&response), [(listed_as, hash)]);
    assert_eq!(station.store.roots(use_), [root.der().clone()], "kept as it was received");
}

#[test]
fn tc_m_01_install_csms_root() {
    check_installed_and_listed(CSMSRootCertificate, GetCertificateIdUseEnumType::CSMSRootCertificate);
}

#[test]
fn tc_m_02_install_manufacturer_root() {
    check_installed_and_listed(
        ManufacturerRootCertificate,
        GetCertificateIdUseEnumType::ManufacturerRootCertificate,
    );
}

#[test]
fn tc_m_03_install_v2g_root() {
    check_installed_and_listed(V2GRootCertificate, GetCertificateIdUseEnumType::V2GRootCertificate);
}

#[test]
fn tc_m_04_install_mo_root() {
    check_installed_and_listed(MORootCertificate, GetCertificateIdUseEnumType::MORootCertificate);
}

/// Refused with `expected` in the explanation, and not listed afterwards.
#[track_caller]
fn check_refused(pem: &str, expected: &str) {
    let station = Station::new();
    let response = station.install(CSMSRootCertificate, pem);
    assert_eq!(response.status, InstallCertificateStatusEnumType::Rejected);
    assert_eq!(reason(&response.status_info), "InvalidCertificate");
    let detail = detail(&response.status_info);
    assert!(detail.contains(expected), "{detail:?} should say {expected:?}");
    assert_eq!(station.list(&[]).status, GetInstalledCertificateStatusEnumType::NotFound);
}

/// Seen elsewhere: an expired CA was installed (libevse-security #11); the log did not show that
/// the clock was wrong (EVerest #1662).
#[test]
fn tc_m_07_expired_root_is_rejected_and_not_listed() {
    let mut params = ca_params("Old");
    params.not_before = date_time_ymd(2028, 1, 1);
    params.not_after = date_time_ymd(2029, 1, 1);
    check_refused(
        &root_of(params).pem(),
        "expired at 2029-01-01T00:00:00Z, and now it is 2030-06-15T00:00:00Z",
    );
}

#[test]
fn m05_fr_07_root_of_the_future_is_rejected() {
    let mut params = ca_params("Early");
    params.not_before = date_time_ymd(2030, 7, 1);
    check_refused(&root_of(params).pem(), "valid only from 2030-07-01T00:00:00Z");
}

/// 300 s of skew and not one second more, at both ends. Seen elsewhere (Hubject's audit,
/// HUB20-42-001): five minutes of skew are expected.
#[test]
fn m05_fr_07_clocks_may_differ_by_the_skew() {
    let accepted = |params| {
        let response = Station::new().install(CSMSRootCertificate, &root_of(params).pem());
        response.status == InstallCertificateStatusEnumType::Accepted
    };
    for (seconds, expected) in [(0, true), (300, true), (301, false)] {
        let skew = Duration::from_secs(seconds);
        let mut params = ca_params("Early");
        params.not_before = date_time_ymd(2030, 6, 15) + skew;
        assert_eq!(accepted(params), expected, "{seconds} s early");
        let mut params = ca_params("Late");
        params.not_after = date_time_ymd(2030, 6, 15) - skew;
        assert_eq!(accepted(params), expected, "{seconds} s late");
    }
}

/// Seen elsewhere: a sub-CA or a leaf that was accepted as a root could be neither listed nor
/// deleted (EVerest #2109), or counted as an anchor (libevse-security #71).
#[test]
fn m05_fr_07_only_roots_are_installed() {
    let root = root("Root");
    check_refused(&sub_ca(&root, "Sub").pem(), "another one issued it");
    check_refused(&leaf(&root, &key(), leaf_params()), "not that of a certification authority");

    let mut params = ca_params("No CA");
    params.is_ca = IsCa::ExplicitNoCa;
    check_refused(&root_of(params).pem(), "not that of a certification authority");
    let mut params = ca_params("No extension");
    params.is_ca = IsCa::NoCa;
    check_refused(&root_of(params).pem(), "not that of a certification authority");
    let mut params = ca_params("Cannot sign");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    check_refused(&root_of(params).pem(), "keyUsage does not allow it to sign certificates");

    let mut params = ca_params("Without keyUsage");
    params.key_usages = Vec::new();
    Station::new().must_install(CSMSRootCertificate, &root_of(params).pem());
    let mut params = ca_params("With a path length");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    Station::new().must_install(CSMSRootCertificate, &root_of(params).pem());
}

#[test]
fn m05_fr_07_self_signed_means_that_the_signature_verifies() {
    let first = root("Twin");
    let second = root("Twin");
    // The second one's name and key with the first one's signature: the same name, but not
    // self-signed.
    let forged = ca_params("Twin").signed_by(second.key(), &first).expect("signed");
    check_refused(&forged.pem(), "did not sign itself: the signature does not verify");
}

#[test]
fn m05_fr_07_what_tls_could_not_use_is_refused() {
    let mut params = ca_params("Critical");
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![0x05, 0x00]);
    extension.set_criticality(true);
    params.custom_extensions = vec![extension];
    check_refused(&root_of(params).pem(), "cannot serve as a trust anchor");
}

/// Seen elsewhere: text lines before the block (MaEVe), spaces instead of line breaks (MicroOcpp
/// #147), a lenient base64 (MaEVe), a private key repeated in a log (libevse-security).
#[test]
fn m05_fr_07_exactly_one_certificate() {
    let (one, two) = (root("One").pem(), root("Two").pem());
    check_refused("", "there is no PEM certificate");
    check_refused("MIIB", "there is no PEM certificate");
    check_refused(&format!("{one}{two}"), "exactly one certificate is expected");
    check_refused(&format!("{one}{one}"), "exactly one certificate is expected");
    let secret = key().serialize_pem();
    check_refused(&format!("{one}{secret}"), "PRIVATE KEY");
    let response = Station::new().install(CSMSRootCertificate, &secret);
    let line = secret.lines().nth(1).expect("base64");
    assert!(!format!("{response:?}").contains(&line[..16]), "no part of a key is repeated");
    check_refused(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "not an X.509 certificate",
    );
    check_refused(&one.replace("-----END", "?\n-----END"), "base64");
    let mut longer = Certificate::from_pem(&one).expect("root").der().to_vec();
    longer.push(0);
    let longer = Base64::encode_string(&longer);
    let longer = format!("-----BEGIN CERTIFICATE-----\n{longer}\n-----END CERTIFICATE-----\n");
    check_refused(&longer, "trailing data");
    let station = Station::new();
    station.must_install(
        CSMSRootCertificate,
        &format!("subject=CN = One\nissuer=CN = One\n{one}\nThank you.\n"),
    );
    station.must_install(CSMSRootCertificate, &two.replace('\n', " "));
}

/// Seen elsewhere (ocpp-go #212): 20 digits instead of 40.
#[test]
fn a00_fr_508_serial_numbers_that_hash_data_cannot_carry_are_refused() {
    let with_serial = |serial: &[u8]| {
        let mut params = ca_params("Serial");
        params.serial_number = Some(SerialNumber::from_slice(serial));
        root_of(params).pem()
    };
    check_refused(&with_serial(&[0x7f; 21]), "more than 20 octets");
    let station = Station::new();
    for serial in [&[0x00][..], &[0x01], &[0x0f, 0xff], &[0xff; 20], &[0x80]] {
        station.must_install(CSMSRootCertificate, &with_serial(serial));
    }
    let serials: Vec<_> = station.all().iter().map(|(_, hash)| hash.serial_number.to_string()).collect();
    assert_eq!(serials, ["0", "1", "fff", &"f".repeat(40), "80"]);
}

/// Seen elsewhere (libevse-security #36, #47): limits in files and megabytes.
#[test]
fn m05_fr_06_more_than_max_limit_is_rejected() {
    let station = Station::with(settings().max_entries(2));
    let (one, two, three) = (root("One").pem(), root("Two").pem(), root("Three").pem());
    station.must_install(CSMSRootCertificate, &one);
    station.must_install(V2GRootCertificate, &two);
    let response = station.install(CSMSRootCertificate, &three);
    assert_eq!(response.status, InstallCertificateStatusEnumType::Rejected);
    assert_eq!(reason(&response.status_info), "OutOfStorage");
    assert_eq!(station.store.entries(), 2);
    // The same certificate again needs no room.
    station.must_install(CSMSRootCertificate, &one);
    // For another use it needs room.
    assert_eq!(
        station.install(ManufacturerRootCertificate, &one).status,
        InstallCertificateStatusEnumType::Rejected
    );
    let (_, hash) = station.all().remove(0);
    station.delete(&hash);
    station.must_install(CSMSRootCertificate, &three);
    assert_eq!(station.restart().store.entries(), 2);
}

#[test]
fn m05_fr_17_the_same_again_replaces() {
    let station = Station::new();
    let (one, two) = (root("One"), root("Two"));
    station.must_install(CSMSRootCertificate, &one.pem());
    station.must_install(CSMSRootCertificate, &two.pem());
    let before = station.all();
    station.must_install(CSMSRootCertificate, &one.pem());
    assert_eq!(station.all(), before, "in its place");

    // Other content with the same name, key and serial number: by its hash data it is the same
    // certificate, and a CSMS could not delete just one of the two. The newer one stays.
    let mut longer = ca_params("One");
    longer.not_after = date_time_ymd(2040, 1, 1);
    longer.serial_number = Certificate::from_pem(&one.pem())
        .ok()
        .map(|known| SerialNumber::from_slice(known.serial_number().octets()));
    let renewed = longer.self_signed(one.key()).expect("root");
    station.must_install(CSMSRootCertificate, &renewed.pem());
    assert_eq!(station.all(), before);
    let station = station.restart();
    assert_eq!(station.store.roots(CSMSRootCertificate), [renewed.der().clone(), two.der().clone()]);
}

/// Seen elsewhere: roots of different uses in one store (libocpp #35), a root for one use only
/// (everest-demo #127).
#[test]
fn m05_the_same_certificate_may_serve_several_uses() {
    let station = Station::new();
    let root = root("Root");
    for use_ in [MORootCertificate, CSMSRootCertificate, V2GRootCertificate, ManufacturerRootCertificate] {
        station.must_install(use_, &root.pem());
    }
    let types: Vec<_> = station.restart().all().into_iter().map(|(type_, _)| type_).collect();
    assert_eq!(
        types,
        [
            GetCertificateIdUseEnumType::CSMSRootCertificate,
            GetCertificateIdUseEnumType::ManufacturerRootCertificate,
            GetCertificateIdUseEnumType::V2GRootCertificate,
            GetCertificateIdUseEnumType::MORootCertificate,
        ]
    );
}

#[test]
fn provisioning_follows_the_same_rules() {
    let station = Station::new();
    let root = root("Factory");
    let hash = station.store.provision_root(CSMSRootCertificate, &root.pem(), now()).expect("provisioned");
    assert_eq!(station.all(), [(GetCertificateIdUseEnumType::CSMSRootCertificate, hash_data(hash))]);
    let error = station.store.provision_root(CSMSRootCertificate, &sub_ca(&root, "Sub").pem(), now());
    assert!(matches!(error, Err(InstallError::Refused { source: RootRefused::NotSelfSigned })), "{error:?}");
    // No schema limits the text of an installer.
    let padded = format!("{}{}", root.pem(), " ".repeat(10_000));
    let error = station.store.provision_root(CSMSRootCertificate, &padded, now());
    assert!(
        matches!(error, Err(InstallError::Refused { source: RootRefused::TooLarge { .. } })),
        "{error:?}"
    );
}
