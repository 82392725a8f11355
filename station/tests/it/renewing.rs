//! Certificates that the station requests again, by itself, and for vehicles (A02, A03, M06), with
//! the real program.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use station_store::{CertificateSigningUse, MAX_PENDING, NewPending, SendNote, Settings, Store};

use crate::{
    python::{Frame, PythonCsms, Sender},
    reusable::{booted, booted_with, csr, install, listed, renewed, signed},
    stage::Stage,
};

#[track_caller]
fn set(stage: &Stage, csms: &mut PythonCsms, component: Value, variable: &str, value: &str) {
    let data = json!({ "component": component, "variable": { "name": variable }, "attributeValue": value });
    let answer = csms.call(stage, "SetVariables", json!({ "setVariableData": [data] }));
    assert_eq!(answer["setVariableResult"][0]["attributeStatus"], "Accepted", "{answer}");
}

fn get(stage: &Stage, csms: &mut PythonCsms, component: Value, variable: &str) -> Value {
    let data = json!({ "component": component, "variable": { "name": variable } });
    let mut answer = csms.call(stage, "GetVariables", json!({ "getVariableData": [data] }));
    answer["getVariableResult"][0]["attributeValue"].take()
}

fn requests(stage: &Stage, csms: &mut PythonCsms) -> Vec<Frame> {
    let frames = csms.frames(stage);
    frames.into_iter().filter(|frame| frame.is_call(Sender::Station, "SignCertificate")).collect()
}

/// A certificate that expires in one minute is in the last third of its life at once, and is
/// renewed without a trigger.
#[test]
fn a03_fr_02_a_certificate_is_renewed_before_it_expires() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    // The first renewal comes an hour after a certificate at the earliest: the station must
    // restart.
    let wanted = json!({ "csr": request["csr"], "issuer": "ca", "from": -3600, "to": 600 });
    let issued = csms.issue(&stage, wanted);
    signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
    station.kill();
    let station = stage.station();
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
    let request = csms.wait_for(&stage, "SignCertificate");
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
    signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
    station.terminate();
    assert!(stage.inventory().pending.is_empty());
}

/// F06.FR.10, A02.FR.17: killed while the request waits, the station continues from there.
#[test]
fn a02_fr_17_a_wait_goes_on_after_a_crash_with_the_same_request() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let security = json!({ "name": "SecurityCtrlr" });
    set(&stage, &mut csms, security.clone(), "CertSigningWaitMinimum", "3");
    let first = csr(&stage, &mut csms, "SignChargingStationCertificate");
    stage.wait_for_log("the certificate will follow");
    station.kill();
    let station = stage.station();
    assert_eq!(csms.wait_for(&stage, "SignCertificate"), first);
    let sent = requests(&stage, &mut csms);
    // Measured by the system's clock, which is not the CSMS's monotonic one.
    assert!(sent[1].at - sent[0].at >= Duration::from_millis(2_900), "{sent:?}");
    station.terminate();
}

/// A02.FR.19: a CSMS that has accepted many requests and answered none has filled the store. Only a
/// trigger can begin a new request. It is served, even after a restart.
#[test]
fn a02_fr_19_a_trigger_is_served_though_the_store_is_full_of_requests() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    station.kill();
    let store = Store::open(stage.path("data").join("certificates.redb"), Settings::new("SN-0001"));
    let store = store.expect("opens");
    for number in 0..MAX_PENDING {
        let new = NewPending::new(format!("pkcs11:object=filler-{number}"), CertificateSigningUse::V2g);
        let id = store.begin_pending(&new.common_name(format!("SECC-{number}"))).expect("room");
        // A SubjectPublicKeyInfo of P-256, each with a different point.
        let mut spki = P256_BEFORE_THE_POINT.to_vec();
        spki.extend(std::iter::repeat_n(u8::try_from(number).expect("small"), 64));
        store.complete_pending(id, &spki, "a CSR").expect("completed");
        store.note_send(id, SendNote { accepted: 1, due: None }).expect("noted");
    }
    drop(store);
    let station = stage.station();
    csms.wait_for(&stage, "connection");
    csms.wait_for(&stage, "BootNotification");
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    stage.wait_for_log("an older request is given up");
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
    signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
    station.terminate();
    let waiting: Vec<_> = stage.inventory().pending.into_iter().map(|pending| pending.key_uri).collect();
    assert_eq!(waiting.len(), MAX_PENDING - 1);
    assert!(!waiting.contains(&"pkcs11:object=filler-0".to_owned()), "the oldest went");
}

