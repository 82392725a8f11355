//! The kind of key that the station generates: allowed by the configuration and supported by the
//! token.

use serde_json::json;

use crate::{
    reusable::{booted, booted_with, csr, signed},
    stage::Stage,
};

/// OpenSSL's description of the key in a request.
fn kind(stage: &Stage, csr: &serde_json::Value) -> String {
    std::fs::write(stage.path("kind.csr"), csr["csr"].as_str().expect("PEM")).expect("writes");
    stage.openssl(&["req", "-in", "kind.csr", "-noout", "-verify", "-text"])
}

#[test]
fn a00_fr_503_a_token_without_elliptic_curves_gets_an_rsa_key() {
    let stage = Stage::prepare_with_fault("rsa-only");
    let (mut csms, station) = booted(&stage);
    let request = csr(&stage, &mut csms, "SignChargingStationCertificate");
    let text = kind(&stage, &request);
    assert!(text.contains("Public-Key: (2048 bit)") && text.contains("rsaEncryption"), "{text}");
    let issued = csms.issue(&stage, json!({ "csr": request["csr"], "issuer": "ca" }));
    let answer = signed(&stage, &mut csms, &issued, "ChargingStationCertificate");
    assert_eq!(answer["status"], "Accepted", "{answer}");
    // The key signs the handshake.
    let connection = csms.wait_for(&stage, "connection");
    assert_eq!((&connection["profile"], &connection["serial"]), (&json!(3), &issued["serial"]));
    station.terminate();
}

#[test]
fn the_configuration_chooses_among_what_the_token_has() {
    let stage = Stage::prepare();
    let algorithms = "[certificates]\nkey_algorithms = [\"rsa-3072\", \"ecdsa-p256\"]\n";
    let (mut csms, station) = booted_with(&stage, algorithms);
    let text = kind(&stage, &csr(&stage, &mut csms, "SignChargingStationCertificate"));
    assert!(text.contains("Public-Key: (3072 bit)"), "{text}");
    station.terminate();
}

#[test]
fn a_renewal_ends_with_the_reason_where_the_token_has_no_such_key() {
    let stage = Stage::prepare_with_fault("rsa-only");
    let algorithms = "[certificates]\nkey_algorithms = [\"ecdsa-p384\", \"ecdsa-p256\"]\n[iso15118]\nv2g_certificate_installation_enabled = true\n";
    let (_csms, station) = booted_with(&stage, algorithms);
    for (use_, allowed) in [("station", "ecdsa-p384, ecdsa-p256"), ("v2g", "ecdsa-p256")] {
        let output = stage.plain_command(&["renew", "--use", use_, "--wait"]).output().expect("starts");
        let [text, error] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert_eq!(output.status.code(), Some(1), "{text}{error}");
        let reason = format!("the key could not be made: the token can generate no key of {allowed}");
        assert!(text.contains(&reason) && text.contains("MechanismInvalid"), "{text}{error}");
        assert!(text.contains("no keys of an allowed kind; see certificates.key_algorithms"), "{text}");
        assert!(error.contains("no certificate has come"), "{error}");
    }
    stage.wait_until("nothing waits", || stage.inventory().pending.is_empty());
    station.terminate();
}

/// A failure that may be temporary is reported too. The generation is retried twice, and then ends.
#[test]
fn a_token_that_fails_is_named_while_it_is_tried_again() {
    let stage = Stage::prepare_with_fault("fails-to-generate");
    let (_csms, station) = booted(&stage);
    let mut command = stage.plain_command(&["renew", "--wait"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("starts");
    let lines = std::io::BufReader::new(child.stdout.take().expect("piped"));
    let told =
        std::io::BufRead::lines(lines).map_while(Result::ok).find(|line| line.contains("could not be made"));
    assert!(told.expect("told").contains("GeneralError"));
    child.kill().expect("killed");
    child.wait().expect("ends");
    station.terminate();
}

#[test]
fn a_list_of_kinds_that_cannot_be_used_is_named() {
    let stage = Stage::prepare();
    stage.configure_more(1, "[certificates]\nkey_algorithms = [\"rsa-1024\"]\n");
    let output = stage.plain_command(&["status"]).output().expect("starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("certificates.key_algorithms"), "{error}");
}
