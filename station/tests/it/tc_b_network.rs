//! Changes from one CSMS or security profile to another (A05, B09, B10): TC_A_19, TC_B_45 to
//! TC_B_47, TC_B_49, TC_B_50.

use serde_json::{Value, json};

use crate::{
    reusable::{self, booted, booted_with, csr, holds, install, listed, renewed, root_hash, signed},
    stage::{Process, PythonCsms, Stage},
    tc_m_additional_check::{self, make_second_root, second_hash},
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
    let answer = offer_profile(stage, csms, slot, port, 3);
    assert_eq!(answer["status"], "Accepted", "{answer}");
}

/// Offers a profile of this level, and returns the answer.
#[track_caller]
fn offer_profile(stage: &Stage, csms: &mut PythonCsms, slot: u8, port: u64, level: u8) -> Value {
    let url = format!("wss://localhost:{port}/ocpp");
    let profile = json!({ "configurationSlot": slot, "connectionData": {
        "ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": url, "messageTimeout": 30,
        "securityProfile": level, "ocppInterface": "Wired0" } });
    csms.call(stage, "SetNetworkProfile", profile)
}

/// Sets a variable of the connection.
#[track_caller]
fn set(stage: &Stage, csms: &mut PythonCsms, variable: &str, value: &str) {
    reusable::set(stage, csms, "OCPPCommCtrlr", variable, value);
}

#[track_caller]
fn reset(stage: &Stage, csms: &mut PythonCsms) {
    assert_eq!(csms.call(stage, "Reset", json!({ "type": "OnIdle" }))["status"], "Accepted");
}

/// The slot of the connection, as the station reports it.
#[track_caller]
fn active_slot(stage: &Stage, csms: &mut PythonCsms) -> Value {
    get(stage, csms, "OCPPCommCtrlr", "ActiveNetworkProfile")
}

#[track_caller]
fn get(stage: &Stage, csms: &mut PythonCsms, component: &str, variable: &str) -> Value {
    let data = json!({ "component": { "name": component }, "variable": { "name": variable } });
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
    // After a loss of the connection, too, the station returns to this CSMS.
    csms.tell(&stage, json!({ "close": true }), "closed");
    assert_eq!(csms.wait_for(&stage, "connection")["port"], other);
    station.terminate();
}

#[test]
fn tc_b_46_fall_back_of_a_station_without_a_certificate() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let first = csms.port;
    let other = csms.listen(&stage, "server");
    csms.tell(&stage, json!({ "deny": [other] }), "deny");
    assert_eq!(offer_profile(&stage, &mut csms, 2, other, 2)["status"], "Accepted");
    set(&stage, &mut csms, "NetworkProfileConnectionAttempts", "1");
    set(&stage, &mut csms, "NetworkConfigurationPriority", "2,1");
    reset(&stage, &mut csms);
    assert_eq!(csms.wait_for(&stage, "connection")["port"], first);
    assert_eq!(csms.count("denied"), 1);
    csms.wait_for(&stage, "BootNotification");
    // Once the other CSMS can be reached, the station migrates.
    csms.tell(&stage, json!({ "deny": [] }), "deny");
    reset(&stage, &mut csms);
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

/// With AdditionalRootCertificateCheck: the CSMS in slot 2 is under a new root that the old one has
/// signed. The CSMS in slot 1 stays under the old root.
fn start_with_check(stage: &Stage) -> (PythonCsms, Process, u64) {
    let (mut csms, station) = booted_with(stage, tc_m_additional_check::SECTION);
    renewed(stage, &mut csms);
    csms.wait_for(stage, "BootNotification");
    make_second_root(stage, &mut csms);
    let other = csms.listen(stage, "server2");
    let answer = install(stage, &mut csms, "CSMSRootCertificate", "ca2");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    store_profile(stage, &mut csms, 2, other);
    set(stage, &mut csms, "NetworkConfigurationPriority", "2,1");
    set(stage, &mut csms, "NetworkProfileConnectionAttempts", "2");
    (csms, station, other)
}

