//! What is peculiar to OCPP 2.1.

use std::fs;

use serde_json::json;

use crate::{
    puppet::{Ocpp, Puppet},
    stage::Stage,
};

#[test]
fn a02_fr_25_a_request_without_an_id_or_a_type_gets_a_certificate_without() {
    let stage = Stage::start();
    let mut station = Puppet::new(&stage, "CS001");
    station.connect(Ocpp::V21);
    station.boot(Ocpp::V21, "SN-0001");
    let csr = station.request("SN-0001");
    assert_eq!(station.call("SignCertificate", json!({ "csr": csr }))["status"], "Accepted");
    let signed = station.called("CertificateSigned");
    assert_eq!(signed.as_object().expect("an object").keys().collect::<Vec<_>>(), ["certificateChain"]);
}

/// TC_A_09_CSMS and TC_A_10_CSMS.
#[test]
fn a01_the_password_is_changed_in_2_1() {
    let stage = Stage::start();
    let mut station = Puppet::new(&stage, "CS001");
    station.connect(Ocpp::V21);
    station.boot(Ocpp::V21, "SN-0001");
    let result = |status: &str| {
        json!({ "setVariableResult": [{
            "attributeStatus": status, "component": { "name": "SecurityCtrlr" },
            "variable": { "name": "BasicAuthPassword" },
        }] })
    };
    fs::write(stage.path("new"), "battery-horse-correct-2").expect("writes");
    station.answer("SetVariables", result("Rejected"));
    let error = stage.operator(&["set-password", "CS001", "--file", "new"]).expect_err("rejected");
    assert!(error.contains("Rejected"), "{error}");
    station.answer("SetVariables", result("Accepted"));
    stage.operator(&["set-password", "CS001", "--file", "new"]).expect("accepted");
    let set = station.called("SetVariables");
    assert_eq!(set["setVariableData"][0]["attributeValue"], "battery-horse-correct-2");
    assert_eq!(set["setVariableData"][0]["variable"]["name"], "BasicAuthPassword");
    station.close();
    let offer = json!([Ocpp::V21.subprotocol()]);
    let old = json!({ "do": "connect", "subprotocols": offer, "password": crate::stage::PASSWORD });
    assert_eq!(station.command(old)["refused"], 401);
    let new = json!({ "do": "connect", "subprotocols": offer, "password": "battery-horse-correct-2" });
    assert_eq!(station.command(new)["connected"], "ocpp2.1");

    let by_hand = json!({ "setVariableData": [{
        "attributeValue": "another-password-by-hand", "component": { "name": "SecurityCtrlr" },
        "variable": { "name": "basicauthpassword" },
    }] });
    let error = stage.operator(&["call", "CS001", "SetVariables", &by_hand.to_string()]);
    assert!(error.expect_err("by hand").contains("set-password"));
}
