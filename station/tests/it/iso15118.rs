//! The ISO 15118 controllers over the wire.

use serde_json::{Value, json};

use crate::{python::PythonCsms, stage::Stage};

fn controller(evse: Option<u32>) -> Value {
    match evse {
        Some(evse) => json!({ "name": "ISO15118Ctrlr", "evse": { "id": evse } }),
        None => json!({ "name": "ISO15118Ctrlr" }),
    }
}

/// The status of setting a variable.
#[track_caller]
fn set(csms: &mut PythonCsms, stage: &Stage, evse: Option<u32>, variable: &str, value: &str) -> Value {
    let data =
        json!({ "component": controller(evse), "variable": { "name": variable }, "attributeValue": value });
    let mut answer = csms.call(stage, "SetVariables", json!({ "setVariableData": [data] }));
    answer["setVariableResult"][0]["attributeStatus"].take()
}

/// The status of reading a variable, and its value.
#[track_caller]
fn get(csms: &mut PythonCsms, stage: &Stage, evse: Option<u32>, variable: &str) -> (Value, Value) {
    let data = json!({ "component": controller(evse), "variable": { "name": variable } });
    let mut answer = csms.call(stage, "GetVariables", json!({ "getVariableData": [data] }));
    let result = &mut answer["getVariableResult"][0];
    (result["attributeStatus"].take(), result["attributeValue"].take())
}

/// The variables of ISO15118Ctrlr in a report: EVSE, name, value.
fn report(csms: &mut PythonCsms, stage: &Stage, base: &str) -> Vec<(Value, String, Value)> {
    let answer = csms.call(stage, "GetBaseReport", json!({ "requestId": 9, "reportBase": base }));
    assert_eq!(answer["status"], "Accepted");
    let mut told = Vec::new();
    loop {
        let report = csms.wait_for(stage, "NotifyReport");
        for data in report["reportData"].as_array().expect("data") {
            if data["component"]["name"] == "ISO15118Ctrlr" {
                let attribute = &data["variableAttribute"][0];
                assert_eq!(
                    (&attribute["persistent"], &attribute["mutability"]),
                    (&json!(true), &json!("ReadWrite"))
                );
                let name = data["variable"]["name"].as_str().expect("a name").to_owned();
                told.push((data["component"]["evse"]["id"].clone(), name, attribute["value"].clone()));
            }
        }
        if report["tbc"] != true {
            return told;
        }
    }
}

#[test]
fn controllers_are_read_set_reported_and_kept_over_a_restart() {
    let stage = Stage::prepare();
    let mut csms = stage.operator();
    let section = "\n[iso15118]\nevses = [1, 2]\nsecc_id = [\"SECC-1\", \"SECC-2\"]\ncountry_name = \"NL\"\n";
    stage.configure_more(csms.port, section);
    let station = stage.station();
    csms.wait_for(&stage, "BootNotification");
    let accepted = |value: &str| (json!("Accepted"), json!(value));
    assert_eq!(get(&mut csms, &stage, Some(2), "SeccId"), accepted("SECC-2"));
    assert_eq!(get(&mut csms, &stage, Some(1), "OrganizationName"), accepted("Test CSO"));
    assert_eq!(get(&mut csms, &stage, None, "SeccId").0, "UnknownComponent");
    assert_eq!(get(&mut csms, &stage, Some(3), "SeccId").0, "UnknownComponent");
    assert_eq!(get(&mut csms, &stage, Some(1), "NoSuchVariable").0, "UnknownVariable");
    assert_eq!(set(&mut csms, &stage, Some(3), "SeccId", "X"), "UnknownComponent");
    assert_eq!(set(&mut csms, &stage, Some(1), "CountryName", "Netherlands"), "Rejected");
    assert_eq!(set(&mut csms, &stage, Some(1), "SeccId", &"x".repeat(65)), "Rejected");
    assert_eq!(set(&mut csms, &stage, Some(2), "SeccId", "SECC-9"), "Accepted");
    assert_eq!(set(&mut csms, &stage, Some(2), "PnCEnabled", "false"), "Accepted");
    station.kill();

    let station = stage.station();
    csms.wait_for(&stage, "BootNotification");
    for base in ["FullInventory", "ConfigurationInventory"] {
        let told = report(&mut csms, &stage, base);
        assert_eq!(told.len(), 16, "{told:?}");
        let value = |evse: u32, name: &str| {
            let found = told.iter().find(|(of, known, _)| *of == evse && known == name);
            found.map(|(.., value)| value.clone()).expect(name)
        };
        assert_eq!((value(1, "SeccId"), value(2, "SeccId")), (json!("SECC-1"), json!("SECC-9")), "{base}");
        assert_eq!((value(1, "PnCEnabled"), value(2, "PnCEnabled")), (json!("true"), json!("false")));
        assert_eq!(value(1, "CountryName"), "NL");
    }
    station.terminate();
}

