//! The renewal of the station's certificate (A02): TC_A_11, TC_A_14, TC_A_15, TC_A_23; and TC_F_27.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    python::{Frame, Sender},
    reusable::{booted, csr, listed, renewed, set, signed},
    stage::Stage,
};

#[test]
fn tc_a_11_renew_the_station_certificate() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let mut fingerprints = Vec::new();
    let mut serials: Vec<Value> = Vec::new();
    // From the password to the first certificate, and from the first certificate to the next.
    for round in 0..2 {
        let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
        // A02.FR.13
        assert_eq!(request["certificateType"], "ChargingStationCertificate");
        let text = request["csr"].as_str().expect("PEM");
        assert!(text.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"), "{text}");
        let issued = csms.issue(&stage, json!({ "csr": text, "issuer": "ca" }));
        let asked = &issued["csr"];
        assert_eq!(asked["valid"], true, "it is signed by its own key");
        // A00.FR.511, A00.FR.509
        assert_eq!(asked["subject"]["CN"], json!(["SN-0001"]));
        assert_eq!(asked["subject"]["O"], json!(["Test CSO"]));
        // A00.FR.501 to 503
        assert!(asked["elliptic"] == true && asked["bits"].as_u64() >= Some(224), "{asked}");
        fingerprints.push(asked["fingerprint"].clone());
        let answer = signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
        assert_eq!(answer["status"], "Accepted", "{answer}");
        // A02.FR.08: by itself, without a reset, and without a new boot if the profile stays.
        let connection = csms.wait_for(&stage, "connection");
        assert_eq!(connection["profile"], 3);
        assert_eq!((&connection["serial"], &connection["cn"]), (&issued["serial"], &json!("SN-0001")));
        serials.push(issued["serial"].clone());
        // The answer was sent before the connection ended.
        let frames = csms.frames(&stage);
        assert_answered_before_the_end(&frames, round + 1);
    }
    // A02.FR.02: a new key each time.
    assert_ne!(fingerprints[0], fingerprints[1]);
    // A02.FR.10: the former of the two certificates is gone.
    csms.tell(&stage, json!({ "close": true }), "closed");
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], serials[1]);
    stage.wait_until("one certificate, in use", || {
        let inventory = stage.inventory();
        inventory.own.len() == 1 && inventory.own[0].in_use && inventory.pending.is_empty()
    });
    station.terminate();
}

/// Checks that the CertificateSigned on this connection was answered on it.
#[track_caller]
fn assert_answered_before_the_end(frames: &[Frame], connection: u64) {
    let on_it = |frame: &&Frame| frame.connection == connection;
    let call = frames.iter().filter(on_it).find(|frame| frame.is_call(Sender::Csms, "CertificateSigned"));
    let call = call.expect("was sent");
    let answer = frames.iter().find(|frame| frame.answers(call)).expect("was answered");
    assert_eq!(answer.message[2]["status"], "Accepted");
    let next = frames.iter().find(|frame| frame.connection == connection + 1).expect("came again");
    assert!(answer.at < next.at);
}

