//! Operators' commands: their exit codes and output for scripts. Content of a file that is not a
//! certificate is never sent.

use std::{fs, process::Output};

use serde_json::{Value, json};

use crate::{
    puppet::{Ocpp, Puppet},
    stage::Stage,
};

/// Exit code, standard output, standard error.
fn run(stage: &Stage, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = stage.plain_command(arguments).output().expect("starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

/// TC_M_05, TC_M_21, TC_F_27 for the CSMS: the operator sees the station's answer, and a script
/// sees it in the exit code.
#[test]
fn exit_codes_tell_what_the_station_made_of_it() {
    const DATA: &str =
        r#"{"hashAlgorithm":"SHA256","issuerNameHash":"ab","issuerKeyHash":"cd","serialNumber":"1"}"#;
    for ocpp in [Ocpp::V16, Ocpp::V201] {
        let stage = Stage::start();
        stage.self_signed("any", "/O=Somebody/CN=Root", &[]);
        let mut station = Puppet::new(&stage, "CS001");
        station.connect(ocpp);
        station.boot(ocpp, "SN-0001");
        let install = ["install", "CS001", "ManufacturerRootCertificate", "any.pem"];
        let delete = ["delete", "CS001", "--hash-data", DATA];
        let trigger = ["trigger", "CS001", "SignChargingStationCertificate"];
        let (trigger_action, _) = ocpp.trigger();
        for (arguments, action, status, code) in [
            (&install[..], "InstallCertificate", "Accepted", 0),
            (&install, "InstallCertificate", "Rejected", 3),
            (&install, "InstallCertificate", "Failed", 3),
            (&delete, "DeleteCertificate", "Accepted", 0),
            (&delete, "DeleteCertificate", "Failed", 3),
            (&delete, "DeleteCertificate", "NotFound", 3),
            (&trigger, trigger_action, "Accepted", 0),
            (&trigger, trigger_action, "Rejected", 3),
            (&trigger, trigger_action, "NotImplemented", 3),
        ] {
            let mut answer = json!({ "status": status });
            let mut expected = status.to_owned();
            if ocpp != Ocpp::V16 {
                answer["statusInfo"] = json!({ "reasonCode": "Why", "additionalInfo": "because it is so" });
                expected += " (Why): because it is so";
            }
            station.answer(action, answer);
            let (found, out, error) = run(&stage, arguments);
            assert_eq!(
                (found, out.trim_end(), error.as_str()),
                (Some(code), expected.as_str(), ""),
                "{arguments:?}"
            );
            let json = stage.command(arguments).output().expect("starts");
            assert_eq!(json.status.code(), Some(code));
            let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
            assert_eq!(json["status"], status);
        }
        // An OCPP error is also a refusal.
        station.answer(trigger_action, json!({ "error": "no such thing" }));
        let (code, out, error) = run(&stage, &trigger);
        assert_eq!((code, out.as_str()), (Some(3), ""));
        assert!(error.contains("GenericError: no such thing"), "{error}");
        // For a request by hand, the response is the result.
        let by_hand = ["call", "CS001", "Reset", r#"{"type": "Hard"}"#];
        let by_hand =
            if ocpp == Ocpp::V16 { by_hand } else { ["call", "CS001", "Reset", r#"{"type": "Immediate"}"#] };
        station.answer("Reset", json!({ "status": "Rejected" }));
        assert_eq!(run(&stage, &by_hand).0, Some(0));
    }
}

#[test]
fn exit_codes_without_a_station() {
    let stage = Stage::start();
    stage.self_signed("any", "/O=Somebody/CN=Root", &[]);
    let (code, out, error) = run(&stage, &["trigger", "CS001", "Heartbeat"]);
    assert_eq!((code, out.as_str()), (Some(4), ""));
    assert!(error.contains("CS001 is not connected"), "{error}");
    assert_eq!(run(&stage, &["install", "CS001", "CSMSRootCertificate", "any.pem"]).0, Some(4));
    assert_eq!(run(&stage, &["install", "CS001", "CSMSRootCertificate", "none.pem"]).0, Some(1));
    assert_eq!(run(&stage, &["install", "CS001"]).0, Some(2));
    let (_, help, _) = run(&stage, &["--help"]);
    assert!(
        help.contains("3 the station refused") && help.contains("4 the station is not connected"),
        "{help}"
    );
}

/// M05: only a certificate is installed. Neither the service nor the station receives any other
/// content of a file.
#[test]
fn m05_install_sends_certificates_only() {
    let stage = Stage::start();
    stage.self_signed("any", "/O=Somebody/CN=Root", &[]);
    stage.self_signed("other", "/O=Somebody/CN=Root", &[]);
    let mut station = Puppet::new(&stage, "CS001");
    station.connect(Ocpp::V201);
    station.boot(Ocpp::V201, "SN-0001");
    let read = |name: &str| fs::read(stage.path(name)).expect("reads");
    let (certificate, key) = (read("any.pem"), read("any.key"));
    stage.openssl(&["x509", "-in", "any.pem", "-outform", "DER", "-out", "any.der"]);
    let secret = String::from_utf8_lossy(&key).lines().nth(1).expect("base64").to_owned();
    let utf_16: Vec<u8> = "\u{feff}test-pin".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, content) in [
        ("key", key.clone()),
        ("certificate-and-key", [&certificate[..], &key].concat()),
        ("key-and-certificate", [&key[..], &certificate].concat()),
        ("two", [certificate.clone(), read("other.pem")].concat()),
        ("pin", b"test-pin\n".to_vec()),
        ("nothing", Vec::new()),
        ("utf-16", utf_16),
    ] {
        fs::write(stage.path(name), content).expect("writes");
        let (code, out, error) = run(&stage, &["install", "CS001", "CSMSRootCertificate", name]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{name}");
        assert!(
            error.starts_with(&format!("ocpp-csms: {name} cannot be installed: nothing was sent")),
            "{error}"
        );
        assert!(!error.contains(&secret) && !error.contains("test-pin"), "{error}");
    }
    // Text around the certificate is not sent; DER is accepted.
    fs::write(stage.path("noted"), [b"issuer=CN = Root\r\n", &certificate[..]].concat()).expect("writes");
    for name in ["any.pem", "noted", "any.der"] {
        let (code, out, error) = run(&stage, &["install", "CS001", "CSMSRootCertificate", name]);
        assert_eq!((code, out.trim_end()), (Some(0), "Accepted"), "{error}");
        let sent = station.called("InstallCertificate")["certificate"].as_str().expect("PEM").to_owned();
        assert_eq!(sent.trim_end().as_bytes(), certificate.trim_ascii_end(), "{name}");
    }
    let installed = station.frames().iter().filter(|frame| frame["in"][2] == "InstallCertificate").count();
    assert_eq!(installed, 3);
}

/// M04: a station without a CSMS root can no longer verify the CSMS.
#[test]
fn m04_the_operator_is_warned_before_the_last_csms_root_goes() {
    for ocpp in Ocpp::ALL {
        let stage = Stage::start();
        let mut station = Puppet::new(&stage, "CS001");
        station.connect(ocpp);
        station.boot(ocpp, "SN-0001");
        let mut data = Vec::new();
        for name in ["one", "two"] {
            stage.self_signed(name, "/O=Somebody/CN=Root", &[]);
            stage
                .operator(&["install", "CS001", "CSMSRootCertificate", &format!("{name}.pem")])
                .expect("installed");
            data.push(stage.hash_data(&format!("{name}.pem"), &format!("{name}.pem"), "sha256").to_string());
        }
        station.answer("DeleteCertificate", json!({ "status": "Failed" }));
        let delete = |data: &str| run(&stage, &["delete", "CS001", "--hash-data", data]);
        assert_eq!(delete(&data[0]).2, "");
        // The station writes it in its own way.
        let listed = stage.operator(&["inventory", "CS001"]).expect("listed");
        station.answer("DeleteCertificate", Value::Null);
        let first = listed["certificateHashDataChain"][0]["certificateHashData"].to_string();
        assert_eq!(delete(&first), (Some(0), "Accepted\n".to_owned(), String::new()));
        station.answer("DeleteCertificate", json!({ "status": "Failed" }));
        let (code, out, error) = delete(&data[1]);
        assert_eq!((code, out.as_str()), (Some(3), "Failed\n"));
        assert!(
            error.starts_with("ocpp-csms: warning: CS001: this is its last CSMSRootCertificate"),
            "{error}"
        );
    }
}
