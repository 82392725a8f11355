//! The way to a certificate and what follows, driven by Python's `ocpp`.

use serde_json::json;

use crate::stage::{Stage, Validity};

#[test]
fn tc_a_11_python_triggers_signs_and_manages_certificates() {
    let stage = Stage::prepare();
    stage.openssl(&[
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "wrong.key",
        "-out",
        "wrong.csr",
        "-subj",
        "/O=Test CSO/CN=SN-0001",
    ]);
    let mut csms = stage.csms("server", &["--send-wrong-certificate-first", "--wrong-csr", "wrong.csr"]);
    stage.configure(csms.port);
    let station = stage.station();

    let connected = csms.wait_for(&stage, "connected");
    assert_eq!(connected, json!({ "profile": 2, "identity": "CS001", "credentials": true }));
    assert_eq!(csms.wait_for(&stage, "boot")["serialNumber"], "SN-0001");
    assert_eq!(csms.wait_for(&stage, "trigger"), "Accepted");
    // A02.FR.07: a certificate for a key that the station does not hold.
    let wrong = csms.wait_for(&stage, "wrong certificate");
    assert_eq!(wrong, json!({ "status": "Rejected", "reason": "InvalidCertificate" }));
    let signed = csms.wait_for(&stage, "certificate signed");
    assert_eq!(signed, json!({ "type": "ChargingStationCertificate", "status": "Accepted" }));

    // A02.FR.08: it comes back by itself, with the certificate and without the password.
    let connected = csms.wait_for(&stage, "connected");
    assert_eq!(connected, json!({ "profile": 3, "identity": "CS001", "cn": "SN-0001" }));
    // TC_M_19
    let nothing = csms.wait_for(&stage, "nothing of a type");
    assert_eq!(nothing, json!({ "status": "NotFound", "chain": null }));
    // TC_M_02
    assert_eq!(csms.wait_for(&stage, "install"), "Accepted");
    // TC_M_18, TC_M_23: both roots, and not the station's own certificate.
    let listed = csms.wait_for(&stage, "list");
    let types =
        listed.as_array().expect("a list").iter().map(|entry| &entry["certificate_type"]).collect::<Vec<_>>();
    assert_eq!(types, ["CSMSRootCertificate", "ManufacturerRootCertificate"]);
    // TC_M_20, TC_M_22
    assert_eq!(csms.wait_for(&stage, "delete"), "Accepted");
    assert_eq!(csms.wait_for(&stage, "delete again"), "NotFound");

    for (step, code, named) in [
        (
            "serial number of 41 characters",
            "PropertyConstraintViolation",
            "/certificateHashData/serialNumber",
        ),
        ("unknown type", "TypeConstraintViolation", "/certificateType"),
        ("unknown action", "NotImplemented", ""),
        ("not offered", "NotSupported", ""),
        ("not JSON", "RpcFrameworkError", ""),
    ] {
        let answer = csms.wait_for(&stage, step);
        assert_eq!((&answer[0], &answer[2]), (&json!(4), &json!(code)), "{step}: {answer}");
        assert!(answer[3].as_str().is_some_and(|text| text.contains(named)), "{step}: {answer}");
    }
    // TC_F_27
    assert_eq!(csms.wait_for(&stage, "trigger combined"), "NotImplemented");
    csms.wait_for(&stage, "finished");

    station.terminate();
    let inventory = stage.inventory();
    assert!(inventory.own.iter().all(|own| own.in_use) && inventory.own.len() == 1, "{inventory:?}");
    assert!(inventory.pending.is_empty(), "{inventory:?}");
}

#[test]
fn a_station_killed_right_after_it_answered_certificate_signed_comes_back_with_the_certificate() {
    let stage = Stage::prepare();
    let mut csms = stage.csms("server", &["--trigger-only"]);
    stage.configure(csms.port);
    let station = stage.station();
    assert_eq!(csms.wait_for(&stage, "certificate signed")["status"], "Accepted");
    station.kill();

    assert_eq!(stage.inventory().own.len(), 1);
    // A CSMS of its own, so that what it reports is the second run's.
    csms.kill();
    let mut csms = stage.csms("server", &["--trigger-only"]);
    stage.configure(csms.port);
    let station = stage.station();
    let connected = csms.wait_for(&stage, "connected");
    assert_eq!(connected, json!({ "profile": 3, "identity": "CS001", "cn": "SN-0001" }));
    station.terminate();
}

#[test]
fn a02_fr_07_the_security_event_of_a_refused_certificate_is_reported() {
    let stage = Stage::prepare();
    stage.server_certificate("foreign", "manufacturer", "/O=Test CSO/CN=SN-0001", Validity::Now);
    let mut csms = stage
        .csms("server", &["--send-wrong-certificate-first", "--wrong-csr", "foreign.csr", "--trigger-only"]);
    stage.configure(csms.port);
    let station = stage.station();
    assert_eq!(csms.wait_for(&stage, "wrong certificate")["status"], "Rejected");
    assert_eq!(csms.wait_for(&stage, "security event"), "StartupOfTheDevice");
    assert_eq!(csms.wait_for(&stage, "security event"), "InvalidChargingStationCertificate");
    station.terminate();
}

#[test]
fn a02_fr_28_a_first_certificate_that_is_refused_does_not_strand_the_station() {
    let stage = Stage::prepare();
    let mut csms = stage.csms("server", &["--refuse-certificate", "--trigger-only"]);
    stage.configure(csms.port);
    let station = stage.station();
    assert_eq!(csms.wait_for(&stage, "connected")["profile"], 2);
    assert_eq!(csms.wait_for(&stage, "certificate signed")["status"], "Accepted");
    csms.wait_for(&stage, "certificate refused");
    // B10.FR.07: the profile that worked, until the new one does.
    assert_eq!(csms.wait_for(&stage, "connected")["profile"], 2);
    station.terminate();
}

#[test]
fn tc_b_30_a_station_whose_boot_was_rejected_serves_nobody() {
    let stage = Stage::prepare();
    let mut csms = stage.csms("server", &["--reject-first-boot", "--trigger-only"]);
    stage.configure(csms.port);
    let station = stage.station();
    let answer = csms.wait_for(&stage, "trigger before acceptance");
    assert_eq!((&answer[0], &answer[2]), (&json!(4), &json!("SecurityError")), "{answer}");
    // It boots again after the interval, and serves then.
    assert_eq!(csms.wait_for(&stage, "trigger"), "Accepted");
    station.terminate();
}

#[test]
fn hash_data_of_files_equal_what_openssl_computes() {
    let stage = Stage::prepare();
    for (certificate, issuer) in [("ca.pem", "ca.pem"), ("server.pem", "ca.pem")] {
        for (algorithm, option) in [("SHA256", "-sha256"), ("SHA384", "-sha384"), ("SHA512", "-sha512")] {
            let arguments = ["hash-data", certificate, "--issuer", issuer, "--algorithm", algorithm];
            let output = stage.command(&arguments).output().expect("starts");
            let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            // OpenSSL breaks long lines.
            let text = stage
                .openssl(&["ocsp", option, "-issuer", issuer, "-cert", certificate, "-req_text"])
                .to_lowercase()
                .replace("\\\n", "");
            for member in ["issuerNameHash", "issuerKeyHash", "serialNumber"] {
                let value = found[member].as_str().expect("text");
                assert!(text.contains(value), "{member} {value} is not in {text}");
            }
            assert_eq!(found["hashAlgorithm"], algorithm);
        }
    }
}