#[test]
fn tc_b_47_fall_back_to_the_old_csms_by_the_old_root() {
    let stage = Stage::prepare();
    let (mut csms, station, other) = start_with_check(&stage);
    let first = csms.port;
    csms.tell(&stage, json!({ "deny": [other] }), "deny");
    reset(&stage, &mut csms);
    // M05.FR.15, .16: the new CSMS has its attempts; the fallback root proves the old one.
    assert_eq!(csms.wait_for(&stage, "connection")["port"], first);
    assert_eq!(csms.count("denied"), 2);
    csms.wait_for(&stage, "BootNotification");
    assert_eq!(active_slot(&stage, &mut csms), "1");
    let list = listed(&stage, &mut csms, &["CSMSRootCertificate"]);
    let old = root_hash(&stage, &mut csms, "ca");
    assert!(holds(&list, "CSMSRootCertificate", &old), "{list:?}");
    station.terminate();
}

#[test]
fn tc_b_50_migrate_with_the_additional_check() {
    let stage = Stage::prepare();
    let (mut csms, station, other) = start_with_check(&stage);
    reset(&stage, &mut csms);
    assert_eq!(csms.wait_for(&stage, "connection")["port"], other);
    csms.wait_for(&stage, "BootNotification");
    assert_eq!(active_slot(&stage, &mut csms), "2");
    // M05.FR.13
    let list = listed(&stage, &mut csms, &["CSMSRootCertificate"]);
    let new = second_hash(&stage, &mut csms);
    assert!(holds(&list, "CSMSRootCertificate", &new), "{list:?}");
    assert_eq!(list.len(), 1, "{list:?}");
    station.terminate();
}

#[test]
fn tc_b_49_fall_back_to_the_profile_that_worked_last() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let first = csms.port;
    let other = csms.listen(&stage, "server");
    csms.tell(&stage, json!({ "deny": [other] }), "deny");
    store_profile(&stage, &mut csms, 2, other);
    set(&stage, &mut csms, "NetworkProfileConnectionAttempts", "2");
    // The slot that works is not among the slots to try.
    set(&stage, &mut csms, "NetworkConfigurationPriority", "2");
    reset(&stage, &mut csms);
    // B10.FR.07
    assert_eq!(csms.wait_for(&stage, "connection")["port"], first);
    assert!(csms.count("denied") >= 2);
    csms.wait_for(&stage, "BootNotification");
    assert_eq!(active_slot(&stage, &mut csms), "1");
    // B10.FR.08: once the other CSMS is reachable, the station connects to it at its next start.
    csms.tell(&stage, json!({ "deny": [] }), "deny");
    reset(&stage, &mut csms);
    assert_eq!(csms.wait_for(&stage, "connection")["port"], other);
    csms.wait_for(&stage, "BootNotification");
    assert_eq!(active_slot(&stage, &mut csms), "2");
    station.terminate();
}

#[test]
fn tc_a_19_upgrade_to_profile_3_and_no_way_back() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let port = csms.port;
    // Profile 2, by its slot: with a password, even if there is a certificate.
    assert_eq!(offer_profile(&stage, &mut csms, 2, port, 2)["status"], "Accepted");
    set(&stage, &mut csms, "NetworkConfigurationPriority", "2");
    reset(&stage, &mut csms);
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 2);
    csms.wait_for(&stage, "BootNotification");
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
    let answer = signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 2);
    // A05.FR.04 to .06
    assert_eq!(offer_profile(&stage, &mut csms, 3, port, 3)["status"], "Accepted");
    set(&stage, &mut csms, "NetworkConfigurationPriority", "3,2");
    reset(&stage, &mut csms);
    let connection = csms.wait_for(&stage, "connection");
    assert_eq!((&connection["profile"], &connection["serial"]), (&json!(3), &issued["serial"]));
    csms.wait_for(&stage, "BootNotification");
    assert_eq!(get(&stage, &mut csms, "SecurityCtrlr", "SecurityProfile"), "3");
    assert_eq!(get(&stage, &mut csms, "OCPPCommCtrlr", "NetworkConfigurationPriority"), "3");
    // A05.FR.10, also across a restart.
    let answer = offer_profile(&stage, &mut csms, 2, port, 2);
    assert_eq!(answer["statusInfo"]["reasonCode"], "NoSecurityDowngrade", "{answer}");
    reset(&stage, &mut csms);
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 3);
    station.terminate();
}
