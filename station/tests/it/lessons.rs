//! Mistakes of other stacks that no other file here tests. The whole list is in `main.rs`.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use serde_json::{Value, json};

use crate::{
    python::{PythonCsms, Sender},
    reusable::{booted, csr, holds, install, listed, renewed, root_hash, set, signed},
    stage::{PASSWORD, Stage, Validity},
};

/// libocpp #305, #380: TLS presented the leaf without its sub-CAs.
#[test]
fn lesson_18_the_station_presents_its_sub_cas_too() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    for (file, issuer) in [("sub1", "ca"), ("sub2", "sub1")] {
        let subject = json!({ "O": "Test CSO", "CN": file });
        csms.issue(&stage, json!({ "file": file, "issuer": issuer, "subject": subject, "ca": true }));
    }
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    let wanted = json!({ "csr": request["csr"], "issuer": "sub2", "chain": ["sub2", "sub1"] });
    let issued = csms.issue(&stage, wanted);
    let answer = signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    // The CSMS has the root and no sub-CA.
    let connection = csms.wait_for(&stage, "connection");
    assert_eq!((&connection["profile"], &connection["serial"]), (&json!(3), &issued["serial"]));
    station.terminate();
}

/// EVerest #2109: sub-CAs and leaves were accepted as roots. They could not be listed, and so could
/// never be deleted.
#[test]
fn lesson_19_what_is_no_root_is_rejected_and_what_is_accepted_is_listed_and_deletable() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let subject = json!({ "O": "Test CSO", "CN": "sub" });
    csms.issue(&stage, json!({ "file": "sub", "issuer": "ca", "subject": subject, "ca": true }));
    for name in ["sub", "server"] {
        let answer = install(&stage, &mut csms, "ManufacturerRootCertificate", name);
        assert_eq!(answer["status"], "Rejected", "{name}: {answer}");
    }
    assert_eq!(listed(&stage, &mut csms, &[]).len(), 1);
    for use_ in ["ManufacturerRootCertificate", "V2GRootCertificate", "MORootCertificate"] {
        assert_eq!(install(&stage, &mut csms, use_, "manufacturer")["status"], "Accepted");
    }
    // Spelt differently from the list, and with another algorithm (EVerest #2027, HUB-283-004;
    // MicroOcpp).
    let mut hash = csms.hash_data(&stage, "manufacturer", "manufacturer", "SHA384");
    for member in ["issuerNameHash", "issuerKeyHash", "serialNumber"] {
        hash[member] = json!(hash[member].as_str().expect("text").to_uppercase());
    }
    hash["serialNumber"] = json!(format!("{:0>40}", hash["serialNumber"].as_str().expect("text")));
    let answer = csms.call(&stage, "DeleteCertificate", json!({ "certificateHashData": hash }));
    assert_eq!(answer["status"], "Accepted", "{answer}");
    assert_eq!(listed(&stage, &mut csms, &[]).len(), 1);
    station.terminate();
}

/// libocpp #35: the roots of all uses were in one store, and the root of a manufacturer proved a
/// CSMS.
#[test]
fn lesson_23_a_csms_is_believed_by_csms_roots_only() {
    let stage = Stage::prepare();
    stage.server_certificate("bad", "manufacturer", "/O=Test CSO/CN=localhost", Validity::Now);
    let (mut csms, station) = booted(&stage);
    for use_ in ["ManufacturerRootCertificate", "V2GRootCertificate", "MORootCertificate"] {
        assert_eq!(install(&stage, &mut csms, use_, "manufacturer")["status"], "Accepted");
    }
    let port = csms.port;
    csms.present(&stage, port, "bad");
    csms.tell(&stage, json!({ "close": true }), "closed");
    stage.wait_for_log("InvalidCsmsCertificate");
    assert_eq!(csms.count("connection"), 0);
    // The same certificate may serve several uses (everest-demo #127).
    csms.present(&stage, port, "server");
    csms.wait_for(&stage, "connection");
    assert_eq!(install(&stage, &mut csms, "CSMSRootCertificate", "manufacturer")["status"], "Accepted");
    csms.present(&stage, port, "bad");
    csms.tell(&stage, json!({ "close": true }), "closed");
    csms.wait_for(&stage, "connection");
    let hash = root_hash(&stage, &mut csms, "manufacturer");
    let list = listed(&stage, &mut csms, &[]);
    assert!(holds(&list, "CSMSRootCertificate", &hash) && holds(&list, "MORootCertificate", &hash));
    station.terminate();
}

