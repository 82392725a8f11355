//! Another authority, called through a command: OpenSSL's `ca`, which answers late, wrongly, or not
//! at all.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use ocpp_transport::ConnectError;
use serde_json::{Value, json};

use crate::{
    delivery::in_runtime,
    reload::{ALWAYS, OpenSslCa, nothing, profile_3, station},
    stage::Stage,
};

const COMMAND: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$OCPP_STATION $OCPP_SERIAL_NUMBER $OCPP_CERTIFICATE_TYPE" >> asked
cat > "asked-$$.csr"
while [ "$(cat mode)" = wait ]; do sleep 0.05; done
sign() { openssl ca -batch -config ca.cnf -in "asked-$$.csr" -out "made-$$.pem" -notext "$@" 2>> ca.log && cat "made-$$.pem"; }
case "$(cat mode)" in
good) sign -days 30 ;;
fail) echo "no certificates today" >&2; exit 3 ;;
garbage) echo "here you are" ;;
endless) yes ;;
other-key) cat other.pem ;;
other-subject) sign -days 30 -subj "/O=Test CSO/CN=SN-0002" ;;
expired) sign -startdate 20200101000000Z -enddate 20210101000000Z ;;
esac
"#;

fn prepare() -> Stage {
    let stage = Stage::prepare();
    let ca = OpenSslCa::new(&stage);
    ca.issue("other", "/O=Test CSO/CN=SN-0001", &[], ALWAYS);
    fs::write(stage.path("ask"), COMMAND).expect("writes");
    fs::set_permissions(stage.path("ask"), fs::Permissions::from_mode(0o755)).expect("an executable");
    stage.configure("key = \"pkcs11:object=cso-root\"", "");
    let external = "certificate_file = \"ca.pem\"\n[ca.external]\ncommand = [\"./ask\"]";
    stage.configure("certificate_file = \"root.pem\"", external);
    mode(&stage, "good");
    stage
}

fn mode(stage: &Stage, mode: &str) {
    fs::write(stage.path("mode.new"), mode).expect("writes");
    fs::rename(stage.path("mode.new"), stage.path("mode")).expect("renames");
}

/// Requests a certificate, receives Accepted at once, and closes the connection.
fn ask(stage: &Stage, csr: &str) {
    let arguments = ["--serial-number", "SN-0001", "--csr", csr, "--hang-up-after-sign"];
    let report = stage.station_with_password("CS001", &arguments);
    assert_eq!(report.step("sign certificate")["status"], "Accepted");
}

/// Connects again and receives what is due.
fn fetch(stage: &Stage) {
    let arguments = ["--serial-number", "SN-0001", "--await-certificate", "--chain-out", "chain.pem"];
    stage.station_with_password("CS001", &arguments).step("finished");
    stage.openssl(&["verify", "-x509_strict", "-CAfile", "ca.pem", "chain.pem"]);
}