/// The DER of a SubjectPublicKeyInfo up to the coordinates (RFC 5480).
const P256_BEFORE_THE_POINT: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

const VEHICLES: &str =
    "\n[iso15118]\nevses = [1, 2]\nsecc_id = [\"SECC-1\", \"SECC-2\"]\ncountry_name = \"NL\"\n";

/// A V2G root with two sub-CAs, installed.
fn vehicle_pki(stage: &Stage, csms: &mut PythonCsms) {
    let authority = |csms: &mut PythonCsms, name: &str, issuer: Option<&str>| {
        let mut wanted = json!({ "subject": { "CN": name, "O": "Test V2G" }, "ca": true, "file": name });
        if let Some(issuer) = issuer {
            wanted["issuer"] = json!(issuer);
            wanted["ocsp"] = json!(name);
        }
        csms.issue(stage, wanted);
    };
    authority(csms, "v2g-root", None);
    authority(csms, "v2g-sub1", Some("v2g-root"));
    authority(csms, "v2g-sub2", Some("v2g-sub1"));
    assert_eq!(install(stage, csms, "V2GRootCertificate", "v2g-root")["status"], "Accepted");
}

fn vehicle_certificate(stage: &Stage, csms: &mut PythonCsms, request: &Value) -> Value {
    csms.issue(
        stage,
        json!({ "csr": request["csr"], "issuer": "v2g-sub2", "chain": ["v2g-sub2", "v2g-sub1"], "ocsp": "leaf" }),
    )
}

#[test]
fn a02_v2g_one_request_for_each_secc_and_no_reconnect() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted_with(&stage, VEHICLES);
    vehicle_pki(&stage, &mut csms);
    // For EVSE 2 only.
    let trigger = |evse: Value| {
        let mut payload = json!({ "requestedMessage": "SignV2GCertificate" });
        if !evse.is_null() {
            payload["evse"] = json!({ "id": evse });
        }
        payload
    };
    let answer = csms.call(&stage, "TriggerMessage", trigger(json!(2)));
    assert_eq!(answer["status"], "Accepted");
    let request = csms.wait_for(&stage, "SignCertificate");
    assert_eq!(request["certificateType"], "V2GCertificate");
    let issued = vehicle_certificate(&stage, &mut csms, &request);
    let asked = &issued["csr"];
    assert_eq!(asked["subject"], json!({ "CN": ["SECC-2"], "O": ["Test CSO"], "C": ["NL"], "DC": ["CPO"] }));
    assert!(asked["elliptic"] == true && asked["bits"] == 256, "{asked}");
    let answer = signed(&stage, &mut csms, &issued, "V2GCertificate");
    assert_eq!(answer["status"], "Accepted", "{answer}\n{}", stage.log());
    // M06.FR.07, TC_M_24: leaf and both sub-CAs.
    for _ in 0..3 {
        csms.wait_for(&stage, "GetCertificateStatus");
    }
    stage.wait_until("three statuses", || stage.log().matches("status=Good").count() == 3);
    // There is no such EVSE. Without an EVSE, both are meant.
    assert_eq!(csms.call(&stage, "TriggerMessage", trigger(json!(7)))["status"], "Rejected");
    assert_eq!(csms.call(&stage, "TriggerMessage", trigger(Value::Null))["status"], "Accepted");
    let mut names = Vec::new();
    for _ in 0..2 {
        let request = csms.wait_for(&stage, "SignCertificate");
        let issued = vehicle_certificate(&stage, &mut csms, &request);
        assert_eq!(signed(&stage, &mut csms, &issued, "V2GCertificate")["status"], "Accepted");
        names.push(issued["csr"]["subject"]["CN"][0].clone());
    }
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, ["SECC-1", "SECC-2"]);
    assert_eq!(csms.count("connection"), 0, "certificates for vehicles change nothing about the connection");
    station.terminate();
}

