//! A renewal that an operator starts at the station (A03), and the output of the command.

use std::{
    fs,
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use crate::{
    reusable::{booted, booted_with, install, signed},
    stage::Stage,
};

/// The steps of each subject, and the report.
#[track_caller]
fn told(output: &Output) -> (Vec<(String, Value)>, Value) {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let report = lines.pop().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let steps = lines.into_iter().map(|mut line| {
        let step = match &line["step"] {
            Value::Object(step) => json!(step.keys().next()),
            _ => line["step"].take(),
        };
        (line["subject"].as_str().expect("a name").to_owned(), step)
    });
    (steps.collect(), report)
}

fn steps(names: &[&str], subject: &str) -> Vec<(String, Value)> {
    names.iter().map(|name| (subject.to_owned(), json!(name))).collect()
}

#[test]
fn a03_renew_follows_a_request_until_the_certificate_has_come() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let command = stage.command(&["renew", "--wait"]).stdout(Stdio::piped()).spawn().expect("starts");
    let asked = csms.wait_for(&stage, "SignCertificate");
    assert_eq!(asked["certificateType"], "ChargingStationCertificate", "A02.FR.13");
    let issued = csms.issue(&stage, json!({ "csr": asked["csr"], "issuer": "ca" }));
    assert_eq!(signed(&stage, &mut csms, &issued, "ChargingStationCertificate")["status"], "Accepted");
    let output = command.wait_with_output().expect("ends");
    assert!(output.status.success());
    let (told, report) = told(&output);
    assert_eq!(told, steps(&["begun", "key_made", "sent", "accepted", "ended"], "station"));
    assert_eq!(report["renewals"], json!([{ "subject": "station", "outcome": "certificate" }]));
    assert_eq!(csms.wait_for(&stage, "connection")["profile"], 3);
    station.terminate();
}

#[test]
fn a02_fr_12_renew_fails_where_the_csms_rejects_the_request() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    csms.behave(&stage, "SignCertificate", json!({ "payload": { "status": "Rejected" } }));
    let output = stage.plain_command(&["renew", "--wait"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(1));
    let [text, error] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(text.contains("station: the CSMS rejected the request"), "{text}");
    assert!(error.contains("no certificate has come"), "{error}");
    // The key is destroyed after the end is reported.
    stage.wait_until("nothing waits", || stage.inventory().pending.is_empty());
    station.terminate();
}

#[test]
fn a_renewal_without_a_connection_survives_a_crash_and_is_sent_later() {
    let stage = Stage::prepare();
    // No CSMS is listening there.
    stage.configure(1);
    let station = stage.station();
    stage.wait_until("the socket", || stage.command(&["status"]).output().expect("starts").status.success());
    let output = stage.plain_command(&["renew"]).output().expect("starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("not connected"), "{text}");
    station.kill();
    assert_eq!(stage.inventory().pending.len(), 1);

    let mut csms = stage.operator();
    let file = stage.path("station.toml");
    let text = fs::read_to_string(&file).expect("reads");
    fs::write(file, text.replace(":1/", &format!(":{}/", csms.port))).expect("writes");
    let station = stage.station();
    csms.wait_for(&stage, "SignCertificate");
    let status = || {
        let output = stage.command(&["status"]).output().expect("starts");
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    stage.wait_until("the acceptance", || {
        status()["renewals"][0]["state"].as_str().is_some_and(|state| state.contains("accepted"))
    });
    assert!(status()["renewals"][0]["next"].is_string(), "A02.FR.17");
    let text = stage.plain_command(&["inventory"]).output().expect("starts").stdout;
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("accepted 1 time, next "), "{text}");
    station.terminate();
}

#[test]
fn a_newer_request_takes_the_place_of_one_that_is_waited_for() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let first = stage.command(&["renew", "--wait"]).stdout(Stdio::piped()).spawn().expect("starts");
    csms.wait_for(&stage, "SignCertificate");
    assert!(stage.command(&["renew"]).output().expect("starts").status.success());
    let output = first.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(told(&output).1["renewals"][0]["outcome"], "replaced");
    station.terminate();
}

#[test]
fn renew_says_what_is_missing() {
    let stage = Stage::prepare();
    let fails = |arguments: &[&str], code: i32, told: &str| {
        let output = stage.command(arguments).output().expect("starts");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(told), "{error}");
    };
    stage.configure(1);
    fails(&["renew"], 1, "start it with `ocpp-station run`");
    fails(&["renew", "--secc-id", "A"], 2, "--use v2g");
    let (_csms, station) = booted(&stage);
    fails(&["renew", "--use", "v2g"], 1, "[iso15118]");
    fails(&["renew", "--use", "v2g", "--secc-id", "A"], 1, "[iso15118]");
    fails(&["renew", "--use", "combined"], 1, "[iso15118]");
    fails(&["renew", "--use", "v2g20"], 1, "OCPP 2.0.1");
    station.terminate();
}

