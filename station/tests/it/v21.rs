//! OCPP 2.1, against a CSMS on Python's `ocpp`: the features that 2.0.1 lacks, and the shared ones
//! with the messages of 2.1.

use serde_json::{Value, json};

use crate::{
    python::PythonCsms,
    reusable::{csr, delete, holds, install, listed, root_hash},
    stage::{Process, Stage},
    v16::{append, prepare},
};

/// A station that has booted, and its CSMS.
fn start(stage: &Stage) -> (PythonCsms, Process) {
    let mut csms = prepare(stage, "2.1", &["2.1"]);
    let station = stage.station();
    csms.wait_for(stage, "BootNotification");
    (csms, station)
}

fn certificate_signed(csms: &mut PythonCsms, stage: &Stage, pem: &Value, request_id: &Value) -> Value {
    let payload = json!({ "certificateChain": pem, "certificateType": "ChargingStationCertificate",
        "requestId": request_id });
    csms.call(stage, "CertificateSigned", payload)
}

fn get(csms: &mut PythonCsms, stage: &Stage, component: &str, variable: &str) -> Value {
    let data = json!({ "component": { "name": component }, "variable": { "name": variable } });
    let mut answer = csms.call(stage, "GetVariables", json!({ "getVariableData": [data] }));
    answer["getVariableResult"][0].take()
}

#[test]
fn a02_fr_24_a_certificate_is_renewed_by_the_id_of_its_request() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let mut ids = Vec::new();
    for profile in [2, 3] {
        assert_eq!(csms.wait_for(&stage, "connection")["profile"], profile);
        let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
        assert_eq!(request["certificateType"], "ChargingStationCertificate", "A02.FR.13");
        let id = request["requestId"].as_i64().expect("A02.FR.24");
        assert!(!ids.contains(&id), "{ids:?}, {id}");
        ids.push(id);
        let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
        // A02.FR.26: an id that was never requested.
        let unknown = json!(if id == i64::from(i32::MAX) { 0 } else { id + 1 });
        let answer = certificate_signed(&mut csms, &stage, &issued["pem"], &unknown);
        assert_eq!(
            (&answer["status"], &answer["statusInfo"]["reasonCode"]),
            (&json!("Rejected"), &json!("InvalidValue"))
        );
        let answer = certificate_signed(&mut csms, &stage, &issued["pem"], &json!(id));
        assert_eq!(answer["status"], "Accepted");
    }
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 3);
    // A02.FR.10
    stage.wait_until("one certificate", || stage.inventory().own.len() == 1);
    station.terminate();
}

#[test]
fn a02_fr_25_a_certificate_without_the_id_of_its_request_is_recognised_by_its_key() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
    let payload = json!({ "certificateChain": issued["pem"] });
    assert_eq!(csms.call(&stage, "CertificateSigned", payload)["status"], "Accepted");
    csms.wait_until(&stage, "connection", |connection| connection["profile"] == 3);
    station.terminate();
}

#[test]
fn a02_fr_07_an_invalid_certificate_is_rejected_and_reported() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "manufacturer" }));
    let answer = certificate_signed(&mut csms, &stage, &issued["pem"], &request["requestId"]);
    assert_eq!(answer["statusInfo"]["reasonCode"], "InvalidCertificate");
    csms.wait_until(&stage, "SecurityEventNotification", |event| {
        event["type"] == "InvalidChargingStationCertificate"
    });
    station.terminate();
}

#[test]
fn m03_m04_m05_roots_of_2_1_are_installed_listed_and_deleted() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let hash = root_hash(&stage, &mut csms, "manufacturer");
    for use_ in ["OEMRootCertificate", "MORootCertificate"] {
        assert_eq!(install(&stage, &mut csms, use_, "manufacturer")["status"], "Accepted");
        assert!(holds(&listed(&stage, &mut csms, &[use_]), use_, &hash));
    }
    assert_eq!(listed(&stage, &mut csms, &[]).len(), 3);
    assert_eq!(listed(&stage, &mut csms, &["OEMRootCertificate", "V2GRootCertificate"]).len(), 1);
    // The request does not specify the use.
    let other = csms.hash_data(&stage, "manufacturer", "manufacturer", "SHA384");
    assert_eq!(delete(&stage, &mut csms, &other)["status"], "Accepted");
    assert_eq!(delete(&stage, &mut csms, &hash)["status"], "NotFound");
    assert_eq!(listed(&stage, &mut csms, &[]).len(), 1);
    station.terminate();
}