/// MaEVe: text around the blocks; MicroOcpp #147: line breaks that were lost on the way.
#[test]
fn lesson_25_61_pem_as_others_write_it() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let pem = fs::read_to_string(stage.path("manufacturer.pem")).expect("reads");
    let around = format!("subject=/O=Test\nissuer=/O=Test\n\n{pem}\n");
    for text in [around, pem.replace('\n', "\r\n"), pem.replace('\n', " "), pem.trim_end().to_owned()] {
        let payload = json!({ "certificateType": "ManufacturerRootCertificate", "certificate": text });
        let answer = csms.call(&stage, "InstallCertificate", payload);
        assert_eq!(answer["status"], "Accepted", "{answer}: {text}");
    }
    assert_eq!(listed(&stage, &mut csms, &["ManufacturerRootCertificate"]).len(), 1);
    station.terminate();
}

/// libevse-security #65: the cleanup destroyed the keys of certificates in use.
#[test]
fn lesson_31_the_token_holds_the_key_in_use_and_no_other() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    for _ in 0..3 {
        renewed(&stage, &mut csms);
    }
    stage.wait_until("one key", || stage.keys() == 1);
    // The cleanup at a start does not destroy the key either: it still signs.
    station.terminate();
    let station = stage.station();
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 3);
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    station.kill();
    // One key is in use, and one waits for its certificate.
    assert_eq!(stage.keys(), 2);
    let station = stage.station();
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 3);
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
    let answer = signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
    stage.wait_until("one key", || stage.keys() == 1);
    station.terminate();
}

/// EVerest #2479: a trigger was accepted, and nothing was ever sent.
#[test]
fn lesson_33_a_trigger_that_was_accepted_leads_to_a_request() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    // The connection ends when the trigger has been answered, and a request that was sent on it
    // gets no answer.
    csms.behave(&stage, "SignCertificate", json!("silent"));
    let trigger = json!({ "requestedMessage": "SignChargingStationCertificate" });
    assert_eq!(csms.call(&stage, "TriggerMessage", trigger.clone())["status"], "Accepted");
    csms.tell(&stage, json!({ "close": true }), "closed");
    csms.wait_for(&stage, "connection");
    request_on(&stage, &mut csms, 2);
    // The station is killed when the trigger has been answered.
    assert_eq!(csms.call(&stage, "TriggerMessage", trigger)["status"], "Accepted");
    station.kill();
    csms.behave(&stage, "SignCertificate", Value::Null);
    let station = stage.station();
    csms.wait_for(&stage, "connection");
    request_on(&stage, &mut csms, 3);
    station.terminate();
}

/// Waits for a SignCertificate on a connection.
#[track_caller]
fn request_on(stage: &Stage, csms: &mut PythonCsms, connection: u64) {
    loop {
        csms.wait_for(stage, "SignCertificate");
        let frames = csms.frames(stage);
        let mut on_it = frames.iter().filter(|frame| frame.connection == connection);
        if on_it.any(|frame| frame.is_call(Sender::Station, "SignCertificate")) {
            return;
        }
    }
}

/// MaEVe 4d6ec70, 17576e5 and open-ocpp #269: labels and versions of requests; libevse-security
/// #106: requests that asked for keyAgreement.
#[test]
fn lesson_35_36_the_request_is_as_plain_as_can_be() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    let text = request["csr"].as_str().expect("PEM");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.first(), Some(&"-----BEGIN CERTIFICATE REQUEST-----"));
    assert_eq!(lines.last(), Some(&"-----END CERTIFICATE REQUEST-----"));
    assert!(lines.iter().all(|line| line.len() <= 64), "RFC 7468");
    fs::write(stage.path("request.pem"), text).expect("writes");
    let told = stage.openssl(&["req", "-in", "request.pem", "-noout", "-text", "-verify"]);
    assert!(told.contains("Version: 1 (0x0)"), "{told}");
    // Hubject requires a critical keyUsage (EVerest #2096).
    assert!(told.contains("X509v3 Key Usage: critical") && told.contains("Digital Signature"), "{told}");
    assert!(!told.contains("Key Agreement") && !told.contains("Alternative Name"), "{told}");
    // SteVe #2093: RSA-PSS, which the certification tool did not accept.
    assert!(told.contains("ecdsa-with-SHA256"), "{told}");
    station.terminate();
}

