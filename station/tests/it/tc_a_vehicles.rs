//! The certificates that vehicles check: TC_A_12, TC_M_15, TC_M_24, TC_M_25.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    python::Sender,
    reusable::{booted_with, csr_of, delete, install, listed, signed},
    stage::{Process, PythonCsms, Stage},
};

/// A station with two EVSEs, each with an SECC.
const TWO_SECCS: &str =
    "[iso15118]\nevses = [1, 2]\nsecc_id = [\"SECC-1\", \"SECC-2\"]\ncountry_name = \"NL\"\n";

/// A station with one SECC.
const ONE_SECC: &str = "[iso15118]\nsecc_id = \"SECC-1\"\ncountry_name = \"NL\"\n";

/// A station that has booted and holds the V2G root, and its CSMS, which has two sub-CAs below that
/// root. With `ocsp`, their certificates name the responder of this CSMS.
pub(crate) fn start(stage: &Stage, section: &str, ocsp: bool) -> (PythonCsms, Process) {
    let (mut csms, station) = booted_with(stage, section);
    make_vehicle_pki(stage, &mut csms, ocsp);
    let answer = install(stage, &mut csms, "V2GRootCertificate", "v2g");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    (csms, station)
}

/// `v2g.pem`, below it `v2g-sub1.pem`, below that `v2g-sub2.pem`.
fn make_vehicle_pki(stage: &Stage, csms: &mut PythonCsms, ocsp: bool) {
    for (file, issuer) in [("v2g", None), ("v2g-sub1", Some("v2g")), ("v2g-sub2", Some("v2g-sub1"))] {
        let mut wanted =
            json!({ "file": file, "ca": true, "subject": { "O": "V2G", "CN": file, "DC": "V2G" } });
        if let Some(issuer) = issuer {
            wanted["issuer"] = json!(issuer);
            if ocsp {
                wanted["ocsp"] = json!(file);
            }
        }
        csms.issue(stage, wanted);
    }
}

/// A certificate for a request, below both sub-CAs, written to `FILE.pem`.
fn issue(stage: &Stage, csms: &mut PythonCsms, request: &Value, file: &str, ocsp: bool) -> Value {
    let chain = ["v2g-sub2", "v2g-sub1"];
    let mut wanted = json!({ "csr": request["csr"], "issuer": "v2g-sub2", "chain": chain, "file": file });
    if ocsp {
        wanted["ocsp"] = json!(file);
    }
    csms.issue(stage, wanted)
}

/// A station with a certificate for vehicles, `leaf.pem`.
pub(crate) fn with_vehicle_certificate(stage: &Stage, ocsp: bool) -> (PythonCsms, Process) {
    let (mut csms, station) = start(stage, ONE_SECC, ocsp);
    let request = csr_of(stage, &mut csms, json!({ "requestedMessage": "SignV2GCertificate" }));
    let issued = issue(stage, &mut csms, &request, "leaf", ocsp);
    let answer = signed(stage, &mut csms, &issued, "V2GCertificate");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    (csms, station)
}

#[test]
fn tc_a_12_renew_the_certificate_of_each_secc() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage, TWO_SECCS, false);
    for (evse, secc) in [(1, "SECC-1"), (2, "SECC-2"), (2, "SECC-2")] {
        let trigger = json!({ "requestedMessage": "SignV2GCertificate", "evse": { "id": evse } });
        let request = csr_of(&stage, &mut csms, trigger);
        // A02.FR.13
        assert_eq!(request["certificateType"], "V2GCertificate");
        let issued = issue(&stage, &mut csms, &request, "leaf", false);
        let asked = &issued["csr"];
        assert_eq!(asked["valid"], true);
        assert!(asked["elliptic"] == true && asked["bits"].as_u64() >= Some(256), "{asked}");
        assert_eq!(asked["subject"]["CN"], json!([secc]));
        assert_eq!((&asked["subject"]["C"], &asked["subject"]["O"]), (&json!(["NL"]), &json!(["Test CSO"])));
        let answer = signed(&stage, &mut csms, &issued, "V2GCertificate");
        assert_eq!(answer["status"], "Accepted", "{answer}");
    }
    // Without an EVSE, each SECC asks (F06.FR.11).
    let trigger = json!({ "requestedMessage": "SignV2GCertificate" });
    assert_eq!(csms.call(&stage, "TriggerMessage", trigger)["status"], "Accepted");
    let mut names = BTreeSet::new();
    for _ in 0..2 {
        let request = csms.wait_for(&stage, "SignCertificate");
        let issued = issue(&stage, &mut csms, &request, "leaf", false);
        names.insert(issued["csr"]["subject"]["CN"][0].as_str().expect("a name").to_owned());
    }
    assert_eq!(names, BTreeSet::from(["SECC-1".to_owned(), "SECC-2".to_owned()]));
    // A certificate for vehicles is not for the connection: the station stays connected.
    assert_eq!(csms.count("connection"), 0);
    let chains = listed(&stage, &mut csms, &["V2GCertificateChain"]);
    assert_eq!(chains.len(), 3, "the newest of each SECC, and the one before it: {chains:?}");
    station.terminate();
}

