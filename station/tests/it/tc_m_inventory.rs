//! GetInstalledCertificateIds (M03): TC_M_12 to TC_M_14, TC_M_16 to TC_M_19.

use serde_json::{Value, json};

use crate::{
    reusable::{booted, holds, install, listed, root_hash},
    stage::Stage,
};

/// The roots of one type are listed, and those of others are not.
#[track_caller]
fn check(use_: &str) {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    for other in ["ManufacturerRootCertificate", "V2GRootCertificate", "MORootCertificate"] {
        assert_eq!(install(&stage, &mut csms, other, "manufacturer")["status"], "Accepted");
    }
    let (wanted, count) = if use_ == "CSMSRootCertificate" { ("ca", 1) } else { ("manufacturer", 1) };
    let hash = root_hash(&stage, &mut csms, wanted);
    let list = listed(&stage, &mut csms, &[use_]);
    assert!(holds(&list, use_, &hash), "{list:?}");
    assert_eq!(list.len(), count);
    // A root has no children, and an empty list of them would break the schema.
    assert!(list.iter().all(|entry| entry.get("childCertificateHashData").is_none()), "{list:?}");
    station.terminate();
}

#[test]
fn tc_m_12_list_csms_root() {
    check("CSMSRootCertificate");
}

#[test]
fn tc_m_13_list_manufacturer_root() {
    check("ManufacturerRootCertificate");
}

#[test]
fn tc_m_14_list_v2g_root() {
    check("V2GRootCertificate");
}

#[test]
fn tc_m_16_list_mo_root() {
    check("MORootCertificate");
}

#[test]
fn tc_m_17_two_types_at_once() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    for use_ in ["ManufacturerRootCertificate", "MORootCertificate"] {
        assert_eq!(install(&stage, &mut csms, use_, "manufacturer")["status"], "Accepted");
    }
    let list = listed(&stage, &mut csms, &["CSMSRootCertificate", "ManufacturerRootCertificate"]);
    let own = root_hash(&stage, &mut csms, "ca");
    let manufacturer = root_hash(&stage, &mut csms, "manufacturer");
    assert!(holds(&list, "CSMSRootCertificate", &own), "{list:?}");
    assert!(holds(&list, "ManufacturerRootCertificate", &manufacturer), "{list:?}");
    assert_eq!(list.len(), 2);
    station.terminate();
}

#[test]
fn tc_m_18_all_types() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let uses = ["ManufacturerRootCertificate", "V2GRootCertificate", "MORootCertificate"];
    for use_ in uses {
        assert_eq!(install(&stage, &mut csms, use_, "manufacturer")["status"], "Accepted");
    }
    let list = listed(&stage, &mut csms, &[]);
    let own = root_hash(&stage, &mut csms, "ca");
    let manufacturer = root_hash(&stage, &mut csms, "manufacturer");
    assert!(holds(&list, "CSMSRootCertificate", &own), "{list:?}");
    assert!(uses.iter().all(|use_| holds(&list, use_, &manufacturer)), "{list:?}");
    assert_eq!(list.len(), 4);
    station.terminate();
}

#[test]
fn tc_m_19_nothing_found() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let payload = json!({ "certificateType": ["MORootCertificate"] });
    let answer = csms.call(&stage, "GetInstalledCertificateIds", payload);
    assert_eq!(answer["status"], "NotFound");
    assert_eq!(answer["certificateHashDataChain"], Value::Null, "the list is left out");
    station.terminate();
}