#[test]
fn a02_fr_21_pnc_is_off_until_the_next_start_where_no_certificate_is_signed() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted_with(&stage, VEHICLES);
    csms.behave_once(&stage, "SignCertificate", json!({ "payload": { "status": "Rejected" } }));
    let payload = json!({ "requestedMessage": "SignV2GCertificate", "evse": { "id": 1 } });
    assert_eq!(csms.call(&stage, "TriggerMessage", payload)["status"], "Accepted");
    csms.wait_for(&stage, "SignCertificate");
    stage.wait_for_log("PnCEnabled is off");
    let controller = |evse: u32| json!({ "name": "ISO15118Ctrlr", "evse": { "id": evse } });
    assert_eq!(get(&stage, &mut csms, controller(1), "PnCEnabled"), "false");
    assert_eq!(get(&stage, &mut csms, controller(2), "PnCEnabled"), "true");
    station.kill();
    let station = stage.station();
    csms.wait_for(&stage, "BootNotification");
    assert_eq!(get(&stage, &mut csms, controller(1), "PnCEnabled"), "true");
    station.terminate();
}

/// The station holds a root that the root before it has signed. Its CSMS presents a certificate
/// under either.
fn second_root(stage: &Stage) -> (PythonCsms, crate::stage::Process) {
    let (mut csms, station) = booted_with(stage, "\n[certificates]\nadditional_root_check = true\n");
    let wanted = json!({ "subject": { "CN": "Root 2", "O": "Test CSO" }, "issuer": "ca", "ca": true, "file": "root2" });
    csms.issue(stage, wanted);
    stage.server_certificate("server2", "root2", "/O=Test CSO/CN=localhost", crate::stage::Validity::Now);
    assert_eq!(install(stage, &mut csms, "CSMSRootCertificate", "root2")["status"], "Accepted");
    assert_eq!(listed(stage, &mut csms, &["CSMSRootCertificate"]).len(), 2);
    (csms, station)
}

/// M05.FR.15, .16: the new root applies on the way to another CSMS, the old root on the way back,
/// also across a restart.
#[test]
fn m05_fr_16_tc_b_47_back_from_a_migration_by_the_old_root() {
    let stage = Stage::prepare();
    let (mut csms, station) = second_root(&stage);
    stage.server_certificate(
        "stranger",
        "manufacturer",
        "/O=Test CSO/CN=localhost",
        crate::stage::Validity::Now,
    );
    let other = csms.listen(&stage, "stranger");
    let profile = json!({ "configurationSlot": 2, "connectionData": {
        "ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": format!("wss://localhost:{other}/ocpp"),
        "messageTimeout": 30, "securityProfile": 3, "ocppInterface": "Wired0" } });
    renewed(&stage, &mut csms);
    assert_eq!(csms.call(&stage, "SetNetworkProfile", profile)["status"], "Accepted");
    let communication = json!({ "name": "OCPPCommCtrlr" });
    set(&stage, &mut csms, communication.clone(), "NetworkProfileConnectionAttempts", "2");
    set(&stage, &mut csms, communication, "NetworkConfigurationPriority", "2,1");
    // Discards the earlier attempts.
    let knocks = |csms: &mut PythonCsms| {
        (0..csms.count("knock")).map(|_| csms.wait_for(&stage, "knock")).collect::<Vec<_>>()
    };
    knocks(&mut csms);
    assert_eq!(csms.call(&stage, "Reset", json!({ "type": "OnIdle" }))["status"], "Accepted");
    csms.wait_until(&stage, "BootNotification", |boot| boot["reason"] == "RemoteReset");
    assert_eq!(listed(&stage, &mut csms, &["CSMSRootCertificate"]).len(), 2);
    // The new CSMS had its attempts, and the old one did not have to be proved by the new root.
    assert_eq!(knocks(&mut csms), [json!(other), json!(other), json!(csms.port)]);
    station.terminate();
}

/// A00.FR.807, B02.FR.02: a station that is Pending gets its certificate, and sends nothing else
/// meanwhile.
#[test]
fn a00_fr_807_a_pending_station_sends_the_request_that_was_triggered() {
    let stage = Stage::prepare();
    let mut csms = stage.operator();
    let pending =
        json!({ "payload": { "currentTime": "2026-01-02T03:04:05Z", "interval": 60, "status": "Pending" } });
    csms.behave_once(&stage, "BootNotification", pending);
    stage.configure(csms.port);
    let station = stage.station();
    csms.wait_for(&stage, "connection");
    csms.wait_for(&stage, "BootNotification");
    renewed(&stage, &mut csms);
    csms.wait_for(&stage, "BootNotification");
    // Earlier events are reported only now (B01.FR.08).
    csms.wait_for(&stage, "SecurityEventNotification");
    let frames = csms.frames(&stage);
    let mut said = frames.iter().filter(|frame| frame.from == Sender::Station && frame.message[0] == 2);
    assert!(said.next().is_some_and(|frame| frame.message[2] == "BootNotification"));
    assert!(said.next().is_some_and(|frame| frame.message[2] == "SignCertificate"));
    assert!(said.next().is_some_and(|frame| frame.message[2] == "BootNotification"));
    // The CSMS's clock is months behind.
    stage.wait_for_log("the clocks of station and CSMS differ");
    station.terminate();
}