/// citrineos #1054, libocpp #514: the type was left out, and nothing was ever signed. An absent
/// type means a certificate for both the connection and vehicles.
#[test]
fn lesson_40_one_certificate_for_the_connection_and_for_vehicles() {
    let stage = Stage::prepare();
    let section = "[iso15118]\ncombined_certificates = true\n";
    let (mut csms, station) = booted_with(&stage, section);
    // The roots of both hierarchies.
    assert_eq!(install(&stage, &mut csms, "V2GRootCertificate", "ca")["status"], "Accepted");
    let request = csr_of(&stage, &mut csms, json!({ "requestedMessage": "SignCombinedCertificate" }));
    assert!(request.get("certificateType").is_none(), "{request}");
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca", "file": "both" }));
    let payload = json!({ "certificateChain": issued["pem"] });
    let answer = csms.call(&stage, "CertificateSigned", payload);
    assert_eq!(answer["status"], "Accepted", "{answer}");
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
    let hash = csms.hash_data(&stage, "both", "ca", "SHA256");
    let list = listed(&stage, &mut csms, &["V2GCertificateChain"]);
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0]["certificateHashData"], hash);
    assert!(list[0].get("childCertificateHashData").is_none(), "an empty list would break the schema");
    // M04.FR.06: it is also the station's own certificate.
    assert_eq!(delete(&stage, &mut csms, &hash)["status"], "Failed");
    station.terminate();
}

#[test]
fn tc_m_15_list_the_chain_with_its_sub_cas() {
    let stage = Stage::prepare();
    let (mut csms, station) = with_vehicle_certificate(&stage, false);
    let [leaf, sub2, sub1] = [("leaf", "v2g-sub2"), ("v2g-sub2", "v2g-sub1"), ("v2g-sub1", "v2g")]
        .map(|(name, issuer)| csms.hash_data(&stage, name, issuer, "SHA256"));
    let expected = json!([{ "certificateType": "V2GCertificateChain", "certificateHashData": leaf,
        "childCertificateHashData": [sub2, sub1] }]);
    let list = listed(&stage, &mut csms, &["V2GCertificateChain"]);
    assert_eq!(json!(list), expected);
    // Also across a restart.
    station.terminate();
    let station = stage.station();
    csms.wait_for(&stage, "connection");
    let list = listed(&stage, &mut csms, &["V2GCertificateChain"]);
    assert_eq!(json!(list), expected);
    station.terminate();
}

#[test]
fn tc_m_24_the_status_of_leaf_and_sub_cas_is_asked_for() {
    let stage = Stage::prepare();
    let (mut csms, station) = with_vehicle_certificate(&stage, true);
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(csms.wait_for(&stage, "GetCertificateStatus")["ocspRequestData"].clone());
    }
    for (name, issuer) in [("leaf", "v2g-sub2"), ("v2g-sub2", "v2g-sub1"), ("v2g-sub1", "v2g")] {
        let hash = csms.hash_data(&stage, name, issuer, "SHA256");
        let found = asked.iter().find(|asked| asked["serialNumber"] == hash["serialNumber"]);
        let found = found.unwrap_or_else(|| panic!("{name} is not asked for: {asked:?}"));
        for (member, value) in hash.as_object().expect("an object") {
            assert_eq!(found[member], *value, "{name}");
        }
        let url = found["responderURL"].as_str().expect("a URL");
        assert!(url.ends_with(name), "{url}");
    }
    // The responses were verified and are kept: no status is requested again, even after a restart.
    stage.wait_until("three statuses", || {
        stage.log().matches("the status of a certificate for vehicles").count() == 3
    });
    station.terminate();
    let station = stage.station();
    csms.wait_for(&stage, "BootNotification");
    // One for each start.
    for _ in 0..2 {
        csms.wait_for(&stage, "SecurityEventNotification");
    }
    listed(&stage, &mut csms, &[]);
    assert_eq!(csms.count("GetCertificateStatus"), 0);
    station.terminate();
}

