//! AdditionalRootCertificateCheck (M05.FR.09 to .16): TC_M_09, TC_M_30, TC_M_31.

use serde_json::{Value, json};

use crate::{
    reusable::{booted_with, holds, install, listed, root_hash},
    stage::{Process, PythonCsms, Stage},
};

/// The configuration of a station with the check.
pub(crate) const SECTION: &str = "[certificates]\nadditional_root_check = true\n";

/// A root `ca2` that `ca` has signed, and a server certificate `server2` under it.
pub(crate) fn make_second_root(stage: &Stage, csms: &mut PythonCsms) {
    let subject = json!({ "O": "Test CSO", "CN": "Second Root" });
    csms.issue(stage, json!({ "file": "ca2", "issuer": "ca", "subject": subject, "ca": true }));
    let subject = json!({ "O": "Test CSO", "CN": "localhost" });
    csms.issue(stage, json!({ "file": "server2", "issuer": "ca2", "subject": subject }));
}

/// The hash data of `ca2`, which `ca` has signed.
pub(crate) fn second_hash(stage: &Stage, csms: &mut PythonCsms) -> Value {
    csms.hash_data(stage, "ca2", "ca", "SHA256")
}

/// A station that has accepted `ca2`.
fn with_second_root(stage: &Stage) -> (PythonCsms, Process) {
    let (mut csms, station) = booted_with(stage, SECTION);
    make_second_root(stage, &mut csms);
    let answer = install(stage, &mut csms, "CSMSRootCertificate", "ca2");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    // M05.FR.12: the old one stays as fallback.
    let list = listed(stage, &mut csms, &["CSMSRootCertificate"]);
    let (old, new) = (root_hash(stage, &mut csms, "ca"), second_hash(stage, &mut csms));
    assert!(holds(&list, "CSMSRootCertificate", &old), "{list:?}");
    assert!(holds(&list, "CSMSRootCertificate", &new), "{list:?}");
    (csms, station)
}

#[test]
fn tc_m_09_a_root_that_the_old_one_did_not_sign_is_rejected() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted_with(&stage, SECTION);
    // Signed by itself; by the manufacturer's root; by another root of the same name.
    stage.root("alone", "/O=Test CSO/CN=Second Root");
    stage.root("namesake", "/O=Test CSO/CN=Test Root");
    for issuer in ["manufacturer", "namesake"] {
        let subject = json!({ "O": "Test CSO", "CN": "Second Root" });
        let file = format!("by-{issuer}");
        csms.issue(&stage, json!({ "file": file, "issuer": issuer, "subject": subject, "ca": true }));
    }
    for name in ["alone", "by-manufacturer", "by-namesake", "namesake"] {
        let answer = install(&stage, &mut csms, "CSMSRootCertificate", name);
        assert_eq!(answer["status"], "Rejected", "{name}: {answer}");
        assert_eq!(answer["statusInfo"]["reasonCode"], "InvalidCertificate", "{name}");
    }
    let list = listed(&stage, &mut csms, &["CSMSRootCertificate"]);
    let old = root_hash(&stage, &mut csms, "ca");
    assert!(holds(&list, "CSMSRootCertificate", &old), "{list:?}");
    assert_eq!(list.len(), 1);
    // Roots for other uses need no signature by the old root.
    let answer = install(&stage, &mut csms, "ManufacturerRootCertificate", "alone");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    station.terminate();
}

#[test]
fn tc_m_30_connected_with_the_new_root_the_old_one_goes() {
    let stage = Stage::prepare();
    let (mut csms, station) = with_second_root(&stage);
    let port = csms.port;
    csms.present(&stage, port, "server2");
    csms.tell(&stage, json!({ "close": true }), "closed");
    csms.wait_for(&stage, "connection");
    // M05.FR.13, however soon the CSMS asks.
    let list = listed(&stage, &mut csms, &["CSMSRootCertificate"]);
    let new = second_hash(&stage, &mut csms);
    assert!(holds(&list, "CSMSRootCertificate", &new), "{list:?}");
    assert_eq!(list.len(), 1, "{list:?}");
    // Certificates under the old root are not accepted any more.
    csms.present(&stage, port, "server");
    csms.tell(&stage, json!({ "close": true }), "closed");
    stage.wait_for_log("InvalidCsmsCertificate");
    assert_eq!(csms.count("connection"), 0);
    csms.present(&stage, port, "server2");
    csms.wait_for(&stage, "connection");
    station.terminate();
}

#[test]
fn tc_m_31_the_server_stays_under_the_old_root_and_both_stay() {
    let stage = Stage::prepare();
    let (mut csms, station) = with_second_root(&stage);
    // M05.FR.14, also across a restart.
    csms.tell(&stage, json!({ "close": true }), "closed");
    csms.wait_for(&stage, "connection");
    let before = listed(&stage, &mut csms, &["CSMSRootCertificate"]);
    assert_eq!(before.len(), 2, "{before:?}");
    station.terminate();
    let station = stage.station();
    csms.wait_for(&stage, "connection");
    let list = listed(&stage, &mut csms, &["CSMSRootCertificate"]);
    let (old, new) = (root_hash(&stage, &mut csms, "ca"), second_hash(&stage, &mut csms));
    assert!(holds(&list, "CSMSRootCertificate", &old), "{list:?}");
    assert!(holds(&list, "CSMSRootCertificate", &new), "{list:?}");
    station.terminate();
}
