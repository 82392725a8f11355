//! The way to the first certificate, and its faults.

use serde_json::json;

use crate::{
    reusable::{booted, csr, signed},
    stage::Stage,
};

#[test]
fn a_station_killed_right_after_it_answered_certificate_signed_comes_back_with_the_certificate() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
    let answer = signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    station.kill();
    let own = stage.inventory().own;
    assert_eq!(own.len(), 1, "{own:?}");
    let serial_number = own[0].certificate.serial_number.expect("readable");
    assert_eq!(serial_number.to_string(), issued["serial"].as_str().expect("text"));
    // The station may have reconnected already when it was killed.
    csms.tell(&stage, json!({ "close": true }), "closed");
    let station = stage.station();
    csms.wait_until(&stage, "BootNotification", |boot| boot["reason"] == "PowerUp");
    let connection = csms.wait_until(&stage, "connection", |connection| connection["profile"] == 3);
    assert_eq!((&connection["serial"], &connection["cn"]), (&issued["serial"], &json!("SN-0001")));
    station.terminate();
}

#[test]
fn a02_fr_28_a_first_certificate_that_is_refused_does_not_strand_the_station() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    csms.tell(&stage, json!({ "refuse": "all" }), "refuse");
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
    assert_eq!(signed(&stage, &mut csms, &issued, "ChargingStationCertificate")["status"], "Accepted");
    assert_eq!(csms.wait_for(&stage, "certificate refused"), issued["serial"]);
    // B10.FR.07: the station uses the profile that worked, until the new one works.
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 2);
    station.terminate();
}

#[test]
fn tc_b_30_a_station_whose_boot_was_rejected_serves_nobody() {
    let stage = Stage::prepare();
    let mut csms = stage.operator();
    stage.configure(csms.port);
    let rejected = json!({ "currentTime": "2026-01-01T00:00:00Z", "interval": 5, "status": "Rejected" });
    csms.behave_once(&stage, "BootNotification", json!({ "payload": rejected }));
    let station = stage.station();
    csms.wait_for(&stage, "BootNotification");
    // The step is reported before the answer is sent; until the answer arrives, nothing is
    // rejected.
    stage.wait_for_log("does not accept the station yet");
    let trigger = json!({ "requestedMessage": "Heartbeat" });
    let command = json!({ "action": "TriggerMessage", "payload": trigger });
    let answer = csms.tell(&stage, command, "answer");
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("SecurityError")), "{answer}");
    // The station boots again after the interval, and then serves the CSMS.
    csms.wait_for(&stage, "BootNotification");
    assert_eq!(csms.call(&stage, "TriggerMessage", trigger)["status"], "Accepted");
    csms.wait_for(&stage, "Heartbeat");
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
