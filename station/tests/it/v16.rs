//! OCPP 1.6 with the security whitepaper, against a central system on Python's `ocpp`. The cases of
//! the OCA's tool are named by number.

use std::fs;

use serde_json::{Value, json};

use crate::{
    python::{PythonCsms, Sender},
    reusable::{self, root_hash},
    stage::{PASSWORD, Process, Stage, Validity},
};

/// The Python CSMS for one version, and a station that offers `versions`, ready to start.
pub(crate) fn prepare(stage: &Stage, version: &str, versions: &[&str]) -> PythonCsms {
    let csms = PythonCsms::start(stage, "server", &["--version", version]);
    stage.configure(csms.port);
    set_csms(stage, &format!("versions = {}", json!(versions)));
    csms
}

/// Appends sections to the station's configuration.
pub(crate) fn append(stage: &Stage, sections: &str) {
    let file = stage.path("station.toml");
    let text = fs::read_to_string(&file).expect("reads");
    fs::write(file, text + sections).expect("writes");
}

/// Adds a line to the section `[csms]` of the station's configuration.
fn set_csms(stage: &Stage, line: &str) {
    let file = stage.path("station.toml");
    let text = fs::read_to_string(&file).expect("reads");
    fs::write(file, text.replace("[token]", &format!("{line}\n[token]"))).expect("writes");
}

/// A station that has booted, and its CSMS.
fn start(stage: &Stage) -> (PythonCsms, Process) {
    let mut csms = prepare(stage, "1.6", &["1.6"]);
    let station = stage.station();
    csms.wait_for(stage, "BootNotification");
    // The event follows after the answer to BootNotification has been handled.
    assert_eq!(csms.wait_for(stage, "SecurityEventNotification")["type"], "StartupOfTheDevice");
    (csms, station)
}

fn change(csms: &mut PythonCsms, stage: &Stage, key: &str, value: &str) -> Value {
    let mut answer = csms.call(stage, "ChangeConfiguration", json!({ "key": key, "value": value }));
    answer["status"].take()
}

/// The entry of one key.
fn configuration(csms: &mut PythonCsms, stage: &Stage, key: &str) -> Value {
    let mut answer = csms.call(stage, "GetConfiguration", json!({ "key": [key] }));
    assert!(answer["unknownKey"].is_null(), "{answer}");
    answer["configurationKey"][0].take()
}

fn trigger(csms: &mut PythonCsms, stage: &Stage, message: &str) -> Value {
    let mut answer = csms.call(stage, "ExtendedTriggerMessage", json!({ "requestedMessage": message }));
    answer["status"].take()
}

/// A certificate for the request that the station sends after a trigger, signed by `issuer`.
fn sign(csms: &mut PythonCsms, stage: &Stage, issuer: &str) -> Value {
    assert_eq!(trigger(csms, stage, "SignChargePointCertificate"), "Accepted");
    let request = csms.wait_for(stage, "SignCertificate");
    csms.issue(stage, json!({ "csr": request["csr"], "issuer": issuer }))
}

fn certificate_signed(csms: &mut PythonCsms, stage: &Stage, pem: &Value) -> Value {
    let mut answer = csms.call(stage, "CertificateSigned", json!({ "certificateChain": pem }));
    answer["status"].take()
}

fn install(csms: &mut PythonCsms, stage: &Stage, type_: &str, name: &str) -> Value {
    reusable::install(stage, csms, type_, name)["status"].take()
}

fn listed(csms: &mut PythonCsms, stage: &Stage, type_: &str) -> Value {
    csms.call(stage, "GetInstalledCertificateIds", json!({ "certificateType": type_ }))
}

