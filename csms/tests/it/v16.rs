//! Behaviour that only OCPP 1.6 with its security extension has.

use std::fs;

use serde_json::json;

use crate::{
    puppet::{Ocpp, Puppet},
    stage::Stage,
};

#[test]
fn what_breaks_a_schema_of_1_6_gets_the_code_of_1_6() {
    let stage = Stage::start();
    let mut station = Puppet::new(&stage, "CS001");
    station.connect(Ocpp::V16);
    station.boot(Ocpp::V16, "SN-0001");
    for (action, payload, code) in [
        // The specification's own spellings.
        ("SignCertificate", json!({}), "OccurenceConstraintViolation"),
        ("SignCertificate", json!({ "csr": "x", "certificateType": "V2GCertificate" }), "FormationViolation"),
        ("SignCertificate", json!({ "csr": 1 }), "TypeConstraintViolation"),
        ("SignCertificate", json!({ "csr": "x".repeat(5501) }), "PropertyConstraintViolation"),
        ("ExtendedTriggerMessage", json!({ "requestedMessage": "Heartbeat" }), "NotSupported"),
        ("NotifyReport", json!({}), "NotImplemented"),
    ] {
        let answer = station.call_raw(action, payload);
        assert_eq!((&answer[0], &answer[2]), (&json!(4), &json!(code)), "{answer}");
    }
}

#[test]
fn an_operators_request_is_checked_by_the_schemas_of_1_6() {
    let stage = Stage::start();
    let mut station = Puppet::new(&stage, "CS001");
    station.connect(Ocpp::V16);
    station.boot(Ocpp::V16, "SN-0001");
    let refused = |action: &str, payload: serde_json::Value| {
        let refusal = stage.operator(&["call", "CS001", action, &payload.to_string()]);
        refusal.expect_err(action)
    };
    let error = refused("SetVariables", json!({}));
    assert!(error.contains("OCPP 1.6") && error.contains("ChangeConfiguration"), "{error}");
    let error = refused("GetInstalledCertificateIds", json!({ "certificateType": "CSMSRootCertificate" }));
    assert!(error.contains("/certificateType") && error.contains("OCPP 1.6"), "{error}");
    // The service would not know the station's key.
    let error = refused("ChangeConfiguration", json!({ "key": "authorizationkey", "value": "0" }));
    assert!(error.contains("set-password"), "{error}");
    let asked = station.frames().iter().filter(|frame| frame["in"][0] == 2).count();
    assert_eq!(asked, 0, "{:?}", station.frames());
}

/// TC_073 of OCPP 1.6: the key is 16 to 20 bytes in hexadecimal (A00.FR.205 of the security
/// whitepaper).
#[test]
fn tc_073_a01_the_authorization_key_is_changed() {
    let stage = Stage::start();
    let mut station = Puppet::new(&stage, "CS001");
    station.connect(Ocpp::V16);
    station.boot(Ocpp::V16, "SN-0001");

    fs::write(stage.path("new"), "no-key-but-long-enough-for-32-chars").expect("writes");
    let error = stage.operator(&["set-password", "CS001", "--file", "new"]).expect_err("no key");
    assert!(error.contains("32 to 40 hexadecimal digits"), "{error}");

    // A01.FR.04: both answers keep the old key.
    for word in ["Rejected", "NotSupported"] {
        station.answer("ChangeConfiguration", json!({ "status": word }));
        let error = stage.operator(&["set-password", "CS001"]).expect_err(word);
        assert!(error.contains(word) && error.contains("keeps its old password"), "{error}");
        station.called("ChangeConfiguration");
    }
    station.close();
    station.connect(Ocpp::V16);

    // A01.FR.07: only the station receives the key.
    station.answer("ChangeConfiguration", json!({ "status": "Accepted" }));
    stage.operator(&["set-password", "CS001"]).expect("changed");
    let changed = station.called("ChangeConfiguration");
    assert_eq!(changed["key"], "AuthorizationKey");
    let value = changed["value"].as_str().expect("a value");
    assert!(value.len() == 40 && value.bytes().all(|digit| digit.is_ascii_hexdigit()), "{}", value.len());
    assert!(!stage.log().contains(value));
    station.close();
    let offer = json!([Ocpp::V16.subprotocol()]);
    let old = json!({ "do": "connect", "subprotocols": offer, "password": crate::stage::PASSWORD });
    assert_eq!(station.command(old)["refused"], 401);
    // The whitepaper has the bytes; its test has the digits.
    for new in [
        json!({ "do": "connect", "subprotocols": offer, "key": value }),
        json!({ "do": "connect", "subprotocols": offer, "password": value }),
    ] {
        assert_eq!(station.command(new)["connected"], "ocpp1.6");
        station.close();
    }
}

/// A key whose bytes are letters is still a key.
#[test]
fn an_authorization_key_of_letters_opens_as_bytes() {
    let stage = Stage::start();
    let mut station = Puppet::new(&stage, "CS001");
    station.connect(Ocpp::V16);
    station.answer("ChangeConfiguration", json!({ "status": "RebootRequired" }));
    let key = hex::encode(b"sixteen letters!");
    fs::write(stage.path("new"), &key).expect("writes");
    stage.operator(&["set-password", "CS001", "--file", "new"]).expect("changed");
    station.close();
    let offer = json!([Ocpp::V16.subprotocol()]);
    let new = json!({ "do": "connect", "subprotocols": offer, "key": key });
    assert_eq!(station.command(new)["connected"], "ocpp1.6");
}

/// TC_083_CSMS of OCPP 1.6: ChangeConfiguration, then Reset. The following steps of the CSMS are
/// A05.FR.09.
#[test]
fn tc_083_a_charge_point_is_moved_to_profile_3() {
    let stage = Stage::start();
    let mut station = Puppet::new(&stage, "CS001");
    station.connect(Ocpp::V16);
    station.boot(Ocpp::V16, "SN-0001");
    let csr = station.request("SN-0001");
    assert_eq!(station.call("SignCertificate", Ocpp::V16.sign(&csr))["status"], "Accepted");
    stage.await_states(&["Accepted"]);
    for (action, payload) in [
        ("ChangeConfiguration", json!({ "key": "SecurityProfile", "value": "3" })),
        ("Reset", json!({ "type": "Hard" })),
    ] {
        station.answer(action, json!({ "status": "Accepted" }));
        assert_eq!(stage.by_hand("CS001", action, &payload)["status"], "Accepted");
        assert_eq!(station.called(action), payload);
    }
    station.close();
    // Until the station has used the new profile, it may return to the old one (A05.FR.08).
    station.connect(Ocpp::V16);
    station.close();
    station.connect_with_certificate(Ocpp::V16);
    station.boot(Ocpp::V16, "SN-0001");
    station.close();
    let offer = json!([Ocpp::V16.subprotocol()]);
    let lower = json!({ "do": "connect", "subprotocols": offer, "password": crate::stage::PASSWORD });
    assert_eq!(station.command(lower)["refused"], 403);
}