#[test]
fn tc_a_14_an_invalid_certificate_is_rejected_and_reported() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let subject = json!({ "O": "Test CSO", "CN": "SN-0001" });
    csms.issue(
        &stage,
        json!({ "file": "sub", "issuer": "manufacturer", "ca": true,
        "subject": { "O": "Test CSO", "CN": "Test Root" } }),
    );
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    let csr = &request["csr"];
    for (kind, wanted) in [
        ("another hierarchy", json!({ "csr": csr, "issuer": "manufacturer" })),
        ("an authority of the right name", json!({ "csr": csr, "issuer": "sub", "chain": ["sub"] })),
        ("expired", json!({ "csr": csr, "issuer": "ca", "from": -7200, "to": -3600 })),
        // Errata: a certificate that is valid only in the future is invalid.
        ("future", json!({ "csr": csr, "issuer": "ca", "from": 3600, "to": 7200 })),
        (
            "another station",
            json!({ "csr": csr, "issuer": "ca", "subject": { "O": "Test CSO", "CN": "SN-0002" } }),
        ),
        (
            "the station among others",
            json!({ "csr": csr, "issuer": "ca", "subject": { "O": "Test CSO", "CN": "SN-00011" } }),
        ),
        (
            "another operator",
            json!({ "csr": csr, "issuer": "ca", "subject": { "O": "Other CSO", "CN": "SN-0001" } }),
        ),
        ("without an operator", json!({ "csr": csr, "issuer": "ca", "subject": { "CN": "SN-0001" } })),
        ("another key", json!({ "issuer": "ca", "subject": subject })),
        ("a key that may not sign", json!({ "csr": csr, "issuer": "ca", "keyUsage": "agreement" })),
        ("an authority", json!({ "csr": csr, "issuer": "ca", "ca": true })),
        ("with its root", json!({ "csr": csr, "issuer": "ca", "chain": ["ca"] })),
        ("signed by itself", json!({ "subject": subject })),
    ] {
        let issued = csms.issue(&stage, wanted);
        let answer = signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
        assert_eq!(answer["status"], "Rejected", "{kind}: {answer}");
        assert_eq!(answer["statusInfo"]["reasonCode"], "InvalidCertificate", "{kind}");
        // A02.FR.07
        let event = csms
            .wait_until(&stage, "SecurityEventNotification", |event| event["type"] != "StartupOfTheDevice");
        assert_eq!(event["type"], "InvalidChargingStationCertificate", "{kind}");
    }
    // The station keeps its password, and still accepts the right certificate.
    csms.tell(&stage, json!({ "close": true }), "closed");
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 2);
    let issued = csms.issue(&stage, json!({ "csr": csr, "issuer": "ca" }));
    let answer = signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
    station.terminate();
}

#[test]
fn tc_a_15_a_rejected_request_changes_nothing() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let serial = renewed(&stage, &mut csms);
    csms.behave_once(&stage, "SignCertificate", json!({ "payload": { "status": "Rejected" } }));
    let rejected = csr(&stage, &mut csms, "SignChargingStationCertificate");
    // The station continues to serve, on the same connection, and keeps its certificate.
    let heartbeat = json!({ "requestedMessage": "Heartbeat" });
    assert_eq!(csms.call(&stage, "TriggerMessage", heartbeat)["status"], "Accepted");
    csms.wait_for(&stage, "Heartbeat");
    assert_eq!(csms.count("connection"), 0);
    csms.tell(&stage, json!({ "close": true }), "closed");
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], serial);
    // A new trigger begins a new series, and the rejected request is not sent again.
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    assert_ne!(request["csr"], rejected["csr"]);
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
    let answer = signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
    let frames = csms.frames(&stage);
    assert_eq!(frames.iter().filter(|frame| frame.is_call(Sender::Station, "SignCertificate")).count(), 3);
    station.terminate();
}

/// open-ocpp #43: a renewed certificate that did not connect, and no fallback.
#[test]
fn a02_fr_28_a02_fr_29_a_renewed_certificate_that_is_refused_is_discarded_and_reported() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let old = renewed(&stage, &mut csms);
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
    csms.tell(&stage, json!({ "refuse": [issued["serial"]] }), "refuse");
    assert_eq!(signed(&stage, &mut csms, &issued, "ChargingStationCertificate")["status"], "Accepted");
    assert_eq!(csms.wait_for(&stage, "certificate refused"), issued["serial"]);
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], old);
    let event =
        csms.wait_until(&stage, "SecurityEventNotification", |event| event["type"] != "StartupOfTheDevice");
    assert_eq!(event["type"], "DiscardedRenewedClientCertificate");
    // A02.FR.10: the certificate and its key are gone.
    stage.wait_until("one key", || stage.keys() == 1);
    csms.tell(&stage, json!({ "refuse": [] }), "refuse");
    csms.tell(&stage, json!({ "close": true }), "closed");
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], old);
    station.terminate();
}