#[test]
fn tc_073_a_new_authorization_key_holds_from_the_next_connection_on_and_after_a_restart() {
    // As in the whitepaper's example: bytes that are not text.
    const KEY: &str = "0001020304050607FFFFFFFFFFFFFFFFFFFFFFFF";
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 2);
    for wrong in [&KEY[..30], &KEY[..39], "correct-horse-battery-staple-0123", &format!("{KEY}00")] {
        assert_eq!(change(&mut csms, &stage, "AuthorizationKey", wrong), "Rejected", "{wrong}");
    }
    csms.tell(&stage, json!({ "passwordHex": KEY }), "password");
    assert_eq!(change(&mut csms, &stage, "AuthorizationKey", KEY), "Accepted");
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 2);
    // The key is listed, but never its value.
    let told = configuration(&mut csms, &stage, "authorizationkey");
    assert_eq!((&told["key"], told.get("value")), (&json!("AuthorizationKey"), None));
    let all = csms.call(&stage, "GetConfiguration", json!({}));
    assert!(!all.to_string().to_lowercase().contains("ffffffff"), "{all}");
    station.kill();
    let station = stage.station();
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 2);
    assert_eq!(csms.count("refused"), 0);
    station.terminate();
    // A01.FR.11, A01.FR.12
    let [log, events] =
        ["log", "data/security.log"].map(|name| fs::read_to_string(stage.path(name)).expect("reads"));
    assert!(events.contains("ReconfigurationOfSecurityParameters"), "{events}");
    for text in [log, events] {
        assert!(!text.to_uppercase().contains(KEY) && !text.contains(PASSWORD), "{text}");
    }
}

#[test]
fn tc_074_tc_087_the_certificate_is_renewed_and_connects_by_profile_3() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let mut serials = Vec::new();
    for profile in [2, 3] {
        let connection = csms.wait_for(&stage, "connection");
        assert_eq!(connection["profile"], profile);
        // TC_087: the former certificate, by its serial number, with the station's serial number as
        // CN.
        if let Some(serial) = serials.last() {
            assert_eq!((&connection["serial"], &connection["cn"]), (serial, &json!("SN-0001")));
        }
        let issued = sign(&mut csms, &stage, "ca");
        let csr = &issued["csr"];
        assert_eq!((&csr["valid"], &csr["bits"]), (&json!(true), &json!(256)), "{csr}");
        assert_eq!(
            (&csr["subject"]["CN"], &csr["subject"]["O"]),
            (&json!(["SN-0001"]), &json!(["Test CSO"]))
        );
        assert_eq!(certificate_signed(&mut csms, &stage, &issued["pem"]), "Accepted");
        serials.push(issued["serial"].clone());
    }
    // A02.FR.08: the renewed certificate, with a new key.
    let connection = csms.wait_for(&stage, "connection");
    assert_eq!((&connection["profile"], &connection["serial"]), (&json!(3), &serials[1]));
    assert_ne!(serials[0], serials[1]);
    // A02.FR.10
    stage.wait_until("one certificate", || stage.inventory().own.len() == 1);
    station.terminate();
    // The answer was sent before the reconnect (peer lesson 78), for each of the two.
    let frames = csms.frames(&stage);
    for signed in frames.iter().filter(|frame| frame.is_call(Sender::Csms, "CertificateSigned")) {
        assert!(frames.iter().any(|frame| frame.answers(signed)), "{signed:?}");
    }
}

#[test]
fn lesson_34_a_request_that_was_not_answered_by_a_certificate_is_sent_again_on_the_next_connection() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    assert_eq!(trigger(&mut csms, &stage, "SignChargePointCertificate"), "Accepted");
    let first = csms.wait_for(&stage, "SignCertificate");
    csms.tell(&stage, json!({ "close": true }), "closed");
    let again = csms.wait_for(&stage, "SignCertificate");
    assert_eq!(first, again, "the same request, so that a certificate for the first is as good");
    let issued = csms.issue(&stage, json!({ "csr": first["csr"], "issuer": "ca" }));
    assert_eq!(certificate_signed(&mut csms, &stage, &issued["pem"]), "Accepted");
    csms.wait_until(&stage, "connection", |connection| connection["profile"] == 3);
    station.terminate();
}