/// One certificate for the connection and for vehicles: requested without a type, used for the
/// connection, and listed.
#[test]
fn a02_fr_13_a_certificate_for_both_uses() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted_with(&stage, "\n[iso15118]\ncombined_certificates = true\n");
    assert_eq!(install(&stage, &mut csms, "V2GRootCertificate", "ca")["status"], "Accepted");
    let request = csr(&stage, &mut csms, "SignCombinedCertificate");
    assert!(request.get("certificateType").is_none_or(Value::is_null), "{request}");
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
    let answer = csms.call(&stage, "CertificateSigned", json!({ "certificateChain": issued["pem"] }));
    assert_eq!(answer["status"], "Accepted", "{answer}");
    let connection = csms.wait_for(&stage, "connection");
    assert_eq!((&connection["profile"], &connection["serial"]), (&json!(3), &issued["serial"]));
    let chains = listed(&stage, &mut csms, &["V2GCertificateChain"]);
    assert_eq!(chains[0]["certificateHashData"]["serialNumber"], issued["serial"]);
    station.terminate();
}

/// Neighbours that use OpenSSL get the roots in files, which follow every change.
#[test]
fn trust_bundles_follow_the_roots() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted_with(&stage, "\n[certificates]\ntrust_bundles = \"bundles\"\n");
    let bundle = |name: &str| fs::read_to_string(stage.path("bundles").join(name)).expect("reads");
    let count = |name: &str| bundle(name).matches("BEGIN CERTIFICATE").count();
    assert_eq!((count("csms.pem"), count("manufacturer.pem")), (1, 0));
    assert_eq!(
        install(&stage, &mut csms, "ManufacturerRootCertificate", "manufacturer")["status"],
        "Accepted"
    );
    assert_eq!(count("manufacturer.pem"), 1);
    stage.openssl(&["verify", "-CAfile", "bundles/manufacturer.pem", "manufacturer.pem"]);
    station.terminate();
}

/// The folder in which SoftHSM keeps the station's token.
fn token_folder(stage: &Stage) -> PathBuf {
    let configuration = std::env::var_os("SOFTHSM2_CONF").expect("run the tests with `cargo xtask test`");
    let text = fs::read_to_string(configuration).expect("reads");
    let folder = text.lines().find_map(|line| line.strip_prefix("directories.tokendir")).expect("a folder");
    let label = stage.token_uri();
    let label = label.trim_start_matches("pkcs11:token=").split('?').next().expect("a label").as_bytes();
    let is_ours = |token: &PathBuf| {
        let object = fs::read(token.join("token.object")).unwrap_or_default();
        object.windows(label.len()).any(|window| window == label)
    };
    let tokens = fs::read_dir(folder.trim_start_matches([' ', '='])).expect("lists");
    tokens.map(|entry| entry.expect("an entry").path()).find(is_ours).expect("the station's token")
}

/// F06.FR.10: the trigger was accepted while the token was absent. The request follows when the
/// token is back.
#[test]
fn f06_fr_10_a_token_that_comes_back_keeps_the_promise() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    set(&stage, &mut csms, json!({ "name": "SecurityCtrlr" }), "CertSigningWaitMinimum", "2");
    let folder = token_folder(&stage);
    // Moves it out of the folder in which SoftHSM looks for tokens.
    let elsewhere = folder.parent().and_then(Path::parent).expect("a folder above");
    let away = elsewhere.join(folder.file_name().expect("a name"));
    fs::rename(&folder, &away).expect("moved away");
    let trigger = json!({ "requestedMessage": "SignChargingStationCertificate" });
    assert_eq!(csms.call(&stage, "TriggerMessage", trigger)["status"], "Accepted");
    stage.wait_for_log("no certificate request was made");
    fs::rename(&away, &folder).expect("moved back");
    let request = csms.wait_for(&stage, "SignCertificate");
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
    signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
    station.terminate();
    assert_eq!(stage.keys(), 1);
}