/// SAP's simulator: the socket was closed before the answer was flushed. tfocpp: a pause of three
/// seconds instead. SteVe, Citrine: a pause in the CSMS, so that the certificate did not overtake
/// the answer to its request.
#[test]
fn lesson_42_78_a_certificate_that_comes_at_once_is_answered_before_the_station_reconnects() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    // The certificate follows directly after the answer to SignCertificate.
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
    let payload =
        json!({ "certificateChain": issued["pem"], "certificateType": "ChargingStationCertificate" });
    // Another call follows while the station is about to reconnect. It may be answered or not, and
    // has no other effect.
    for frame in [
        json!([2, "signed", "CertificateSigned", payload]),
        json!([2, "list", "GetInstalledCertificateIds", {}]),
    ] {
        csms.tell(&stage, json!({ "send": frame.to_string() }), "sent");
    }
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
    csms.wait_for(&stage, "disconnected");
    let frames = csms.frames(&stage);
    let on_first = || frames.iter().filter(|frame| frame.connection == 1);
    let answer = on_first().find(|frame| frame.from == Sender::Station && frame.message[1] == "signed");
    let answer = answer.expect("is answered");
    assert_eq!((&answer.message[0], &answer.message[2]["status"]), (&json!(3), &json!("Accepted")));
    let next = frames.iter().find(|frame| frame.connection == 2).expect("came again");
    assert!(answer.at < next.at);
    station.terminate();
}

/// EVerest #2606: a call with a value outside an enumeration got no answer.
#[test]
fn lesson_44_what_is_not_in_the_schema_is_answered_and_changes_nothing() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let hash = root_hash(&stage, &mut csms, "ca");
    let mut long = hash.clone();
    long["serialNumber"] = json!("a".repeat(41));
    for (id, frame, code) in [
        (
            "type",
            json!([2, "type", "InstallCertificate", { "certificateType": "NoSuch", "certificate": "x" }]),
            "TypeConstraintViolation",
        ),
        (
            "long",
            json!([2, "long", "DeleteCertificate", { "certificateHashData": long }]),
            "PropertyConstraintViolation",
        ),
        (
            "extra",
            json!([2, "extra", "DeleteCertificate", { "certificateHashData": hash, "force": true }]),
            "FormatViolation",
        ),
        ("missing", json!([2, "missing", "CertificateSigned", {}]), "OccurrenceConstraintViolation"),
        (
            "null",
            json!([2, "null", "CertificateSigned", { "certificateChain": null }]),
            "TypeConstraintViolation",
        ),
        (
            "empty",
            json!([2, "empty", "GetInstalledCertificateIds", { "certificateType": [] }]),
            "OccurrenceConstraintViolation",
        ),
        ("action", json!([2, "action", "FlyToTheMoon", {}]), "NotImplemented"),
        ("offered", json!([2, "offered", "GetLocalListVersion", {}]), "NotSupported"),
    ] {
        csms.tell(&stage, json!({ "send": frame.to_string() }), "sent");
        let answer = answer_to(&stage, &mut csms, id);
        assert_eq!((&answer[0], &answer[2]), (&json!(4), &json!(code)), "{id}: {answer}");
    }
    csms.tell(&stage, json!({ "send": "this is no JSON" }), "sent");
    let answer = answer_to(&stage, &mut csms, "-1");
    assert_eq!((&answer[0], &answer[2]), (&json!(4), &json!("RpcFrameworkError")), "{answer}");
    assert_eq!(listed(&stage, &mut csms, &[]).len(), 1);
    assert_eq!(csms.count("connection"), 0);
    station.terminate();
}

/// Waits for the station's answer to a frame that was not sent through the package.
#[track_caller]
fn answer_to(stage: &Stage, csms: &mut PythonCsms, id: &str) -> Value {
    loop {
        let frames = csms.frames(stage);
        let answer = frames.iter().find(|frame| frame.from == Sender::Station && frame.message[1] == id);
        if let Some(answer) = answer {
            return answer.message.clone();
        }
        // A round trip: everything that the station sent before it has arrived by then.
        listed(stage, csms, &[]);
    }
}

/// libocpp #1156: a flood of events as long as the clock was wrong.
#[test]
fn lesson_49_one_event_for_each_episode_of_failures() {
    let stage = Stage::prepare();
    stage.server_certificate("bad", "ca", "/O=Test CSO/CN=localhost", Validity::Past);
    let mut csms = stage.operator_presenting("bad");
    let port = csms.port;
    stage.configure(port);
    let station = stage.station();
    let mut expected = vec!["StartupOfTheDevice"];
    for episode in 0..2 {
        for _ in 0..3 {
            csms.wait_for(&stage, "knock");
        }
        csms.present(&stage, port, "server");
        csms.wait_for(&stage, "connection");
        if episode == 0 {
            csms.wait_for(&stage, "BootNotification");
        }
        expected.push("InvalidCsmsCertificate");
        for event in expected.drain(..) {
            assert_eq!(csms.wait_for(&stage, "SecurityEventNotification")["type"], event);
        }
        listed(&stage, &mut csms, &[]);
        assert_eq!(csms.count("SecurityEventNotification"), 0, "once");
        while csms.count("knock") > 0 {
            csms.wait_for(&stage, "knock");
        }
        csms.present(&stage, port, "bad");
        csms.tell(&stage, json!({ "close": true }), "closed");
    }
    station.terminate();
}