#[test]
fn a02_fr_22_a02_fr_23_a02_fr_27_certificates_for_vehicles_by_both_standards() {
    let stage = Stage::prepare();
    stage.root("v2g", "/O=Test V2G/CN=V2G Root");
    let mut csms = prepare(&stage, "2.1", &["2.1"]);
    append(
        &stage,
        "\n[iso15118]\nevses = [1, 2]\nsecc_id = [\"SECC-1\", \"SECC-2\"]\ncountry_name = \"NL\"\n",
    );
    let station = stage.station();
    csms.wait_for(&stage, "BootNotification");
    assert_eq!(install(&stage, &mut csms, "V2GRootCertificate", "v2g")["status"], "Accepted");
    let root = root_hash(&stage, &mut csms, "v2g");
    for (trigger, use_, bits) in
        [("SignV2GCertificate", "V2GCertificate", 256), ("SignV2G20Certificate", "V2G20Certificate", 521)]
    {
        let wanted = json!({ "requestedMessage": trigger, "evse": { "id": 2 } });
        assert_eq!(csms.call(&stage, "TriggerMessage", wanted)["status"], "Accepted");
        let request = csms.wait_for(&stage, "SignCertificate");
        assert_eq!(request["certificateType"], use_);
        assert_eq!(request["hashRootCertificate"], root, "A02.FR.27");
        let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "v2g", "ocsp": trigger }));
        assert_eq!(
            (&issued["csr"]["bits"], &issued["csr"]["subject"]["CN"]),
            (&json!(bits), &json!(["SECC-2"]))
        );
        let payload = json!({ "certificateChain": issued["pem"], "certificateType": use_,
            "requestId": request["requestId"] });
        assert_eq!(csms.call(&stage, "CertificateSigned", payload)["status"], "Accepted");
        // M06.FR.07, with the messages of 2.1.
        let asked = csms.wait_for(&stage, "GetCertificateStatus");
        assert_eq!(asked["ocspRequestData"]["serialNumber"], issued["serial"]);
    }
    assert_eq!(listed(&stage, &mut csms, &["V2GCertificateChain"]).len(), 2);
    station.terminate();
}

#[test]
fn variables_are_read_set_and_reported() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let found = get(&mut csms, &stage, "SecurityCtrlr", "SecurityProfile");
    assert_eq!((&found["attributeStatus"], &found["attributeValue"]), (&json!("Accepted"), &json!("2")));
    assert_eq!(get(&mut csms, &stage, "SecurityCtrlr", "Colour")["attributeStatus"], "UnknownVariable");
    let set = |component: &str, variable: &str, value: &str| json!({ "component": { "name": component }, "variable": { "name": variable }, "attributeValue": value });
    // 2.1 permits 2,500 characters, 2.0.1 1,000.
    let long = "9".repeat(2500);
    let data = [
        set("OCPPCommCtrlr", "WebSocketPingInterval", "7"),
        set("OCPPCommCtrlr", "WebSocketPingInterval", &long),
        set("SecurityCtrlr", "Identity", &long),
        set("SecurityCtrlr", "Colour", &long),
        set("Weather", "Colour", "blue"),
    ];
    let answer = csms.call(&stage, "SetVariables", json!({ "setVariableData": data }));
    let results = answer["setVariableResult"].as_array().expect("results");
    let status: Vec<_> =
        results.iter().map(|result| result["attributeStatus"].as_str().expect("text")).collect();
    assert_eq!(status, ["Accepted", "Rejected", "Rejected", "UnknownVariable", "UnknownComponent"]);
    assert_eq!(results[2]["attributeStatusInfo"]["reasonCode"], "ReadOnly");
    assert_eq!(get(&mut csms, &stage, "OCPPCommCtrlr", "WebSocketPingInterval")["attributeValue"], "7");

    let wanted = json!({ "requestId": 5, "reportBase": "FullInventory" });
    assert_eq!(csms.call(&stage, "GetBaseReport", wanted)["status"], "Accepted");
    let mut told = Vec::new();
    loop {
        let report = csms.wait_for(&stage, "NotifyReport");
        assert_eq!((&report["requestId"], &report["seqNo"]), (&json!(5), &json!(told.len().div_ceil(8))));
        let data = report["reportData"].as_array().expect("data").iter();
        told.extend(data.map(|data| data["variable"]["name"].as_str().expect("a name").to_owned()));
        if report["tbc"] == false {
            break;
        }
    }
    for name in ["OrganizationName", "CertificateEntries", "BasicAuthPassword"] {
        assert!(told.iter().any(|known| known == name), "{told:?}");
    }
    let one = json!({ "component": { "name": "SecurityCtrlr" }, "variable": { "name": "OrganizationName" } });
    let wanted = json!({ "requestId": 6, "componentVariable": [one] });
    assert_eq!(csms.call(&stage, "GetReport", wanted)["status"], "Accepted");
    let report = csms.wait_for(&stage, "NotifyReport");
    assert_eq!((&report["requestId"], &report["tbc"]), (&json!(6), &json!(false)));
    assert_eq!(report["reportData"][0]["variableAttribute"][0]["value"], "Test CSO");
    station.terminate();
}