#[test]
fn tc_m_25_a_status_that_nobody_knows_hinders_nothing() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage, ONE_SECC, true);
    csms.behave(&stage, "GetCertificateStatus", json!({ "payload": { "status": "Failed" } }));
    let request = csr_of(&stage, &mut csms, json!({ "requestedMessage": "SignV2GCertificate" }));
    let issued = issue(&stage, &mut csms, &request, "leaf", true);
    let answer = signed(&stage, &mut csms, &issued, "V2GCertificate");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    let mut asked = BTreeSet::new();
    for _ in 0..3 {
        let request = csms.wait_for(&stage, "GetCertificateStatus");
        asked.insert(request["ocspRequestData"]["serialNumber"].as_str().expect("text").to_owned());
    }
    assert_eq!(asked.len(), 3, "leaf and sub-CAs, each once: {asked:?}");
    // The station continues; the certificates stay, and the CSMS is not asked without end.
    assert_eq!(listed(&stage, &mut csms, &["V2GCertificateChain"]).len(), 1);
    let heartbeat = json!({ "requestedMessage": "Heartbeat" });
    assert_eq!(csms.call(&stage, "TriggerMessage", heartbeat)["status"], "Accepted");
    csms.wait_for(&stage, "Heartbeat");
    assert_eq!(csms.count("GetCertificateStatus"), 0);
    assert_eq!(csms.count("connection"), 0);
    station.terminate();
}

/// libocpp #1097: nothing else was done while the status of certificates was requested.
#[test]
fn lesson_68_a_status_that_takes_its_time_holds_nobody_up() {
    let stage = Stage::prepare();
    let (mut csms, station) = start(&stage, ONE_SECC, true);
    csms.behave(&stage, "GetCertificateStatus", json!("silent"));
    let request = csr_of(&stage, &mut csms, json!({ "requestedMessage": "SignV2GCertificate" }));
    let issued = issue(&stage, &mut csms, &request, "leaf", true);
    assert_eq!(signed(&stage, &mut csms, &issued, "V2GCertificate")["status"], "Accepted");
    csms.wait_for(&stage, "GetCertificateStatus");
    // The status request is not answered yet, but the call of the CSMS is.
    let list = listed(&stage, &mut csms, &[]);
    assert_eq!(list.len(), 3, "{list:?}");
    let hash = csms.hash_data(&stage, "leaf", "v2g-sub2", "SHA256");
    let answer = delete(&stage, &mut csms, &hash);
    assert_eq!(answer["status"], "Accepted", "{answer}");
    let heartbeat = json!({ "requestedMessage": "Heartbeat" });
    assert_eq!(csms.call(&stage, "TriggerMessage", heartbeat)["status"], "Accepted");
    let frames = csms.frames(&stage);
    let asked = frames.iter().find(|frame| frame.is_call(Sender::Station, "GetCertificateStatus"));
    let asked = asked.expect("was asked");
    assert!(!frames.iter().any(|frame| frame.answers(asked)));
    station.terminate();
}

/// libocpp #652: real certificates name no OCSP responder.
#[test]
fn lesson_69_certificates_without_a_responder() {
    let stage = Stage::prepare();
    let (mut csms, station) = with_vehicle_certificate(&stage, false);
    assert_eq!(listed(&stage, &mut csms, &["V2GCertificateChain"]).len(), 1);
    let heartbeat = json!({ "requestedMessage": "Heartbeat" });
    assert_eq!(csms.call(&stage, "TriggerMessage", heartbeat)["status"], "Accepted");
    csms.wait_for(&stage, "Heartbeat");
    assert_eq!(csms.count("GetCertificateStatus"), 0);
    assert!(!stage.log().contains("ERROR"), "{}", stage.log());
    station.terminate();
}

/// libevse-security #111, #112: a chain was deleted, but its key and the rest of it were left.
#[test]
fn lesson_26_with_a_chain_goes_its_key() {
    let stage = Stage::prepare();
    let (mut csms, station) = with_vehicle_certificate(&stage, false);
    assert_eq!(stage.keys(), 1);
    // Named by a sub-CA that was listed with it, and with another algorithm.
    let hash = csms.hash_data(&stage, "v2g-sub1", "v2g", "SHA512");
    let answer = delete(&stage, &mut csms, &hash);
    assert_eq!(answer["status"], "Accepted", "{answer}");
    assert!(listed(&stage, &mut csms, &["V2GCertificateChain"]).is_empty());
    stage.wait_until("no key", || stage.keys() == 0);
    station.terminate();
}