#[test]
fn tc_a_23_the_request_is_sent_again_after_one_wait_and_twice_that_wait() {
    const WAIT: Duration = Duration::from_secs(1);
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    set(&stage, &mut csms, "SecurityCtrlr", "CertSigningWaitMinimum", "1");
    set(&stage, &mut csms, "SecurityCtrlr", "CertSigningRepeatTimes", "1");
    let mut requests = vec![csr(&stage, &mut csms, "SignChargingStationCertificate")];
    // A02.FR.17 to .19: one doubling makes two more sends.
    for _ in 0..2 {
        requests.push(csms.wait_for(&stage, "SignCertificate"));
    }
    stage.wait_for_log("no certificate came for a request that was accepted");
    let frames = csms.frames(&stage);
    let sends: Vec<&Frame> =
        frames.iter().filter(|frame| frame.is_call(Sender::Station, "SignCertificate")).collect();
    assert_eq!(sends.len(), 3);
    assert!(requests.iter().all(|request| *request == requests[0]), "{requests:?}");
    for (pair, wait) in sends.windows(2).zip([WAIT, 2 * WAIT]) {
        let accepted = frames.iter().find(|frame| frame.answers(pair[0])).expect("was answered");
        let waited = pair[1].at - accepted.at;
        // Never early, with a tolerance: the clocks of the two processes may run at different
        // speeds.
        assert!(waited + Duration::from_millis(10) >= wait, "{waited:?} instead of {wait:?}");
    }
    // Errata: a certificate for each of them; the station accepts at least one.
    let mut accepted = Vec::new();
    for request in requests {
        let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
        let answer = signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
        if answer["status"] == "Accepted" {
            accepted.push(issued["serial"].clone());
            assert_eq!(csms.wait_for(&stage, "connection")["profile"], 3);
        }
    }
    // This station accepts the first one, which is harder: every send carried the same request.
    assert!(!accepted.is_empty());
    // It is the last request: nothing is sent any more.
    assert_eq!(csms.count("SignCertificate"), 0);
    station.terminate();
    assert!(stage.inventory().pending.is_empty());
}

/// libocpp #1032: thirty days before the end, whatever the validity; short-lived certificates were
/// requested without end.
#[test]
fn lesson_48_a03_fr_02_a_certificate_is_renewed_before_its_end_and_not_in_a_loop() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    // A life of 400 s, whose last third has nearly begun on arrival.
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    let wanted = json!({ "csr": request["csr"], "issuer": "ca", "from": -300, "to": 100 });
    let issued = csms.issue(&stage, wanted);
    assert_eq!(signed(&stage, &mut csms, &issued, "ChargingStationCertificate")["status"], "Accepted");
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
    csms.wait_for(&stage, "BootNotification");
    listed(&stage, &mut csms, &[]);
    assert_eq!(
        csms.count("SignCertificate"),
        0,
        "a certificate that is due as it comes is not renewed at once"
    );
    // A station that starts with it asks once by itself.
    station.terminate();
    let station = stage.station();
    let request = csms.wait_for(&stage, "SignCertificate");
    assert_eq!(request["certificateType"], "ChargingStationCertificate");
    let connection = csms.wait_for(&stage, "connection");
    assert_eq!(connection["serial"], issued["serial"]);
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
    assert_eq!(signed(&stage, &mut csms, &issued, "ChargingStationCertificate")["status"], "Accepted");
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
    listed(&stage, &mut csms, &[]);
    assert_eq!(csms.count("SignCertificate"), 0);
    station.terminate();
}

#[test]
fn tc_f_27_a_trigger_that_is_not_implemented() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    // F06.FR.08. A station without vehicles supports neither the combined certificate nor the other
    // messages.
    for message in ["SignCombinedCertificate", "TransactionEvent", "PublishFirmwareStatusNotification"] {
        let answer = csms.call(&stage, "TriggerMessage", json!({ "requestedMessage": message }));
        assert_eq!(answer["status"], "NotImplemented", "{message}");
    }
    station.terminate();
}
