//! Wrong messages of stations, and the answers to them.

use std::fs;

use serde_json::{Value, json};

use crate::stage::Stage;

/// Sends each frame unchanged and returns the answers. The station continues to work after them.
fn answers(stage: &Stage, frames: &[String]) -> Vec<Value> {
    let files = (0..frames.len()).map(|number| format!("frame-{number}")).collect::<Vec<_>>();
    for (file, frame) in files.iter().zip(frames) {
        fs::write(stage.path(file), frame).expect("writes");
    }
    let mut arguments = vec!["--serial-number", "SN-0001"];
    arguments.extend(files.iter().flat_map(|file| ["--raw", file.as_str()]));
    let report = stage.station_with_password("CS001", &arguments);
    assert_eq!(report.step("heartbeat"), true, "the connection lives on");
    report.all("raw").into_iter().cloned().collect()
}

#[test]
fn frames_that_break_the_rules_get_the_callerror_of_the_rule() {
    let stage = Stage::start();
    let call = |id: &str, payload: Value| json!([2, id, "SignCertificate", payload]).to_string();
    let found = answers(
        &stage,
        &[
            call("raw-1", json!({ "csr": "x".repeat(5501) })),
            call("raw-2", json!({ "csr": "x", "certificateType": "FancyCertificate" })),
            call("raw-3", json!({})),
            call("raw-4", json!({ "csr": 1 })),
            call("raw-5", json!({ "csr": "x", "colour": "red" })),
            call("raw-6", json!({ "csr": "x", "certificateType": null })),
            json!([2, "raw-7", "FlyToTheMoon", {}]).to_string(),
            json!([2, "raw-8", "ClearCache", {}]).to_string(),
            "no JSON at all".to_owned(),
        ],
    );
    let expected = [
        ("raw-1", "PropertyConstraintViolation", "/csr"),
        ("raw-2", "TypeConstraintViolation", "/certificateType"),
        ("raw-3", "OccurrenceConstraintViolation", "csr"),
        ("raw-4", "TypeConstraintViolation", "/csr"),
        ("raw-5", "FormatViolation", "colour"),
        ("raw-6", "TypeConstraintViolation", "/certificateType"),
        ("raw-7", "NotImplemented", ""),
        ("raw-8", "NotSupported", ""),
        ("-1", "RpcFrameworkError", ""),
    ];
    assert_eq!(found.len(), expected.len());
    for (answer, (id, code, named)) in found.iter().zip(expected) {
        assert_eq!((&answer[0], &answer[1], &answer[2]), (&json!(4), &json!(id), &json!(code)), "{answer}");
        let description = answer[3].as_str().expect("a description");
        assert!(description.contains(named) && description.chars().count() <= 255, "{description}");
    }
}

#[test]
fn b01_fr_08_nothing_is_taken_of_a_station_that_was_never_accepted() {
    let stage = Stage::start();
    fs::write(stage.path("early"), json!([2, "raw-1", "Heartbeat", {}]).to_string()).expect("writes");
    let arguments = ["--serial-number", "SN-0001", "--no-boot", "--raw", "early"];
    let report = stage.station_with_password("CS001", &arguments);
    let answer = report.step("raw");
    assert_eq!((&answer[0], &answer[2]), (&json!(4), &json!("SecurityError")), "{answer}");
    // After this it reconnects without BootNotification.
    stage.station_with_password("CS001", &["--serial-number", "SN-0001"]);
    let report = stage.station_with_password("CS001", &arguments);
    assert_eq!(report.step("raw")[0], json!(3));
}

#[test]
fn a02_fr_12_requests_that_cannot_be_certified_are_rejected_with_a_reason() {
    let stage = Stage::start();
    let good = stage.path(stage.request("/O=Test CSO/CN=SN-0001", &[]));
    let pem = fs::read_to_string(&good).expect("reads");
    // A character near the end belongs to the signature.
    let mut broken = pem.clone().into_bytes();
    let place = pem.find("-----END").expect("PEM") - 12;
    broken[place] = if broken[place] == b'A' { b'B' } else { b'A' };
    fs::write(stage.path("broken.pem"), broken).expect("writes");
    fs::write(
        stage.path("garbage.pem"),
        "-----BEGIN CERTIFICATE REQUEST-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE REQUEST-----\n",
    )
    .expect("writes");
    for (name, subject, options) in [
        ("rsa-1024.pem", "/O=Test CSO/CN=SN-0001", &["-newkey", "rsa:1024"][..]),
        ("other-station.pem", "/O=Test CSO/CN=SN-0002", &[]),
        ("other-operator.pem", "/O=Somebody Else/CN=SN-0001", &[]),
        ("no-operator.pem", "/CN=SN-0001", &[]),
    ] {
        let made = stage.path(stage.request(subject, options));
        fs::rename(made, stage.path(name)).expect("renames");
    }
    for (file, told) in [
        ("broken.pem", "signature"),
        ("garbage.pem", ""),
        ("rsa-1024.pem", "1024"),
        ("other-station.pem", "SN-0002"),
        ("other-operator.pem", "Somebody Else"),
        ("no-operator.pem", "no O"),
    ] {
        let report = stage.station_with_password("CS001", &["--serial-number", "SN-0001", "--csr", file]);
        let answer = report.step("sign certificate");
        assert_eq!(
            (&answer["status"], &answer["reason"]),
            (&json!("Rejected"), &json!("InvalidCSR")),
            "{file}: {answer}"
        );
        let info = answer["info"].as_str().expect("a reason");
        assert!(info.contains(told), "{file}: {info}");
    }
    assert_eq!(stage.certificates(), Vec::<Value>::new());
}