/// EVerest #1662: the log did not show that the clock was wrong.
#[test]
fn lesson_50_the_log_tells_the_time_and_the_validity() {
    let stage = Stage::prepare();
    stage.server_certificate("bad", "ca", "/O=Test CSO/CN=localhost", Validity::Past);
    let mut csms = stage.operator_presenting("bad");
    stage.configure(csms.port);
    let station = stage.station();
    csms.wait_for(&stage, "knock");
    stage.wait_for_log("InvalidCsmsCertificate");
    // The times of the certificate and of the clock.
    let log = stage.log();
    assert!(log.contains("2021-01-01"), "{log}");
    let now = stage.openssl(&["x509", "-in", "server.pem", "-noout", "-startdate", "-dateopt", "iso_8601"]);
    let day = now.trim().trim_start_matches("notBefore=").split(' ').next().expect("a day").to_owned();
    let line = log.lines().find(|line| line.contains("2021-01-01")).expect("a line");
    assert!(
        line.matches(&day).count() >= 2,
        "the log's own time, and that by which the certificate was judged: {line}"
    );
    station.terminate();
}

/// Hubject's audit, HUB20-42-001: clocks may differ by 300 s.
#[test]
fn lesson_51_a_certificate_may_begin_in_a_few_minutes() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca", "from": 200 }));
    let answer = signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    station.terminate();
}

/// EVerest #1654: an empty password was used.
#[test]
fn lesson_56_without_a_password_worth_the_name_the_station_does_not_start() {
    let stage = Stage::prepare();
    stage.configure(1);
    for text in ["", "\n", "fifteen-letters"] {
        fs::write(stage.path("password"), text).expect("writes");
        let output = stage.command(&["run"]).output().expect("starts");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains("A00.FR.304"), "{error}");
        assert!(text.trim().is_empty() || !error.contains(text.trim()), "{error}");
    }
}

/// libevse-security (read): a private key in a log; shiv3 #94, #97: files that all users could
/// read.
#[test]
fn lesson_57_58_no_secret_in_logs_and_no_file_for_everybody() {
    const NEW: &str = "another-password_0123456789";
    let stage = Stage::prepare();
    fs::set_permissions(stage.path("pin"), fs::Permissions::from_mode(0o644)).expect("sets");
    let mut csms = stage.operator();
    stage.configure(csms.port);
    let station = stage.station_that_logs("trace");
    csms.wait_for(&stage, "BootNotification");
    csms.accept_password(&stage, NEW);
    let data = json!({ "component": { "name": "SecurityCtrlr" },
        "variable": { "name": "BasicAuthPassword" }, "attributeValue": NEW });
    csms.call(&stage, "SetVariables", json!({ "setVariableData": [data] }));
    csms.wait_for(&stage, "connection");
    csms.wait_for(&stage, "connection");
    renewed(&stage, &mut csms);
    station.terminate();
    let log = stage.log();
    assert!(log.contains("TRACE"), "it tells all that it can");
    let encoded = ["Q1MwMDE6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5", "Q1MwMDE6YW5vdGhlci1wYXNzd29yZF8wMTIzNDU2Nzg5"];
    for secret in [PASSWORD, NEW, "test-pin", "PRIVATE KEY", encoded[0], encoded[1]] {
        assert!(!log.contains(secret), "{secret}");
    }
    // A PIN that others can read is used, with a warning: secrets that orchestrators mount are
    // often readable by the group.
    assert!(log.lines().any(|line| line.contains("WARN") && line.contains("pin")), "{log}");
    for entry in fs::read_dir(stage.path("data")).expect("a folder") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("is there").mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", entry.path().display());
    }
}

/// libocpp #857, #863: certificates were managed over a connection without TLS.
#[test]
fn lesson_64_no_connection_without_tls() {
    let stage = Stage::prepare();
    stage.configure(1);
    let file = stage.path("station.toml");
    let text = fs::read_to_string(&file).expect("reads").replace("wss://", "ws://");
    fs::write(&file, text).expect("writes");
    let output = stage.command(&["run"]).output().expect("starts");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("csms.url"), "{error}");
}