#[test]
fn tc_075_1_tc_075_2_roots_are_installed_and_listed() {
    let stage = Stage::prepare();
    stage.root("second", "/O=Test CSO/CN=Second Root");
    let (mut csms, station) = start(&stage);
    for (type_, file, count) in
        [("ManufacturerRootCertificate", "manufacturer", 1), ("CentralSystemRootCertificate", "second", 2)]
    {
        assert_eq!(install(&mut csms, &stage, type_, file), "Accepted");
        let listed = listed(&mut csms, &stage, type_);
        assert_eq!(listed["status"], "Accepted");
        let entries = listed["certificateHashData"].as_array().expect("a flat list");
        assert_eq!(entries.len(), count, "{entries:?}");
        assert!(entries.contains(&root_hash(&stage, &mut csms, file)), "{entries:?}");
    }
    station.terminate();
}

#[test]
fn tc_076_roots_are_deleted_by_each_algorithm_and_the_one_in_use_is_not() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    const TYPE: &str = "ManufacturerRootCertificate";
    for algorithm in ["SHA256", "SHA384", "SHA512"] {
        assert_eq!(install(&mut csms, &stage, TYPE, "manufacturer"), "Accepted");
        let payload = json!({ "certificateHashData": csms.hash_data(&stage, "manufacturer", "manufacturer", algorithm) });
        for expected in ["Accepted", "NotFound"] {
            assert_eq!(csms.call(&stage, "DeleteCertificate", payload.clone())["status"], expected);
        }
        let listed = listed(&mut csms, &stage, TYPE);
        assert_eq!((&listed["status"], &listed["certificateHashData"]), (&json!("NotFound"), &Value::Null));
    }
    // M04.FR.06 of the whitepaper: the root that the connection relies on.
    let payload = json!({ "certificateHashData": root_hash(&stage, &mut csms, "ca") });
    assert_eq!(csms.call(&stage, "DeleteCertificate", payload)["status"], "Failed");
    assert_eq!(listed(&mut csms, &stage, "CentralSystemRootCertificate")["status"], "Accepted");
    station.terminate();
}

#[test]
fn tc_077_an_invalid_certificate_is_rejected_and_reported() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let issued = sign(&mut csms, &stage, "manufacturer");
    assert_eq!(certificate_signed(&mut csms, &stage, &issued["pem"]), "Rejected");
    csms.wait_until(&stage, "SecurityEventNotification", |event| {
        event["type"] == "InvalidChargePointCertificate"
    });
    // The station stays as it is.
    assert_eq!(csms.count("connection"), 1);
    assert_eq!(trigger(&mut csms, &stage, "Heartbeat"), "Accepted");
    csms.wait_for(&stage, "Heartbeat");
    station.terminate();
}

#[test]
fn tc_078_an_invalid_root_for_the_central_system_is_rejected_and_reported() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    csms.issue(
        &stage,
        json!({ "subject": { "CN": "Expired Root", "O": "Test CSO" }, "ca": true, "from": -172_800, "to": -86_400, "file": "expired" }),
    );
    // An invalid root of another kind raises no event.
    assert_eq!(install(&mut csms, &stage, "ManufacturerRootCertificate", "expired"), "Rejected");
    assert_eq!(install(&mut csms, &stage, "CentralSystemRootCertificate", "expired"), "Rejected");
    csms.wait_until(&stage, "SecurityEventNotification", |event| {
        event["type"] == "InvalidCentralSystemCertificate"
    });
    assert_eq!(csms.count("SecurityEventNotification"), 0);
    let listed = listed(&mut csms, &stage, "CentralSystemRootCertificate");
    assert_eq!(listed["certificateHashData"], json!([root_hash(&stage, &mut csms, "ca")]));
    station.terminate();
}

