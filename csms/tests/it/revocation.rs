//! Revocation: in the record, on a list that OpenSSL accepts, and on the connections. Lists are
//! renewed by the service.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use ocpp_transport::{CloseReason, ConnectError};
use ocpp_types::v201::HeartbeatRequest;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    delivery::{boot, in_runtime},
    reload::{assert_refused_by_tls, nothing, profile_3, station},
    stage::Stage,
};

/// Issues a certificate to a station: `SERIAL.pem` and `SERIAL.key`. Returns the certificate's
/// serial number.
pub(crate) fn enrol(stage: &Stage, identity: &str, serial_number: &str) -> String {
    let csr = stage.request(&format!("/O=Test CSO/CN={serial_number}"), &[]);
    let chain = format!("{serial_number}.pem");
    let arguments = ["--serial-number", serial_number, "--csr", csr, "--chain-out", &chain];
    stage.station_with_password(identity, &arguments).step("finished");
    fs::rename(stage.path("key.pem"), stage.path(&format!("{serial_number}.key"))).expect("renames");
    let serial = stage.openssl(&["x509", "-in", &chain, "-noout", "-serial"]);
    serial.trim().trim_start_matches("serial=").to_lowercase()
}

pub(crate) fn list_file(stage: &Stage) -> PathBuf {
    let files = fs::read_dir(stage.path("data/crl")).expect("lists").map(|file| file.expect("a file").path());
    files.into_iter().find(|path| path.extension().is_some_and(|end| end == "crl")).expect("a list")
}

/// The list as OpenSSL prints it, after it has verified the signature.
fn read_list(stage: &Stage) -> String {
    let file = list_file(stage);
    let file = file.to_str().expect("text");
    let text =
        stage.openssl(&["crl", "-inform", "DER", "-in", file, "-CAfile", "root.pem", "-noout", "-text"]);
    assert!(text.contains("verify OK"), "{text}");
    let pem = format!("{file}.pem");
    assert!(stage.openssl(&["crl", "-in", &pem, "-CAfile", "root.pem", "-noout"]).contains("verify OK"));
    text
}

fn verify_with_list(stage: &Stage, certificate: &str) -> String {
    let list = format!("{}.pem", list_file(stage).display());
    let arguments = ["verify", "-crl_check", "-x509_strict", "-CAfile", "root.pem", "-CRLfile", &list];
    let output = std::process::Command::new("openssl")
        .current_dir(stage.path(""))
        .args(arguments)
        .arg(certificate)
        .output()
        .expect("openssl starts");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a00_fr_705_what_is_revoked_is_on_record_listed_closed_and_refused() {
    let mut stage = Stage::start();
    let serial = enrol(&stage, "CS001", "SN-0001");
    enrol(&stage, "CS002", "SN-0002");
    assert!(read_list(&stage).contains("No Revoked Certificates"));
    in_runtime(async {
        let mut first = station(&stage, "CS001", profile_3(&stage, "SN-0001"), nothing()).await.expect("in");
        let second = station(&stage, "CS002", profile_3(&stage, "SN-0002"), nothing()).await.expect("in");
        boot(second.peer()).await;
        let arguments = ["revoke", "--station", "cs001", "--reason", "key-compromise"];
        let revoked = stage.operate(&arguments).await.expect("revokes");
        assert_eq!(revoked["serial_numbers"], json!([serial]));
        assert_eq!(revoked["closed"], json!(["CS001"]));
        assert_eq!((&revoked["lists"][0]["revoked"], &revoked["problem"]), (&json!(1), &Value::Null));
        let reason = timeout(Duration::from_secs(15), first.closed()).await.expect("closed");
        assert!(matches!(reason, CloseReason::Peer { code: Some(1008), .. }), "{reason:?}");
        assert_refused_by_tls(station(&stage, "CS001", profile_3(&stage, "SN-0001"), nothing()).await);
        second.peer().call(HeartbeatRequest::new()).await.expect("lives on");
        station(&stage, "CS002", profile_3(&stage, "SN-0002"), nothing()).await.expect("connects again");
        // A second revocation changes nothing.
        let again = stage.operate(&["revoke", "--serial", &serial]).await.expect("is revoked");
        assert_eq!((&again["serial_numbers"], &again["closed"]), (&json!([]), &json!([])));
    });

    let text = read_list(&stage);
    assert!(text.contains(&format!("Serial Number: {}", serial.to_uppercase())), "{text}");
    assert!(text.contains("Key Compromise") && text.contains("X509v3 CRL Number"), "{text}");
    let verdict = verify_with_list(&stage, "SN-0001.pem");
    assert!(verdict.contains("certificate revoked"), "{verdict}");
    assert_eq!(verify_with_list(&stage, "SN-0002.pem").trim(), "SN-0002.pem: OK");

    let certificates = stage.certificates();
    let of = |serial: &str| {
        let found = certificates.iter().find(|row| row["serial_number"] == serial);
        found.unwrap_or_else(|| panic!("{serial}: {certificates:?}"))
    };
    assert_eq!(of(&serial)["revocation_reason"], "key-compromise");
    assert!(of(&serial)["revoked_at"].is_i64());
    assert_eq!(certificates.iter().filter(|row| row["revoked_at"].is_null()).count(), 1);
    let output = stage.command(&["audit", "verify"]).output().expect("starts");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["certificates"], &report["revoked"]), (&json!(2), &json!(1)));

    // A crash changes nothing.
    stage.kill();
    stage.launch();
    in_runtime(async {
        assert_refused_by_tls(station(&stage, "CS001", profile_3(&stage, "SN-0001"), nothing()).await);
        let error = stage.operate(&["revoke", "--serial", "00ff"]).await.expect_err("unknown");
        assert!(error.contains("no certificate has the serial number ff"), "{error}");
    });

    // The key is compromised, so it is not certified again.
    assert!(stage.command(&["release", "CS001"]).status().expect("starts").success());
    let request =
        ["req", "-new", "-key", "SN-0001.key", "-out", "again.pem", "-subj", "/O=Test CSO/CN=SN-0001"];
    stage.openssl(&request);
    let report = stage.station_with_password("CS001", &["--serial-number", "SN-0001", "--csr", "again.pem"]);
    let answer = report.step("sign certificate");
    assert_eq!(
        (&answer["status"], &answer["reason"]),
        (&json!("Rejected"), &json!("InvalidCSR")),
        "{answer}"
    );
}