/// libocpp #984: a security event overtook the acceptance of the BootNotification.
#[test]
fn lesson_66_nothing_is_said_before_the_boot_is_accepted() {
    let stage = Stage::prepare();
    let mut csms = stage.operator();
    stage.configure(csms.port);
    let now = json!("2026-01-01T00:00:00Z");
    for status in ["Pending", "Rejected"] {
        let payload = json!({ "currentTime": now, "interval": 1, "status": status });
        csms.behave_once(&stage, "BootNotification", json!({ "payload": payload }));
        let station = stage.station();
        csms.wait_for(&stage, "SecurityEventNotification");
        station.terminate();
    }
    let frames = csms.frames(&stage);
    for connection in [1, 2] {
        let on_it = || frames.iter().filter(|frame| frame.connection == connection);
        let accepted =
            on_it().find(|frame| frame.from == Sender::Csms && frame.message[2]["status"] == "Accepted");
        let accepted = accepted.expect("was accepted").at;
        let early: Vec<_> = on_it()
            .filter(|frame| frame.from == Sender::Station && frame.message[0] == 2 && frame.at < accepted)
            .map(|frame| &frame.message[2])
            .collect();
        assert_eq!(early, ["BootNotification", "BootNotification"]);
    }
}

/// libocpp #1140, EVerest #2246: an answer that could not be parsed ended a thread.
#[test]
fn lesson_67_answers_that_cannot_be_read_end_nothing() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let heartbeat = json!({ "requestedMessage": "Heartbeat" });
    for raw in [
        r#"[3,"$ID",{"currentTime":5}]"#,
        r#"[3,"$ID",{"currentTime":"yesterday"}]"#,
        r#"[3,"$ID",{}]"#,
        r#"[3,"$ID","text"]"#,
        r#"[3,"$ID",null]"#,
        r#"[4,"$ID","NoSuchCode","",{}]"#,
    ] {
        csms.behave_once(&stage, "Heartbeat", json!({ "raw": raw }));
        assert_eq!(csms.call(&stage, "TriggerMessage", heartbeat.clone())["status"], "Accepted");
        csms.wait_for(&stage, "Heartbeat");
    }
    // Answers without a matching request do not end it either.
    for text in [r#"[3,"nobody",{}]"#, r#"[4,"nobody","InternalError","",{}]"#, "[3]", "[]", "{}", "5"] {
        csms.tell(&stage, json!({ "send": text }), "sent");
    }
    // Both directions still work on the same connection.
    assert_eq!(csms.call(&stage, "TriggerMessage", heartbeat)["status"], "Accepted");
    csms.wait_for(&stage, "Heartbeat");
    assert_eq!(csms.count("connection"), 0);
    // A request whose answer cannot be parsed has arrived. It is sent again if no certificate
    // arrives (A02.FR.17).
    set(&stage, &mut csms, "SecurityCtrlr", "CertSigningWaitMinimum", "1");
    csms.behave_once(&stage, "SignCertificate", json!({ "raw": r#"[3,"$ID",{"status":"Perhaps"}]"# }));
    let first = csr(&stage, &mut csms, "SignChargingStationCertificate");
    csms.tell(&stage, json!({ "close": true }), "closed");
    assert_eq!(csms.wait_for(&stage, "SignCertificate")["csr"], first["csr"]);
    station.terminate();
}

/// The tests in the lists of `main.rs` exist, in the files that the lists name.
#[test]
fn the_lists_name_tests_that_there_are() {
    let mut cases = Vec::new();
    let mut checked = 0;
    for item in items(include_str!("main.rs")) {
        let (about, tests) = item.split_once(": `").expect("what it is about, and tests");
        // A mistake of another stack names where it was seen; the other items are test cases.
        let is_case = !about.contains(" (seen in ");
        if is_case {
            cases.push(about.to_owned());
        }
        for test in tests.split(", ") {
            let (file, name) = test.trim_matches('`').split_once("::").expect("file::test");
            let folder = if file.starts_with("src/") { "" } else { "tests/it/" };
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{folder}{file}.rs"));
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(text.contains(&format!("#[test]\nfn {name}() {{")), "there is no test {test}");
            // The name of a test contains the number of its case.
            if is_case {
                assert!(name.contains(&about.to_lowercase()), "{test}");
            }
            checked += 1;
        }
    }
    assert!(cases.len() > 35 && checked > 80, "{} cases, {checked} tests", cases.len());
}

/// The items of the lists in the documentation of a module, one line each.
fn items(text: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for line in text.lines() {
        if let Some(begin) = line.strip_prefix("//! * ") {
            items.push(begin.to_owned());
        } else if let (Some(more), Some(item)) = (line.strip_prefix("//!   "), items.last_mut()) {
            item.push(' ');
            item.push_str(more);
        }
    }
    items
}