#[test]
fn b09_fr_22_profiles_are_stored_in_slots_that_are_not_in_use() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    // The package writes this name in another case.
    let profile = |slot: u8, more: Value| {
        let mut data = json!({ "ocppTransport": "JSON", "ocppCSMSURL": "wss://two.example/ocpp",
            "messageTimeout": 30, "securityProfile": 3, "ocppInterface": "Any", "ocppVersion": "OCPP21" });
        data.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        json!({ "configurationSlot": slot, "connectionData": data })
    };
    for (slot, more, status, reason) in [
        (2, json!({}), "Accepted", Value::Null),
        (1, json!({}), "Rejected", json!("ActiveNetworkConf")),
        (9, json!({}), "Rejected", json!("InvalidConfSlot")),
        (3, json!({ "identity": "CS002" }), "Rejected", json!("InvalidNetworkConf")),
        (3, json!({ "securityProfile": 1 }), "Rejected", json!("NoSecurityDowngrade")),
        (3, json!({ "securityProfile": 0 }), "Rejected", json!("InvalidNetworkConf")),
    ] {
        let answer = csms.call(&stage, "SetNetworkProfile", profile(slot, more));
        assert_eq!(
            (&answer["status"], &answer["statusInfo"]["reasonCode"]),
            (&json!(status), &reason),
            "{slot}"
        );
    }
    station.terminate();
}

#[test]
fn b12_the_station_starts_anew_with_nothing_to_resume() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    let answer = csms.call(&stage, "Reset", json!({ "type": "Immediate", "evseId": 1 }));
    assert_eq!(answer["status"], "Rejected");
    let answer = csms.call(&stage, "Reset", json!({ "type": "ImmediateAndResume" }));
    assert_eq!(answer["status"], "Accepted");
    assert_eq!(csms.wait_for(&stage, "BootNotification")["reason"], "RemoteReset");
    station.terminate();
}

#[test]
fn f06_fr_08_what_the_station_does_not_send_is_not_implemented() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage);
    for message in
        ["SignV2GCertificate", "SignV2G20Certificate", "SignCombinedCertificate", "StatusNotification"]
    {
        let answer = csms.call(&stage, "TriggerMessage", json!({ "requestedMessage": message }));
        assert_eq!(answer["status"], "NotImplemented", "{message}");
    }
    let custom = json!({ "requestedMessage": "CustomTrigger", "customTrigger": "Colour" });
    assert_eq!(csms.call(&stage, "TriggerMessage", custom)["status"], "NotImplemented");
    let answer = csms.call(&stage, "TriggerMessage", json!({ "requestedMessage": "Heartbeat" }));
    assert_eq!(answer["status"], "Accepted");
    csms.wait_for(&stage, "Heartbeat");
    station.terminate();
}
