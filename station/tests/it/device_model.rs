//! The device model over the wire, with a CSMS that is not ours.

use std::fs;

use serde_json::{Value, json};

use crate::stage::{PASSWORD, PythonCsms, Stage};

#[track_caller]
fn set(csms: &mut PythonCsms, stage: &Stage, component: &str, variable: &str, value: &str) -> Value {
    let data = json!({ "component": { "name": component }, "variable": { "name": variable }, "attributeValue": value });
    let mut answer = csms.call(stage, "SetVariables", json!({ "setVariableData": [data] }));
    answer["setVariableResult"][0].take()
}

#[track_caller]
fn get(csms: &mut PythonCsms, stage: &Stage, component: &str, variable: &str) -> Value {
    let data = json!({ "component": { "name": component }, "variable": { "name": variable } });
    let mut answer = csms.call(stage, "GetVariables", json!({ "getVariableData": [data] }));
    answer["getVariableResult"][0].take()
}

/// A station that has booted, and its CSMS.
fn start(stage: &Stage) -> (PythonCsms, crate::stage::Process) {
    let mut csms = stage.operator();
    stage.configure(csms.port);
    let station = stage.station();
    csms.wait_for(stage, "BootNotification");
    (csms, station)
}

#[test]
fn tc_a_09_a_new_password_holds_from_the_next_connection_on_and_after_a_restart() {
    const NEW: &str = "a-new-password_0123456789";
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 2);
    csms.accept_password(&stage, NEW);
    let result = set(&mut csms, &stage, "SecurityCtrlr", "BasicAuthPassword", NEW);
    assert_eq!(result["attributeStatus"], "Accepted");
    // A01: the station reconnects at once, with the new password.
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 2);
    let result = get(&mut csms, &stage, "SecurityCtrlr", "BasicAuthPassword");
    assert_eq!(result["attributeStatus"], "Rejected");
    assert!(result.get("attributeValue").is_none_or(Value::is_null), "{result}");
    station.kill();
    let station = stage.station();
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 2);
    assert_eq!(csms.count("refused"), 0);
    station.terminate();
    // A01.FR.12, A01.FR.10
    let [log, events] =
        ["log", "data/security.log"].map(|name| fs::read_to_string(stage.path(name)).expect("reads"));
    assert!(events.contains("ReconfigurationOfSecurityParameters"), "A01.FR.11");
    for text in [log, events] {
        assert!(!text.contains(NEW) && !text.contains(PASSWORD), "{text}");
    }
    let mode = std::os::unix::fs::MetadataExt::mode(
        &fs::metadata(stage.path("data/device-model.json")).expect("is there"),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn tc_a_10_a_short_password_is_rejected_and_the_old_one_stays() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let result = set(&mut csms, &stage, "SecurityCtrlr", "BasicAuthPassword", "0123456789abcde");
    assert_eq!(result["attributeStatus"], "Rejected");
    station.kill();
    csms.wait_for(&stage, "connection");
    let station = stage.station();
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 2);
    assert_eq!(csms.count("refused"), 0);
    station.terminate();
}

#[test]
fn tc_a_21_tc_a_22_b09_profiles_are_stored_and_only_usable_ones_are_put_in_order() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let profile = |url: &str, level: u8, slot: u8| {
        json!({ "configurationSlot": slot, "connectionData": {
            "ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": url, "messageTimeout": 30,
            "securityProfile": level, "ocppInterface": "Wired0" } })
    };
    let answer = csms.call(&stage, "SetNetworkProfile", profile("wss://two.example/ocpp", 3, 2));
    assert_eq!(answer["status"], "Accepted", "B09.FR.01");
    let answer = csms.call(&stage, "SetNetworkProfile", profile("wss://two.example/ocpp", 3, 9));
    assert_eq!(
        (&answer["status"], &answer["statusInfo"]["reasonCode"]),
        (&json!("Rejected"), &json!("InvalidConfSlot"))
    );
    let answer = csms.call(&stage, "SetNetworkProfile", profile("ws://two.example/ocpp", 1, 3));
    assert_eq!(answer["statusInfo"]["reasonCode"], "NoSecurityDowngrade", "B09.FR.04");
    // A05.FR.03: profile 3, and no certificate yet.
    let result = set(&mut csms, &stage, "OCPPCommCtrlr", "NetworkConfigurationPriority", "2,1");
    assert_eq!(result["attributeStatus"], "Rejected");
    // B10.FR.02
    let result = set(&mut csms, &stage, "OCPPCommCtrlr", "NetworkConfigurationPriority", "1,3");
    assert_eq!(result["attributeStatus"], "Rejected");
    assert_eq!(
        get(&mut csms, &stage, "OCPPCommCtrlr", "NetworkConfigurationPriority")["attributeValue"],
        "1"
    );
    station.terminate();
}

#[test]
fn b07_the_report_follows_the_answer_and_tells_every_variable() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let answer = csms.call(&stage, "GetBaseReport", json!({ "requestId": 5, "reportBase": "FullInventory" }));
    assert_eq!(answer["status"], "Accepted");
    let mut told = Vec::new();
    loop {
        let report = csms.wait_for(&stage, "NotifyReport");
        assert_eq!(report["requestId"], 5);
        told.extend(
            report["reportData"]
                .as_array()
                .expect("data")
                .iter()
                .map(|data| data["variable"]["name"].clone()),
        );
        if report["tbc"] == false {
            break;
        }
    }
    for name in
        ["OrganizationName", "CertificateEntries", "BasicAuthPassword", "NetworkConfigurationPriority"]
    {
        assert!(told.contains(&json!(name)), "{told:?}");
    }
    station.terminate();
}

#[test]
fn a_new_organization_name_holds_after_a_reset() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let result = set(&mut csms, &stage, "SecurityCtrlr", "OrganizationName", "Another CSO");
    assert_eq!(result["attributeStatus"], "RebootRequired");
    let answer = csms.call(&stage, "Reset", json!({ "type": "OnIdle", "evseId": 1 }));
    assert_eq!(answer["status"], "Rejected");
    let answer = csms.call(&stage, "Reset", json!({ "type": "OnIdle" }));
    assert_eq!(answer["status"], "Accepted");
    assert_eq!(csms.wait_for(&stage, "BootNotification")["reason"], "RemoteReset");
    let trigger = json!({ "requestedMessage": "SignChargingStationCertificate" });
    assert_eq!(csms.call(&stage, "TriggerMessage", trigger)["status"], "Accepted");
    let csr = csms.wait_for(&stage, "SignCertificate")["csr"].take();
    fs::write(stage.path("request.pem"), csr.as_str().expect("PEM")).expect("writes");
    // A00.FR.509
    let subject = stage.openssl(&["req", "-in", "request.pem", "-noout", "-subject", "-nameopt", "RFC2253"]);
    assert!(subject.contains("O=Another CSO"), "{subject}");
    // The process is the same one.
    station.terminate();
}