#[test]
fn a_revocation_counts_although_its_list_cannot_be_written() {
    let stage = Stage::start();
    let serial = enrol(&stage, "CS001", "SN-0001");
    in_runtime(async {
        let mut first = station(&stage, "CS001", profile_3(&stage, "SN-0001"), nothing()).await.expect("in");
        fs::remove_dir_all(stage.path("data/crl")).expect("removes");
        fs::write(stage.path("data/crl"), "not a folder").expect("writes");
        // The form in the output of `openssl x509 -text`.
        let pairs = serial.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase());
        let written = pairs.collect::<Vec<_>>().join(":");
        let revoked = stage.operate(&["revoke", "--serial", &written]).await.expect("revokes");
        assert!(revoked["problem"].as_str().is_some_and(|text| text.contains("crl")), "{revoked}");
        assert_eq!(revoked["closed"], json!(["CS001"]));
        timeout(Duration::from_secs(15), first.closed()).await.expect("closed");
        let error =
            station(&stage, "CS001", profile_3(&stage, "SN-0001"), nothing()).await.expect_err("refused");
        assert!(matches!(error, ConnectError::Refused { status: 401, .. }), "{error:?}");
        // When there is room again, the list is made, and TLS itself refuses the certificate.
        fs::remove_file(stage.path("data/crl")).expect("removes");
        let lists = stage.operate(&["crl"]).await.expect("signs");
        assert_eq!(lists[0]["revoked"], 1);
        assert!(lists[0]["pem"].as_str().is_some_and(|pem| pem.starts_with("-----BEGIN X509 CRL-----")));
        assert_refused_by_tls(station(&stage, "CS001", profile_3(&stage, "SN-0001"), nothing()).await);
    });
    assert!(verify_with_list(&stage, "SN-0001.pem").contains("certificate revoked"));
}

#[test]
fn a_list_with_a_distribution_point_counts_for_certificates_that_name_it() {
    let stage = Stage::prepare();
    stage.configure(
        "[tls]",
        "crl_url = \"http://pki.example.com/cso.crl\"\n[ca.profiles.station]\n\
         crl_urls = [\"http://pki.example.com/cso.crl\"]\n[tls]",
    );
    let stage = stage.launched();
    enrol(&stage, "CS001", "SN-0001");
    enrol(&stage, "CS002", "SN-0002");
    in_runtime(async {
        station(&stage, "CS001", profile_3(&stage, "SN-0001"), nothing()).await.expect("in");
        stage.operate(&["revoke", "--station", "CS001", "--reason", "superseded"]).await.expect("revokes");
        assert_refused_by_tls(station(&stage, "CS001", profile_3(&stage, "SN-0001"), nothing()).await);
        station(&stage, "CS002", profile_3(&stage, "SN-0002"), nothing()).await.expect("is not revoked");
    });
    let text = read_list(&stage);
    assert!(text.contains("X509v3 Issuing Distribution Point: critical"), "{text}");
    assert!(text.contains("URI:http://pki.example.com/cso.crl"), "{text}");
    assert!(verify_with_list(&stage, "SN-0001.pem").contains("certificate revoked"));
    assert_eq!(verify_with_list(&stage, "SN-0002.pem").trim(), "SN-0002.pem: OK");
}

#[test]
fn a_list_is_renewed_before_its_time_is_over() {
    let stage = Stage::prepare();
    stage.configure("[tls]", "crl_validity = \"9s\"\ncrl_file = \"lists/cso.crl\"\n[tls]");
    let stage = stage.launched();
    let number = || {
        let list = ["crl", "-inform", "DER", "-in", "lists/cso.crl", "-CAfile", "root.pem", "-noout"];
        let text = stage.openssl(&[&list[..], &["-crlnumber", "-nextupdate"]].concat());
        assert!(text.contains("verify OK"), "{text}");
        let number = text.lines().find_map(|line| line.strip_prefix("crlNumber="));
        let digits = number.unwrap_or_else(|| panic!("{text}")).trim_start_matches("0x");
        u64::from_str_radix(digits, 16).expect("a number")
    };
    assert_eq!(number(), 1);
    let deadline = Instant::now() + Duration::from_secs(60);
    while number() < 3 {
        assert!(Instant::now() < deadline, "{}", stage.log());
        // The list is never missing or incomplete while it is replaced: `number` verifies it each
        // time.
    }
}
