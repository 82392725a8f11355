//! From one CSMS to another by network profiles (B09, B10): TC_B_45, TC_B_46, TC_B_50.

use serde_json::{Value, json};

use crate::{
    reusable::{booted, holds, install, listed, renewed, root_hash},
    stage::{Process, PythonCsms, Stage},
};

/// A station that is connected with its certificate, and its CSMS.
fn start(stage: &Stage) -> (PythonCsms, Process) {
    let (mut csms, station) = booted(stage);
    renewed(stage, &mut csms);
    // B10.FR.10: the security profile has changed.
    csms.wait_for(stage, "BootNotification");
    (csms, station)
}

/// Stores a profile for a CSMS at `port` in a slot.
#[track_caller]
fn store_profile(stage: &Stage, csms: &mut PythonCsms, slot: u8, port: u64) {
    let url = format!("wss://localhost:{port}/ocpp");
    let profile = json!({ "configurationSlot": slot, "connectionData": {
        "ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": url, "messageTimeout": 30,
        "securityProfile": 3, "ocppInterface": "Wired0" } });
    let answer = csms.call(stage, "SetNetworkProfile", profile);
    assert_eq!(answer["status"], "Accepted", "{answer}");
}

#[track_caller]
fn set(stage: &Stage, csms: &mut PythonCsms, variable: &str, value: &str) {
    let data = json!({ "component": { "name": "OCPPCommCtrlr" }, "variable": { "name": variable },
        "attributeValue": value });
    let answer = csms.call(stage, "SetVariables", json!({ "setVariableData": [data] }));
    assert_eq!(answer["setVariableResult"][0]["attributeStatus"], "Accepted", "{answer}");
}

#[track_caller]
fn reset(stage: &Stage, csms: &mut PythonCsms) {
    assert_eq!(csms.call(stage, "Reset", json!({ "type": "OnIdle" }))["status"], "Accepted");
}

/// The slot of the connection, as the station tells it.
#[track_caller]
fn active_slot(stage: &Stage, csms: &mut PythonCsms) -> Value {
    let data =
        json!({ "component": { "name": "OCPPCommCtrlr" }, "variable": { "name": "ActiveNetworkProfile" } });
    let mut answer = csms.call(stage, "GetVariables", json!({ "getVariableData": [data] }));
    answer["getVariableResult"][0]["attributeValue"].take()
}

#[test]
fn tc_b_45_migrate_to_another_csms_under_the_same_root() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let other = csms.listen(&stage, "server");
    store_profile(&stage, &mut csms, 2, other);
    set(&stage, &mut csms, "NetworkConfigurationPriority", "2,1");
    reset(&stage, &mut csms);
    assert_eq!(csms.wait_for(&stage, "connection")["port"], other);
    // B10.FR.10
    assert_eq!(csms.wait_for(&stage, "BootNotification")["reason"], "RemoteReset");
    assert_eq!(active_slot(&stage, &mut csms), "2");
    // After a loss of the connection too, it comes back to this one.
    csms.tell(&stage, json!({ "close": true }), "closed");
    assert_eq!(csms.wait_for(&stage, "connection")["port"], other);
    station.terminate();
}

#[test]
fn tc_b_46_fall_back_to_the_next_profile() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let first = csms.port;
    let other = csms.listen(&stage, "server");
    csms.tell(&stage, json!({ "deny": [other] }), "deny");
    store_profile(&stage, &mut csms, 2, other);
    set(&stage, &mut csms, "NetworkProfileConnectionAttempts", "2");
    set(&stage, &mut csms, "NetworkConfigurationPriority", "2,1");
    reset(&stage, &mut csms);
    let connection = csms.wait_for(&stage, "connection");
    assert_eq!(connection["port"], first);
    // B10.FR.03
    assert_eq!(csms.count("denied"), 2);
    assert_eq!(csms.wait_for(&stage, "BootNotification")["reason"], "RemoteReset");
    assert_eq!(active_slot(&stage, &mut csms), "1");
    station.terminate();
}

#[test]
fn tc_b_50_migrate_to_another_csms_under_a_new_root() {
    let stage = Stage::prepare();
    stage.root("ca2", "/O=Test CSO/CN=Second Root");
    stage.server_certificate("server2", "ca2", "/O=Test CSO/CN=localhost", crate::stage::Validity::Now);
    let (mut csms, station) = start(&stage);
    let other = csms.listen(&stage, "server2");
    let answer = install(&stage, &mut csms, "CSMSRootCertificate", "ca2");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    store_profile(&stage, &mut csms, 2, other);
    set(&stage, &mut csms, "NetworkConfigurationPriority", "2,1");
    reset(&stage, &mut csms);
    assert_eq!(csms.wait_for(&stage, "connection")["port"], other);
    csms.wait_for(&stage, "BootNotification");
    assert_eq!(active_slot(&stage, &mut csms), "2");
    // Without AdditionalRootCertificateCheck both roots stay.
    let list = listed(&stage, &mut csms, &["CSMSRootCertificate"]);
    for name in ["ca", "ca2"] {
        let hash = root_hash(&stage, &mut csms, name);
        assert!(holds(&list, "CSMSRootCertificate", &hash), "{name}: {list:?}");
    }
    station.terminate();
}
