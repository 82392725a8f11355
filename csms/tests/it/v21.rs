//! Behaviour that only OCPP 2.1 has.

use std::fs;

use serde_json::{Value, json};

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

#[test]
fn a02_fr_27_the_root_that_a_station_names_issues_its_certificate() {
    let stage = Stage::prepare();
    stage.make_root("other-root");
    stage.configure(
        "[tls]",
        "[[ca.issuer]]\nkey = \"pkcs11:object=other-root\"\ncertificate_file = \"other-root.pem\"\n[tls]",
    );
    let stage = stage.launched();
    let mut station = Puppet::new(&stage, "CS001");
    station.connect(Ocpp::V21);
    station.boot(Ocpp::V21, "SN-0001");
    let mut accepted = Vec::new();
    for (root, digest) in [("other-root.pem", "sha256"), ("root.pem", "sha384"), ("other-root.pem", "sha512")]
    {
        let csr = station.request("SN-0001");
        let mut request = Ocpp::V21.sign(&csr);
        request["hashRootCertificate"] = stage.hash_data(root, root, digest);
        assert_eq!(station.call("SignCertificate", request)["status"], "Accepted", "{}", stage.log());
        station.called("CertificateSigned");
        accepted.push("Accepted");
        stage.await_states(&accepted);
        stage.openssl(&["verify", "-x509_strict", "-CAfile", root, "puppet-chain.pem"]);
    }
    // The root is unknown: no certificate is issued.
    let issued = stage.certificates().len();
    let csr = station.request("SN-0001");
    let mut request = Ocpp::V21.sign(&csr);
    request["hashRootCertificate"] = stage.hash_data("tls.pem", "tls.pem", "sha256");
    let answer = station.call("SignCertificate", request);
    assert_eq!(
        (&answer["status"], &answer["statusInfo"]["reasonCode"]),
        (&json!("Rejected"), &json!("UnsupportedParam")),
        "{answer}"
    );
    assert_eq!(stage.certificates().len(), issued);
}

/// TC_A_12_CSMS: certificates for vehicles come from another hierarchy, and each certificate is
/// sent with its own type.
#[test]
fn tc_a_12_certificates_for_vehicles() {
    let stage = Stage::prepare();
    stage.make_root("v2g-root");
    stage.configure(
        "[tls]",
        "profiles_file = \"profiles.toml\"\n[[ca.issuer]]\nhierarchy = \"v2g\"\n\
         key = \"pkcs11:object=v2g-root\"\ncertificate_file = \"v2g-root.pem\"\n[tls]",
    );
    let profiles = "[v2g]\ncountry = \"DE\"\ndomain_component = \"CPO\"\n\
                    [v2g.common_names]\nCS001 = [\"DE*TST*S0001\"]\n";
    fs::write(stage.path("profiles.toml"), profiles).expect("writes");
    let stage = stage.launched();
    let mut accepted = Vec::new();
    for (ocpp, certificate_type) in
        [(Ocpp::V201, "V2GCertificate"), (Ocpp::V21, "V2GCertificate"), (Ocpp::V21, "V2G20Certificate")]
    {
        let mut station = Puppet::new(&stage, "CS001");
        station.connect(ocpp);
        station.boot(ocpp, "SN-0001");
        let trigger = format!("Sign{certificate_type}");
        station.answer("TriggerMessage", json!({ "status": "Accepted" }));
        let asked = json!({ "requestedMessage": trigger, "evse": { "id": 1 } });
        assert_eq!(stage.by_hand("CS001", "TriggerMessage", &asked)["status"], "Accepted");
        assert_eq!(station.called("TriggerMessage"), asked);
        let csr = station.request("DE*TST*S0001");
        let request = json!({ "csr": csr, "certificateType": certificate_type });
        assert_eq!(station.call("SignCertificate", request)["status"], "Accepted", "{}", stage.log());
        assert_eq!(station.called("CertificateSigned")["certificateType"], certificate_type);
        accepted.push("Accepted");
        stage.await_states(&accepted);
        stage.openssl(&["verify", "-x509_strict", "-CAfile", "v2g-root.pem", "puppet-chain.pem"]);
        let subject = ["x509", "-in", "puppet-chain.pem", "-noout", "-subject", "-nameopt", "RFC2253"];
        assert_eq!(stage.openssl(&subject).trim(), "subject=CN=DE*TST*S0001,O=Test CSO,C=DE,DC=CPO",);
        station.close();
    }
}

/// A certificate that was requested in OCPP 2.1 waits while the station uses a version without its
/// type, and does not delay other certificates.
#[test]
fn a_certificate_of_2_1_waits_for_a_connection_of_2_1() {
    let stage = Stage::prepare();
    stage.make_root("v2g-root");
    stage.configure(
        "[tls]",
        "profiles_file = \"profiles.toml\"\n[[ca.issuer]]\nhierarchy = \"v2g\"\n\
         key = \"pkcs11:object=v2g-root\"\ncertificate_file = \"v2g-root.pem\"\n[tls]",
    );
    fs::write(stage.path("profiles.toml"), "[v2g.common_names]\nCS001 = [\"S0001\"]\n").expect("writes");
    let stage = stage.launched();
    let mut station = Puppet::new(&stage, "CS001");
    station.connect(Ocpp::V21);
    station.boot(Ocpp::V21, "SN-0001");
    station.answer("CertificateSigned", json!("hang up"));
    let csr = station.request("S0001");
    let request = json!({ "csr": csr, "certificateType": "V2G20Certificate", "requestId": 1 });
    assert_eq!(station.call("SignCertificate", request)["status"], "Accepted", "{}", stage.log());
    station.called("CertificateSigned");
    station.command(json!({ "do": "closed" }));

    station.answer("CertificateSigned", Value::Null);
    for (older, states) in
        [(Ocpp::V16, &["Accepted", "Issued"][..]), (Ocpp::V201, &["Accepted", "Accepted", "Issued"])]
    {
        station.connect(older);
        let csr = station.request("SN-0001");
        assert_eq!(station.call("SignCertificate", older.sign(&csr))["status"], "Accepted");
        assert_ne!(station.called("CertificateSigned")["certificateType"], "V2G20Certificate");
        stage.await_states(states);
        station.close();
    }
    station.answer("CertificateSigned", json!({ "status": "Accepted" }));
    station.connect(Ocpp::V21);
    station.boot(Ocpp::V21, "SN-0001");
    let signed = station.called("CertificateSigned");
    assert_eq!((&signed["certificateType"], &signed["requestId"]), (&json!("V2G20Certificate"), &json!(1)));
    stage.await_states(&["Accepted", "Accepted", "Accepted"]);
}
