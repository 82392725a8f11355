//! InstallCertificate (M05): TC_M_01 to TC_M_04, TC_M_07.

use serde_json::json;

use crate::{
    reusable::{booted, holds, install, listed, root_hash},
    stage::Stage,
};

/// The root for `use_` is accepted, and then listed.
#[track_caller]
fn check(use_: &str) {
    let stage = Stage::prepare();
    stage.root("new", "/O=Test Authority/CN=New Root");
    let (mut csms, station) = booted(&stage);
    let hash = root_hash(&stage, &mut csms, "new");
    let before = listed(&stage, &mut csms, &[]);
    let answer = install(&stage, &mut csms, use_, "new");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    let after = listed(&stage, &mut csms, &[use_]);
    assert!(holds(&after, use_, &hash), "{after:?}");
    assert_eq!(listed(&stage, &mut csms, &[]).len(), before.len() + 1);
    // M05.FR.17: installing the same root again replaces it.
    assert_eq!(install(&stage, &mut csms, use_, "new")["status"], "Accepted");
    assert_eq!(listed(&stage, &mut csms, &[]).len(), before.len() + 1);
    station.terminate();
}

#[test]
fn tc_m_01_install_csms_root() {
    check("CSMSRootCertificate");
}

#[test]
fn tc_m_02_install_manufacturer_root() {
    check("ManufacturerRootCertificate");
}

#[test]
fn tc_m_03_install_v2g_root() {
    check("V2GRootCertificate");
}

#[test]
fn tc_m_04_install_mo_root() {
    check("MORootCertificate");
}

#[test]
fn tc_m_07_install_expired_root_is_rejected_and_not_listed() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let before = listed(&stage, &mut csms, &[]);
    for (file, from, to) in [("expired", -7200, -3600), ("future", 3600, 7200)] {
        let subject = json!({ "O": "Test Authority", "CN": file });
        csms.issue(&stage, json!({ "file": file, "subject": subject, "ca": true, "from": from, "to": to }));
        for use_ in ["CSMSRootCertificate", "ManufacturerRootCertificate"] {
            let answer = install(&stage, &mut csms, use_, file);
            assert_eq!(answer["status"], "Rejected", "{file}: {answer}");
            assert_eq!(answer["statusInfo"]["reasonCode"], "InvalidCertificate");
        }
    }
    assert_eq!(listed(&stage, &mut csms, &[]), before);
    station.terminate();
}