#[test]
fn tc_083_the_security_profile_is_raised() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    // A central system that does not accept certificates yet.
    csms.tell(&stage, json!({ "refuse": "all" }), "refuse");
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 2);
    let issued = sign(&mut csms, &stage, "ca");
    assert_eq!(certificate_signed(&mut csms, &stage, &issued["pem"]), "Accepted");
    csms.wait_for(&stage, "certificate refused");
    // A05.FR.08: the station returns to the profile that worked.
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 2);
    assert_eq!(configuration(&mut csms, &stage, "SecurityProfile")["value"], "2");
    csms.tell(&stage, json!({ "refuse": [] }), "refuse");
    // A05.FR.05, A05.FR.06
    assert_eq!(change(&mut csms, &stage, "SecurityProfile", "3"), "Accepted");
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 3);
    assert_eq!(configuration(&mut csms, &stage, "SecurityProfile")["value"], "3");
    let answer = csms.call(&stage, "Reset", json!({ "type": "Hard" }));
    assert_eq!(answer["status"], "Accepted");
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 3);
    // A05.FR.01
    for lower in ["0", "1", "2", "3"] {
        assert_eq!(change(&mut csms, &stage, "SecurityProfile", lower), "Rejected", "{lower}");
    }
    station.terminate();
}

#[test]
fn tc_084_the_security_profile_is_neither_lowered_nor_raised_without_a_certificate() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 2);
    for (value, rule) in [
        ("1", "A05.FR.01"),
        ("2", "A05.FR.01"),
        ("3", "A05.FR.04"),
        ("4", "there is none"),
        ("-1", "there is none"),
        ("three", "no number"),
    ] {
        assert_eq!(change(&mut csms, &stage, "SecurityProfile", value), "Rejected", "{rule}");
    }
    assert_eq!(configuration(&mut csms, &stage, "SecurityProfile")["value"], "2");
    assert_eq!(csms.count("connection"), 0);
    station.terminate();
}

#[test]
fn tc_085_the_key_of_the_factory_is_sent_as_the_bytes_that_its_digits_stand_for() {
    let stage = Stage::prepare();
    let mut csms = prepare(&stage, "1.6", &["1.6"]);
    const KEY: &str = "F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF";
    fs::write(stage.path("password"), KEY).expect("writes");
    set_csms(&stage, "password_format = \"hexadecimal\"");
    csms.tell(&stage, json!({ "passwordHex": KEY }), "password");
    let station = stage.station();
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 2);
    csms.wait_for(&stage, "BootNotification");
    assert_eq!(csms.count("refused"), 0);
    station.terminate();
}

#[test]
fn tc_086_an_invalid_server_certificate_is_refused_and_reported() {
    let stage = Stage::prepare();
    stage.server_certificate("old", "ca", "/O=Test CSO/CN=localhost", Validity::Past);
    let mut csms = prepare(&stage, "1.6", &["1.6"]);
    let port = csms.port;
    csms.present(&stage, port, "old");
    let station = stage.station();
    stage.wait_until("the refusal", || {
        fs::read_to_string(stage.path("data/security.log"))
            .is_ok_and(|log| log.contains("InvalidCsmsCertificate"))
    });
    csms.present(&stage, port, "server");
    csms.wait_for(&stage, "BootNotification");
    csms.wait_until(&stage, "SecurityEventNotification", |event| {
        event["type"] == "InvalidCentralSystemCertificate"
    });
    station.terminate();
}

#[test]
fn messages_are_sent_as_they_are_asked_for_and_the_others_are_not_implemented() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    for message in
        ["LogStatusNotification", "FirmwareStatusNotification", "MeterValues", "StatusNotification"]
    {
        assert_eq!(trigger(&mut csms, &stage, message), "NotImplemented", "{message}");
    }
    assert_eq!(trigger(&mut csms, &stage, "BootNotification"), "Accepted");
    let boot = csms.wait_for(&stage, "BootNotification");
    assert_eq!(boot["chargePointSerialNumber"], "SN-0001");
    for (message, status, step) in [
        ("Heartbeat", "Accepted", "Heartbeat"),
        ("BootNotification", "Accepted", "BootNotification"),
        ("MeterValues", "NotImplemented", ""),
    ] {
        let answer = csms.call(&stage, "TriggerMessage", json!({ "requestedMessage": message }));
        assert_eq!(answer["status"], status, "{message}");
        if !step.is_empty() {
            csms.wait_for(&stage, step);
        }
    }
    station.terminate();
}

