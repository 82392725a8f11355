//! The states in which the test cases of Part 6 start, and the steps that many of them share.

use serde_json::{Value, json};

use crate::stage::{Process, PythonCsms, Stage};

/// A station that has booted with its password, and its CSMS.
pub(crate) fn booted(stage: &Stage) -> (PythonCsms, Process) {
    booted_with(stage, "")
}

/// Like [`booted`], with more sections in the configuration.
pub(crate) fn booted_with(stage: &Stage, sections: &str) -> (PythonCsms, Process) {
    let mut csms = stage.operator();
    stage.configure_more(csms.port, sections);
    let station = stage.station();
    assert_eq!(csms.wait_for(stage, "connection")["profile"], 2);
    csms.wait_for(stage, "BootNotification");
    (csms, station)
}

/// RenewChargingStationCertificate: the station is connected with a certificate that the CSMS has
/// just signed. Returns its serial number.
#[track_caller]
pub(crate) fn renewed(stage: &Stage, csms: &mut PythonCsms) -> String {
    let csr = csr(stage, csms, "SignChargingStationCertificate");
    let issued = csms.issue(stage, json!({ "csr": csr["csr"], "issuer": "ca" }));
    let answer = signed(stage, csms, &issued, "ChargingStationCertificate");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    let connection = csms.wait_for(stage, "connection");
    assert_eq!((&connection["profile"], &connection["serial"]), (&json!(3), &issued["serial"]));
    issued["serial"].as_str().expect("a number").to_owned()
}

/// Makes the station generate a CSR, and returns its SignCertificate.
#[track_caller]
pub(crate) fn csr(stage: &Stage, csms: &mut PythonCsms, trigger: &str) -> Value {
    csr_of(stage, csms, json!({ "requestedMessage": trigger }))
}

/// Like [`csr`], with a whole TriggerMessage.
#[track_caller]
pub(crate) fn csr_of(stage: &Stage, csms: &mut PythonCsms, trigger: Value) -> Value {
    let answer = csms.call(stage, "TriggerMessage", trigger);
    assert_eq!(answer["status"], "Accepted", "{answer}");
    csms.wait_for(stage, "SignCertificate")
}

/// Sends the issued certificate, and returns the station's answer.
#[track_caller]
pub(crate) fn signed(stage: &Stage, csms: &mut PythonCsms, issued: &Value, use_: &str) -> Value {
    let payload = json!({ "certificateChain": issued["pem"], "certificateType": use_ });
    csms.call(stage, "CertificateSigned", payload)
}

/// Makes the station install the root in `NAME.pem`, and returns the answer.
#[track_caller]
pub(crate) fn install(stage: &Stage, csms: &mut PythonCsms, use_: &str, name: &str) -> Value {
    let pem = std::fs::read_to_string(stage.path(&format!("{name}.pem"))).expect("reads");
    csms.call(stage, "InstallCertificate", json!({ "certificateType": use_, "certificate": pem }))
}

/// The station's list of these types; an empty slice selects all types.
#[track_caller]
pub(crate) fn listed(stage: &Stage, csms: &mut PythonCsms, types: &[&str]) -> Vec<Value> {
    let payload = if types.is_empty() { json!({}) } else { json!({ "certificateType": types }) };
    let answer = csms.call(stage, "GetInstalledCertificateIds", payload);
    let list = answer["certificateHashDataChain"].as_array().cloned().unwrap_or_default();
    let status = if list.is_empty() { "NotFound" } else { "Accepted" };
    assert_eq!(answer["status"], status, "{answer}");
    list
}

/// The hash data of a listed root in `NAME.pem`.
pub(crate) fn root_hash(stage: &Stage, csms: &mut PythonCsms, name: &str) -> Value {
    csms.hash_data(stage, name, name, "SHA256")
}

/// Whether `list` holds this certificate under this type.
pub(crate) fn holds(list: &[Value], use_: &str, hash: &Value) -> bool {
    list.iter().any(|entry| entry["certificateType"] == use_ && entry["certificateHashData"] == *hash)
}

#[track_caller]
pub(crate) fn delete(stage: &Stage, csms: &mut PythonCsms, hash: &Value) -> Value {
    csms.call(stage, "DeleteCertificate", json!({ "certificateHashData": hash }))
}

/// Sets a variable; the station accepts the value.
#[track_caller]
pub(crate) fn set(stage: &Stage, csms: &mut PythonCsms, component: &str, variable: &str, value: &str) {
    let data = json!({ "component": { "name": component }, "variable": { "name": variable }, "attributeValue": value });
    let answer = csms.call(stage, "SetVariables", json!({ "setVariableData": [data] }));
    assert_eq!(answer["setVariableResult"][0]["attributeStatus"], "Accepted", "{answer}");
}