const VEHICLES: &str = "\n[iso15118]\nevses = [1, 2, 3]\nsecc_id = [\"SECC-A\", \"SECC-B\", \"SECC-A\"]\n";

#[test]
fn a02_one_request_for_each_secc_and_its_chain_in_the_inventory() {
    let stage = Stage::prepare();
    stage.root("v2g", "/O=Test V2G/CN=V2G Root");
    let (mut csms, station) = booted_with(&stage, VEHICLES);
    let answer = install(&stage, &mut csms, "V2GRootCertificate", "v2g");
    assert_eq!(answer["status"], "Accepted");
    let output = stage.command(&["renew", "--use", "v2g", "--secc-id", "SECC-X"]).output().expect("starts");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("SECC-A, SECC-B"), "{error}");

    assert!(stage.command(&["renew", "--use", "v2g"]).output().expect("starts").status.success());
    let mut names = Vec::new();
    for _ in 0..2 {
        let asked = csms.wait_for(&stage, "SignCertificate");
        assert_eq!(asked["certificateType"], "V2GCertificate", "A02.FR.13");
        let issued = csms.issue(&stage, json!({ "csr": asked["csr"], "issuer": "v2g" }));
        names.push(issued["csr"]["subject"]["CN"][0].clone());
    }
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, ["SECC-A", "SECC-B"]);

    let command = stage.command(&["renew", "--use", "v2g", "--secc-id", "SECC-B", "--wait"]);
    let command = { command }.stdout(Stdio::piped()).spawn().expect("starts");
    let asked = csms.wait_for(&stage, "SignCertificate");
    let sub_ca = json!({ "issuer": "v2g", "subject": { "CN": "V2G Sub", "O": "Test V2G" }, "ca": true, "file": "sub" });
    let sub_ca = csms.issue(&stage, sub_ca);
    let leaf = csms.issue(&stage, json!({ "csr": asked["csr"], "issuer": "sub" }));
    let text = |issued: &Value| issued["pem"].as_str().expect("PEM").to_owned();
    let chain = json!({ "pem": text(&leaf) + &text(&sub_ca) });
    let answer = signed(&stage, &mut csms, &chain, "V2GCertificate");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    let output = command.wait_with_output().expect("ends");
    assert!(output.status.success());
    assert_eq!(told(&output).1["renewals"], json!([{ "subject": "v2g SECC-B", "outcome": "certificate" }]));

    let inventory = stage.inventory();
    let [secc] = inventory.vehicle.as_slice() else { panic!("{inventory:?}") };
    assert!(secc.certificate.subject.contains("CN=SECC-B") && secc.in_use);
    assert_eq!(secc.children.len(), 1);
    // The chain as it was signed, apart from line ends.
    let signed = station_store::Certificate::chain_from_pem(chain["pem"].as_str().expect("PEM"), 2);
    let kept = station_store::Certificate::chain_from_pem(&secc.chain_pem, 2);
    assert!(kept.is_ok_and(|kept| signed.is_ok_and(|signed| signed == kept)));
    assert!(secc.children[0].subject.contains("CN=V2G Sub") && secc.children[0].hash_data.is_some());
    // The other SECC's request still waits; the former one is removed after the end is reported.
    stage.wait_until("one request waits", || stage.inventory().pending.len() == 1);
    assert_eq!(stage.inventory().pending[0].common_name.as_deref(), Some("SECC-A"));
    let text = stage.plain_command(&["inventory"]).output().expect("starts").stdout;
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("└ ") && text.contains("V2GRootCertificate"), "{text}");
    station.terminate();
}

#[test]
fn a02_fr_21_pnc_is_off_at_the_evses_of_a_rejected_secc_until_a_restart() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted_with(&stage, VEHICLES);
    let enabled = |csms: &mut crate::stage::PythonCsms| {
        [1, 2, 3].map(|evse| {
            let data = json!({ "component": { "name": "ISO15118Ctrlr", "evse": { "id": evse } },
                "variable": { "name": "PnCEnabled" } });
            let mut answer = csms.call(&stage, "GetVariables", json!({ "getVariableData": [data] }));
            answer["getVariableResult"][0]["attributeValue"].take()
        })
    };
    assert_eq!(enabled(&mut csms), ["true", "true", "true"]);
    csms.behave(&stage, "SignCertificate", json!({ "payload": { "status": "Rejected" } }));
    let output = stage.command(&["renew", "--use", "v2g", "--secc-id", "SECC-A", "--wait"]).output();
    assert_eq!(output.expect("starts").status.code(), Some(1));
    assert_eq!(enabled(&mut csms), ["false", "true", "false"]);
    station.kill();
    let station = stage.station();
    csms.wait_for(&stage, "BootNotification");
    assert_eq!(enabled(&mut csms), ["true", "true", "true"], "it is not persistent");
    station.terminate();
}