#[test]
fn configuration_keys_are_those_of_the_whitepaper() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let all = csms.call(&stage, "GetConfiguration", json!({}));
    let told: Vec<_> = all["configurationKey"]
        .as_array()
        .expect("keys")
        .iter()
        .map(|key| (key["key"].as_str().expect("a name"), key["readonly"] == true, key["value"].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("AuthorizationKey", false, None),
            ("SecurityProfile", false, Some("2")),
            ("CpoName", false, Some("Test CSO")),
            ("AdditionalRootCertificateCheck", true, Some("false")),
            ("CertificateSignedMaxChainSize", true, Some("10000")),
            ("CertificateStoreMaxLength", true, Some("32")),
            // The value in the answer to BootNotification.
            ("HeartbeatInterval", false, Some("60")),
            ("WebSocketPingInterval", false, Some("60")),
        ]
    );
    let asked = csms.call(&stage, "GetConfiguration", json!({ "key": ["cponame", "Colour", "CpoName"] }));
    assert_eq!(asked["unknownKey"], json!(["Colour"]));
    assert_eq!(asked["configurationKey"].as_array().map(Vec::len), Some(1), "{asked}");
    for (key, value, status) in [
        ("Colour", "blue", "NotSupported"),
        ("CertificateStoreMaxLength", "1", "Rejected"),
        ("WebSocketPingInterval", "-1", "Rejected"),
        ("WebSocketPingInterval", "soon", "Rejected"),
        ("webSocketPingInterval", "7", "Accepted"),
        ("CpoName", "", "Rejected"),
    ] {
        assert_eq!(change(&mut csms, &stage, key, value), status, "{key} = {value}");
    }
    assert_eq!(configuration(&mut csms, &stage, "WebSocketPingInterval")["value"], "7");
    station.terminate();
}

#[test]
fn a02_fr_13_the_cpo_name_is_the_organization_of_the_next_request() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let status = change(&mut csms, &stage, "CpoName", "Another CSO");
    assert!(["Accepted", "RebootRequired"].contains(&status.as_str().expect("text")), "{status}");
    let answer = csms.call(&stage, "Reset", json!({ "type": "Soft" }));
    assert_eq!(answer["status"], "Accepted");
    csms.wait_for(&stage, "BootNotification");
    let issued = sign(&mut csms, &stage, "ca");
    assert_eq!(issued["csr"]["subject"]["O"], json!(["Another CSO"]));
    station.terminate();
}

#[test]
fn the_central_system_chooses_the_version_and_what_was_set_in_one_holds_in_the_others() {
    let stage = Stage::prepare();
    let versions = ["2.1", "2.0.1", "1.6"];
    let mut csms = prepare(&stage, "1.6", &versions);
    let station = stage.station();
    csms.wait_for(&stage, "BootNotification");
    assert_ne!(change(&mut csms, &stage, "CpoName", "Another CSO"), "Rejected");
    station.terminate();
    csms.kill();
    for version in ["2.0.1", "2.1"] {
        let mut csms = prepare(&stage, version, &versions);
        // The profile in the slot is from the first configuration, whose port is closed.
        fs::write(stage.path("data/device-model.json"), moved(&stage, csms.port)).expect("writes");
        let station = stage.station();
        assert_eq!(csms.wait_for(&stage, "BootNotification")["reason"], "PowerUp");
        let data =
            json!({ "component": { "name": "SecurityCtrlr" }, "variable": { "name": "OrganizationName" } });
        let answer = csms.call(&stage, "GetVariables", json!({ "getVariableData": [data] }));
        assert_eq!(answer["getVariableResult"][0]["attributeValue"], "Another CSO", "{version}");
        station.terminate();
    }
}

/// The device model with the CSMS at another port.
fn moved(stage: &Stage, port: u64) -> String {
    let text = fs::read_to_string(stage.path("data/device-model.json")).expect("reads");
    let mut model: Value = serde_json::from_str(&text).expect("JSON");
    model["profiles"]["1"]["ocppCsmsUrl"] = json!(format!("wss://localhost:{port}/ocpp"));
    model.to_string()
}