fn requests(stage: &Stage) -> Vec<Value> {
    let output = stage.command(&["requests"]).output().expect("starts");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The number of times that the command was run.
fn asked(stage: &Stage) -> usize {
    fs::read_to_string(stage.path("asked")).unwrap_or_default().lines().count()
}

#[track_caller]
fn until(stage: &Stage, what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        let more = fs::read_to_string(stage.path("ca.log")).unwrap_or_default();
        assert!(Instant::now() < deadline, "{what}: {:?}\n{}\n{more}", requests(stage), stage.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a02_fr_04_another_authority_makes_the_certificate() {
    let stage = prepare().launched();
    let csr = stage.request("/O=Test CSO/CN=SN-0001", &[]);
    let arguments = ["--serial-number", "SN-0001", "--csr", csr, "--chain-out", "chain.pem"];
    let report = stage.station_with_password("CS001", &arguments);
    assert_eq!(report.step("sign certificate")["status"], "Accepted");
    assert_eq!(report.step("certificate signed")["type"], "ChargingStationCertificate");
    report.step("finished");
    stage.openssl(&["verify", "-x509_strict", "-CAfile", "ca.pem", "chain.pem"]);
    assert_eq!(
        fs::read_to_string(stage.path("asked")).expect("reads"),
        "CS001 SN-0001 ChargingStationCertificate\n"
    );
    assert_eq!(requests(&stage), [Value::Null; 0]);
    let certificates = stage.certificates();
    assert_eq!(certificates[0]["state"], "Accepted");

    // The certificate opens security profile 3 until it is revoked here, whatever list the other
    // authority publishes.
    fs::copy(stage.path("chain.pem"), stage.path("own.pem")).expect("copies");
    fs::copy(stage.path("key.pem"), stage.path("own.key")).expect("copies");
    in_runtime(async {
        let connection = station(&stage, "CS001", profile_3(&stage, "own"), nothing()).await.expect("in");
        let serial = certificates[0]["serial_number"].as_str().expect("a number");
        let revoked = stage.operate(&["revoke", "--serial", serial]).await.expect("revokes");
        assert_eq!(
            (&revoked["closed"], &revoked["lists"], &revoked["problem"]),
            (&json!(["CS001"]), &json!([]), &Value::Null)
        );
        drop(connection);
        let error = station(&stage, "CS001", profile_3(&stage, "own"), nothing()).await.expect_err("refused");
        assert!(matches!(error, ConnectError::Refused { status: 401, .. }), "{error:?}");
    });
    let output = stage.command(&["audit", "verify"]).output().expect("starts");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&report["certificates"], &report["unfinished"], &report["revoked"]),
        (&json!(1), &json!(0), &json!(1))
    );
}

#[test]
fn an_answer_that_comes_late_is_delivered() {
    let stage = prepare().launched();
    let csr = stage.request("/O=Test CSO/CN=SN-0001", &[]);
    mode(&stage, "wait");
    ask(&stage, csr);
    until(&stage, "it is asked", || asked(&stage) == 1);
    let waiting = requests(&stage);
    assert_eq!(
        (&waiting[0]["station"], &waiting[0]["failure"]),
        (&json!("CS001"), &Value::Null),
        "{waiting:?}"
    );
    // A02.FR.17: the station asks again meanwhile, but the authority is asked only once.
    ask(&stage, csr);
    assert_eq!((asked(&stage), requests(&stage).len()), (1, 1));
    mode(&stage, "good");
    until(&stage, "it has come", || stage.certificates().len() == 1);
    fetch(&stage);
    assert_eq!(asked(&stage), 1);
}

#[test]
fn a_request_that_waits_survives_a_crash() {
    let mut stage = prepare();
    stage.launch();
    let csr = stage.request("/O=Test CSO/CN=SN-0001", &[]);
    mode(&stage, "wait");
    ask(&stage, csr);
    until(&stage, "it is asked", || asked(&stage) == 1);
    stage.kill();
    // The command of the ended service continues, and its output is lost.
    mode(&stage, "good");
    let made = |end: &str| {
        fs::read_dir(stage.path(""))
            .expect("reads")
            .filter(|file| {
                let name = file.as_ref().expect("a file").file_name();
                name.to_string_lossy().starts_with("made-") && name.to_string_lossy().ends_with(end)
            })
            .count()
    };
    until(&stage, "it was made in vain", || made(".pem") == 1);
    stage.launch();
    until(&stage, "it has come", || stage.certificates().len() == 1);
    assert_eq!(asked(&stage), 2);
    assert_eq!(requests(&stage), [Value::Null; 0]);
    fetch(&stage);
    assert_eq!(stage.certificates()[0]["state"], "Accepted");
}

#[test]
fn an_authority_that_fails_is_told_of_and_asked_again_with_the_same_key() {
    let stage = prepare().launched();
    let csr = stage.request("/O=Test CSO/CN=SN-0001", &[]);
    for (count, (wrong, reason)) in [
        ("fail", "no certificates today"),
        ("garbage", "not a chain of certificates"),
        ("endless", "has written more than 65536 bytes"),
        ("other-key", "for another key"),
        ("other-subject", "SN-0002"),
        ("expired", "not valid now"),
    ]
    .into_iter()
    .enumerate()
    {
        mode(&stage, wrong);
        ask(&stage, csr);
        until(&stage, wrong, || {
            requests(&stage).first().is_some_and(|request| request["failure"].is_string())
                && asked(&stage) == count + 1
        });
        let failed = requests(&stage);
        assert!(failed[0]["failure"].as_str().is_some_and(|text| text.contains(reason)), "{failed:?}");
        assert_eq!(stage.certificates(), [Value::Null; 0]);
    }
    mode(&stage, "good");
    ask(&stage, csr);
    until(&stage, "it has come", || stage.certificates().len() == 1);
    fetch(&stage);
    assert_eq!(requests(&stage), [Value::Null; 0]);
}

#[test]
fn a_program_that_is_missing_is_named() {
    let stage = prepare();
    stage.configure("\"./ask\"", "\"./missing\"");
    let stage = stage.launched();
    let csr = stage.request("/O=Test CSO/CN=SN-0001", &[]);
    ask(&stage, csr);
    until(&stage, "it fails", || {
        let requests = requests(&stage);
        requests[0]["failure"].as_str().is_some_and(|text| text.contains("missing cannot be run"))
    });
}