/// How a CSMS learns which SECCs need certificates (A02).
#[test]
fn b08_every_secc_id_is_read_with_one_get_report() {
    for version in ["2.0.1", "2.1"] {
        let stage = Stage::prepare();
        let mut csms = crate::v16::prepare(&stage, version, &[version]);
        crate::v16::append(&stage, "\n[iso15118]\nevses = [1, 2]\nsecc_id = [\"SECC-1\", \"SECC-2\"]\n");
        let station = stage.station();
        csms.wait_for(&stage, "BootNotification");
        let asked = json!({ "component": { "name": "ISO15118Ctrlr" }, "variable": { "name": "SeccId" } });
        let answer = csms.call(&stage, "GetReport", json!({ "requestId": 3, "componentVariable": [asked] }));
        assert_eq!(answer["status"], "Accepted", "{answer}");
        let report = csms.wait_for(&stage, "NotifyReport");
        let told = report["reportData"].as_array().expect("data").iter().map(|data| {
            (data["component"]["evse"]["id"].clone(), data["variableAttribute"][0]["value"].clone())
        });
        let expected = [(json!(1), json!("SECC-1")), (json!(2), json!("SECC-2"))];
        assert_eq!(told.collect::<Vec<_>>(), expected, "{version}");
        let asked = json!({ "component": { "name": "Nonsense" } });
        let answer = csms.call(&stage, "GetReport", json!({ "requestId": 4, "componentVariable": [asked] }));
        assert_eq!(answer["status"], "EmptyResultSet", "{answer}");
        station.terminate();
    }
}

#[test]
fn a_station_without_iso_15118_has_no_such_component() {
    let stage = Stage::prepare();
    let mut csms = stage.operator();
    stage.configure(csms.port);
    let station = stage.station();
    csms.wait_for(&stage, "BootNotification");
    assert_eq!(get(&mut csms, &stage, None, "SeccId").0, "UnknownComponent");
    assert_eq!(get(&mut csms, &stage, Some(1), "SeccId").0, "UnknownComponent");
    assert_eq!(set(&mut csms, &stage, None, "SeccId", "X"), "UnknownComponent");
    assert!(report(&mut csms, &stage, "FullInventory").is_empty());
    station.terminate();
}

#[test]
fn one_controller_stands_for_the_whole_station() {
    let stage = Stage::prepare();
    let mut csms = stage.operator();
    stage.configure_more(csms.port, "\n[iso15118]\n[certificates]\nmax_chain_size = 5600\n");
    let station = stage.station();
    csms.wait_for(&stage, "BootNotification");
    // The default is the station's serial number.
    assert_eq!(get(&mut csms, &stage, None, "SeccId"), (json!("Accepted"), json!("SN-0001")));
    assert_eq!(get(&mut csms, &stage, Some(1), "SeccId").0, "UnknownComponent");
    let told = report(&mut csms, &stage, "FullInventory");
    assert!(told.len() == 8 && told.iter().all(|(evse, ..)| evse.is_null()), "{told:?}");
    station.terminate();
}

/// A02.FR.16: the reported value is the limit that is enforced.
#[test]
fn a02_fr_16_a_chain_longer_than_max_certificate_chain_size_is_rejected() {
    let stage = Stage::prepare();
    let mut csms = stage.operator();
    stage.configure_more(csms.port, "\n[certificates]\nmax_chain_size = 2000\n");
    let station = stage.station();
    csms.wait_for(&stage, "BootNotification");
    let data = json!({ "component": { "name": "SecurityCtrlr" }, "variable": { "name": "MaxCertificateChainSize" } });
    let answer = csms.call(&stage, "GetVariables", json!({ "getVariableData": [data] }));
    assert_eq!(answer["getVariableResult"][0]["attributeValue"], "2000");
    let answer = csms.call(&stage, "CertificateSigned", json!({ "certificateChain": "x".repeat(2001) }));
    assert_eq!(answer["status"], "Rejected");
    assert_eq!(answer["statusInfo"]["reasonCode"], "TooLargeElement", "{answer}");
    station.terminate();
}
