//! DeleteCertificate (M04): TC_M_20, TC_M_22, TC_M_23.

use serde_json::json;

use crate::{
    reusable::{booted, delete, holds, install, listed, renewed, root_hash},
    stage::Stage,
};

#[test]
fn tc_m_20_delete_a_listed_root() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    for use_ in ["CSMSRootCertificate", "ManufacturerRootCertificate"] {
        stage.root("new", "/O=Test Authority/CN=New Root");
        assert_eq!(install(&stage, &mut csms, use_, "new")["status"], "Accepted");
        let hash = root_hash(&stage, &mut csms, "new");
        let list = listed(&stage, &mut csms, &[use_]);
        assert!(holds(&list, use_, &hash), "{list:?}");
        // The root is named as the station has listed it.
        assert_eq!(delete(&stage, &mut csms, &hash)["status"], "Accepted");
        let list = listed(&stage, &mut csms, &[]);
        assert!(!holds(&list, use_, &hash), "{list:?}");
    }
    // The root on which the connection relies can be deleted too, if another root is left.
    stage.root("second", "/O=Test Authority/CN=Second Root");
    assert_eq!(install(&stage, &mut csms, "CSMSRootCertificate", "second")["status"], "Accepted");
    let own = root_hash(&stage, &mut csms, "ca");
    assert_eq!(delete(&stage, &mut csms, &own)["status"], "Accepted");
    assert_eq!(listed(&stage, &mut csms, &[]).len(), 1);
    station.terminate();
}

/// As the tester may configure it: TC_M_20 with the only CSMS root.
#[test]
fn tc_m_20_delete_the_last_csms_root_where_that_is_allowed() {
    let stage = Stage::prepare();
    let mut csms = stage.operator();
    stage.configure_more(csms.port, "\n[certificates]\nlast_csms_root = \"delete\"\n");
    let station = stage.station();
    csms.wait_for(&stage, "SecurityEventNotification");
    let own = root_hash(&stage, &mut csms, "ca");
    assert_eq!(delete(&stage, &mut csms, &own)["status"], "Accepted");
    assert!(listed(&stage, &mut csms, &[]).is_empty());
    station.terminate();
}

/// M04.FR.03, note: without a CSMS root the station would be offline until a technician visits it.
#[test]
fn m04_fr_03_the_last_csms_root_is_kept() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let own = root_hash(&stage, &mut csms, "ca");
    // The same certificate for another use makes no difference.
    assert_eq!(install(&stage, &mut csms, "ManufacturerRootCertificate", "ca")["status"], "Accepted");
    for algorithm in ["SHA256", "SHA384", "SHA512"] {
        let hash = csms.hash_data(&stage, "ca", "ca", algorithm);
        let answer = delete(&stage, &mut csms, &hash);
        assert_eq!(answer["status"], "Failed", "{answer}");
        assert!(
            answer["statusInfo"]["additionalInfo"]
                .as_str()
                .is_some_and(|info| info.contains("last CSMS root")),
            "{answer}"
        );
    }
    let list = listed(&stage, &mut csms, &[]);
    assert!(holds(&list, "CSMSRootCertificate", &own) && list.len() == 2, "{list:?}");
    station.terminate();
}

#[test]
fn tc_m_22_delete_an_unknown_certificate() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let before = listed(&stage, &mut csms, &[]);
    // Hash data of a certificate that is not installed, and of no certificate at all.
    let manufacturer = root_hash(&stage, &mut csms, "manufacturer");
    let mut other_number = root_hash(&stage, &mut csms, "ca");
    other_number["serialNumber"] = json!("1");
    let mut other_algorithm = root_hash(&stage, &mut csms, "ca");
    other_algorithm["hashAlgorithm"] = json!("SHA512");
    for hash in [manufacturer, other_number, other_algorithm] {
        assert_eq!(delete(&stage, &mut csms, &hash)["status"], "NotFound", "{hash}");
    }
    assert_eq!(listed(&stage, &mut csms, &[]), before);
    station.terminate();
}

#[test]
fn tc_m_23_delete_own_certificate() {
    let stage = Stage::prepare();
    let (mut csms, station) = booted(&stage);
    let csr = crate::reusable::csr(&stage, &mut csms, "SignChargingStationCertificate");
    let issued = csms.issue(&stage, json!({ "csr": csr["csr"], "issuer": "ca", "file": "own" }));
    let answer = crate::reusable::signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
    assert_eq!(answer["status"], "Accepted");
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
    // It is not listed without a filter either: OCPP has no type for it.
    let list = listed(&stage, &mut csms, &[]);
    assert_eq!(list.len(), 1, "{list:?}");
    for algorithm in ["SHA256", "SHA384", "SHA512"] {
        let hash = csms.hash_data(&stage, "own", "ca", algorithm);
        let answer = delete(&stage, &mut csms, &hash);
        // M04.FR.06
        assert_eq!(answer["status"], "Failed", "{answer}");
    }
    // The station still connects with it.
    csms.tell(&stage, json!({ "close": true }), "closed");
    assert_eq!(csms.wait_for(&stage, "connection")["serial"], issued["serial"]);
    // A renewed certificate is protected as well.
    let serial = renewed(&stage, &mut csms);
    assert_ne!(issued["serial"], serial);
    station.terminate();
}
