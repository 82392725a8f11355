//! The rules of the configuration for the authority's key and for stations' keys.

use std::fs;

use serde_json::json;

use crate::stage::Stage;

const SUBJECT: &str = "/O=Test CSO/CN=SN-0001";

#[test]
fn a_blocked_key_is_not_certified() {
    let mut stage = Stage::prepare();
    let csr = stage.request(SUBJECT, &[]);
    stage.openssl(&["pkey", "-in", "key.pem", "-pubout", "-outform", "DER", "-out", "key.der"]);
    let hash = stage.openssl(&["dgst", "-sha256", "-r", "key.der"]);
    fs::write(stage.path("blocked"), format!("# stolen\n{hash}")).expect("writes");
    stage.configure("certificate_file", "blocked_keys_file = \"blocked\"\ncertificate_file");
    stage.launch();
    let report = stage.station_with_password("CS001", &["--serial-number", "SN-0001", "--csr", csr]);
    let answer = report.step("sign certificate");
    assert_eq!((&answer["status"], &answer["reason"]), (&json!("Rejected"), &json!("InvalidCSR")));
    assert!(answer["info"].as_str().expect("a reason").contains("list of blocked keys"), "{answer}");

    let mut stage = Stage::prepare();
    fs::write(stage.path("blocked"), "# stolen\nnot a hash\n").expect("writes");
    stage.configure("certificate_file", "blocked_keys_file = \"blocked\"\ncertificate_file");
    let log = stage.launch_in_vain();
    assert!(log.contains("blocked cannot be used") && log.contains("line 2"), "{log}");
}

#[test]
fn a_spare_of_the_authoritys_key_has_to_be_the_same_key() {
    let mut stage = Stage::prepare();
    let token = stage.token().replace('?', ";object=cso-root?");
    let spares = |object: &str| {
        let spare = token.replace("cso-root", object);
        format!("spares = [\"{spare}\"]\ncertificate_file")
    };
    stage.configure("certificate_file", &spares("tls"));
    let log = stage.launch_in_vain();
    assert!(log.contains("ca.spares") && log.contains("is another key"), "{log}");

    stage.configure(&spares("tls"), &spares("cso-root"));
    stage.configure("[ca]", "keep_alive_seconds = 0\n[ca]");
    stage.launch();
    let csr = stage.request(SUBJECT, &[]);
    let report = stage.station_with_password("CS001", &["--serial-number", "SN-0001", "--csr", csr]);
    assert_eq!(report.step("sign certificate")["status"], "Accepted");
    report.step("certificate signed");
}
