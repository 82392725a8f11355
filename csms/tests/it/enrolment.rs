//! SignCertificate and CertificateSigned, verified with Python's `ocpp` and OpenSSL.

use serde_json::json;

use crate::stage::Stage;

const SUBJECT: &str = "/O=Test CSO/CN=SN-0001";

#[test]
fn tc_a_11_a_request_by_openssl_is_certified_and_opens_profile_3() {
    let stage = Stage::start();
    let csr = stage.request(SUBJECT, &[]);
    let report = stage.station_with_password(
        "CS001",
        &["--serial-number", "SN-0001", "--csr", csr, "--chain-out", "chain.pem"],
    );
    assert_eq!(report.step("connected"), "ocpp2.0.1");
    assert_eq!(report.step("boot")["status"], "Accepted");
    assert_eq!(report.step("sign certificate")["status"], "Accepted");
    // A02.FR.14: CertificateSigned repeats the type.
    assert_eq!(report.step("certificate signed")["type"], "ChargingStationCertificate");
    report.step("finished");

    stage.openssl(&["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "root.pem", "chain.pem"]);
    let text = stage.openssl(&["x509", "-in", "chain.pem", "-noout", "-text", "-nameopt", "RFC2253"]);
    assert!(text.contains("Subject: CN=SN-0001,O=Test CSO"), "{text}");
    // A00.FR.514, A00.FR.511: no extendedKeyUsage, no dNSName.
    assert!(!text.contains("Extended Key Usage") && !text.contains("DNS:"), "{text}");
    assert_eq!(stage.certificates()[0]["state"], "Accepted");

    // The certificate opens the connection. Its key was made by OpenSSL.
    let report = stage.station(
        "CS001",
        &["--serial-number", "SN-0001", "--client-chain", "chain.pem", "--client-key", "key.pem"],
    );
    assert_eq!(report.step("boot")["status"], "Accepted");
    report.step("finished");

    // A05.FR.07: the password alone is no longer accepted.
    let report = stage.station_with_password("CS001", &["--serial-number", "SN-0001"]);
    assert_eq!(report.step("refused"), 403);
    assert!(stage.command(&["release", "CS001"]).status().expect("starts").success());
    let report = stage.station_with_password("CS001", &["--serial-number", "SN-0001"]);
    assert_eq!(report.step("boot")["status"], "Accepted");
}

#[test]
fn tc_a_14_a_certificate_that_the_station_rejects_is_final_and_visible() {
    let stage = Stage::start();
    let csr = stage.request(SUBJECT, &[]);
    let report = stage.station_with_password(
        "CS001",
        &["--csr", csr, "--verdict", "Rejected", "--serial-number", "SN-0001"],
    );
    report.step("finished");
    assert_eq!(stage.certificates()[0]["state"], "Rejected");
}

#[test]
fn what_was_issued_before_a_crash_is_delivered_after_it() {
    let mut stage = Stage::start();
    let csr = stage.request(SUBJECT, &[]);
    // The station closes the connection as soon as its request is accepted. CertificateSigned has
    // no answer.
    let report = stage.station_with_password(
        "CS001",
        &["--csr", csr, "--serial-number", "SN-0001", "--hang-up-after-sign"],
    );
    assert_eq!(report.step("sign certificate")["status"], "Accepted");
    stage.kill();
    stage.launch();
    assert_eq!(stage.certificates()[0]["state"], "Issued");

    let arguments = ["--serial-number", "SN-0001", "--await-certificate", "--chain-out", "chain.pem"];
    let report = stage.station_with_password("CS001", &arguments);
    assert_eq!(report.step("certificate signed")["type"], "ChargingStationCertificate");
    stage.openssl(&["verify", "-x509_strict", "-CAfile", "root.pem", "chain.pem"]);
    assert_eq!(stage.certificates().len(), 1);
    assert_eq!(stage.certificates()[0]["state"], "Accepted");
}

#[test]
fn a_key_that_was_certified_for_one_station_is_refused_to_another() {
    let stage = Stage::start();
    let csr = stage.request(SUBJECT, &[]);
    stage.station_with_password("CS001", &["--csr", csr, "--serial-number", "SN-0001"]).step("finished");
    stage.openssl(&[
        "req",
        "-new",
        "-key",
        "key.pem",
        "-out",
        "other.pem",
        "-subj",
        "/O=Test CSO/CN=SN-0002",
    ]);
    let report = stage.station_with_password("CS002", &["--csr", "other.pem", "--serial-number", "SN-0002"]);
    let answer = report.step("sign certificate");
    assert_eq!(
        (&answer["status"], &answer["reason"]),
        (&json!("Rejected"), &json!("InvalidCSR")),
        "{answer}"
    );
    let info = answer["info"].as_str().expect("a reason");
    assert!(info.contains("the key belongs to another station"), "{info}");
}
