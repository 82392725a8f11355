//! Which stations may connect.

use std::{
    fs,
    io::{Read as _, Write as _},
};

use base64ct::{Base64, Encoding as _};
use serde_json::json;

use crate::{
    puppet::{Ocpp, Puppet},
    stage::{PASSWORD, Stage},
};

#[test]
fn tc_a_01_tc_a_02_tc_a_03_basic_authentication() {
    let stage = Stage::start();
    assert_eq!(stage.station_with_password("CS001", &["--no-boot"]).step("connected"), "ocpp2.0.1");
    assert_eq!(stage.station("CS001", &["--password", "wrong-horse-battery"]).step("refused"), 401);
    assert_eq!(stage.station("CS001", &[]).step("refused"), 401);
    // `identifierString` is not case-sensitive; the spelling in the configuration counts.
    assert_eq!(stage.station_with_password("cs001", &["--no-boot"]).step("connected"), "ocpp2.0.1");
    // OCPP-J 3.1.1: an unknown identity is HTTP 404.
    assert_eq!(stage.station_with_password("CS999", &[]).step("refused"), 404);
    assert!(!stage.log().contains("wrong-horse-battery"), "a password in the log");
}

#[test]
fn tc_a_08_client_certificates_of_another_authority_or_station_are_refused() {
    let stage = Stage::start();
    // Another authority with the same name.
    stage.self_signed("foreign", "/O=Test CSO/CN=SN-0001", &[]);
    let report = stage.station("CS001", &["--client-chain", "foreign.pem", "--client-key", "foreign.key"]);
    // TLS refuses it, before there is an HTTP status.
    assert!(report.step("refused").is_string(), "{}", report.step("refused"));

    // A valid certificate of CS001, presented under the identity of CS002 (A00.FR.405).
    let csr = stage.request("/O=Test CSO/CN=SN-0001", &[]);
    let arguments = ["--serial-number", "SN-0001", "--csr", csr, "--chain-out", "chain.pem"];
    stage.station_with_password("CS001", &arguments).step("finished");
    let own = ["--client-chain", "chain.pem", "--client-key", "key.pem"];
    assert_eq!(stage.station("CS002", &own).step("refused"), 401);

    // B01.FR.12: a BootNotification with the right identity and another serial number closes the
    // connection.
    let report = stage.station("CS001", &[&own[..], &["--serial-number", "SN-0009"]].concat());
    assert_eq!(report.step("boot")["status"], "Rejected");
    report.step("ended");
}

/// Covers everything in the test case except the cipher suites. `reload` and the transport's own
/// tests cover these.
#[test]
fn tc_a_04_the_certificate_of_the_csms_is_as_it_has_to_be() {
    let stage = Stage::start();
    let address = stage.url().trim_start_matches("wss://").trim_end_matches("/ocpp");
    let arguments = ["s_client", "-connect", address, "-CAfile", "root.pem", "-verify_return_error"];
    let text = stage.openssl(&arguments);
    assert!(text.contains("Verification: OK"), "{text}");
    // A00.FR.507: PEM. OpenSSL reads the first certificate of the text.
    fs::write(stage.path("presented.pem"), &text).expect("writes");
    let text = stage.openssl(&["x509", "-in", "presented.pem", "-noout", "-text", "-nameopt", "RFC2253"]);
    // A00.FR.510, A00.FR.509: the name that stations connect to, and the CSO.
    assert!(text.contains("Subject: CN=localhost,O=Test CSO\n"), "{text}");
    // A00.FR.503, A00.FR.506, A00.FR.508
    assert!(text.contains("Public-Key: (256 bit)") && text.contains("ecdsa-with-SHA256"), "{text}");
    assert!(text.contains("Serial Number:"), "{text}");
    // TC_A_06: no version older than TLS 1.2.
    for version in ["-tls1", "-tls1_1"] {
        let old = [&arguments[..], &[version, "-cipher", "ALL:@SECLEVEL=0"]].concat();
        assert!(stage.openssl_in_vain(&old).contains("alert protocol version"));
    }
    assert!(stage.log().contains("InvalidTLSVersion"), "{}", stage.log());
}

#[test]
fn a05_fr_07_a_connection_with_a_certificate_is_enough_to_refuse_the_password() {
    let stage = Stage::start();
    let csr = stage.request("/O=Test CSO/CN=SN-0001", &[]);
    let arguments = ["--serial-number", "SN-0001", "--csr", csr, "--chain-out", "chain.pem"];
    stage.station_with_password("CS001", &arguments).step("finished");
    // A station that reconnects after it lost its connection need not boot.
    let arguments = ["--no-boot", "--client-chain", "chain.pem", "--client-key", "key.pem"];
    stage.station("CS001", &arguments).step("finished");
    assert_eq!(stage.station_with_password("CS001", &[]).step("refused"), 403);
}

#[test]
fn what_an_operator_types_wrong_is_named() {
    let stage = Stage::start();
    let refused = |stage: &Stage, arguments: &[&str]| {
        let output = stage.command(arguments).output().expect("starts");
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let error = refused(&stage, &["release", "CS0O1"]);
    assert!(error.contains("CS0O1 is not in the configuration"), "{error}");
    // The flags may also follow the command.
    let error = refused(&stage, &["status", "--config", "missing.toml", "--log", "json"]);
    assert!(error.contains("cannot read missing.toml"), "{error}");

    let good = fs::read_to_string(stage.path("csms.toml")).expect("reads");
    let long = good.replace("\"data\"", &format!("\"{}\"", "d".repeat(120)));
    fs::write(stage.path("csms.toml"), long).expect("writes");
    for command in ["status", "run"] {
        let error = refused(&stage, &[command]);
        assert!(error.contains("shorter `directory`"), "{error}");
    }
}

/// The output is cut as in `ocpp-csms certificates | head -1`.
#[test]
fn whoever_reads_a_commands_output_may_stop() {
    let stage = Stage::start();
    for arguments in [&["status"][..], &["certificates"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = stage.command(arguments);
        let output = command.stdout(writer).output().expect("starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn an_operators_request_is_checked_before_it_is_sent() {
    let stage = Stage::start();
    let output = stage.command(&["trigger", "CS001", "Heartbeat"]).output().expect("starts");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("CS001 is not connected"), "{error}");

    let hash = json!({
        "hashAlgorithm": "SHA256", "issuerNameHash": "0", "issuerKeyHash": "0", "serialNumber": "a".repeat(41),
    });
    let output =
        stage.command(&["delete", "CS001", "--hash-data", &hash.to_string()]).output().expect("starts");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("/serialNumber") && error.contains("40"), "{error}");

    let comment = format!("nsComment={}", "x".repeat(4500));
    stage.self_signed("big", "/CN=Big", &["-addext", &comment]);
    fs::write(stage.path("none.pem"), "x".repeat(5501)).expect("writes");
    let mut station = Puppet::new(&stage, "CS001");
    station.connect(Ocpp::V201);
    for (arguments, told) in [
        (&["install", "CS001", "CSMSRootCertificate", "big.pem"][..], ["/certificate", "5500"]),
        (&["install", "CS001", "CSMSRootCertificate", "none.pem"], ["none.pem", "nothing was sent"]),
        (&["install", "CS001", "OEMRootCertificate", "root.pem"], ["/certificateType", "OCPP 2.0.1"]),
        (&["trigger", "CS001", "FlyToTheMoon"], ["/requestedMessage", "OCPP 2.0.1"]),
    ] {
        let error = stage.operator(arguments).expect_err("refused");
        assert!(told.iter().all(|part| error.contains(part)), "{error}");
    }
    let asked = station.frames().iter().filter(|frame| frame["in"][0] == 2).count();
    assert_eq!(asked, 0);
}

#[test]
fn wrong_pin_missing_token_and_missing_module_say_what_to_do() {
    let stage = Stage::prepare();
    let run = |from: &str, to: &str, module: Option<&str>| {
        let good = fs::read_to_string(stage.path("csms.toml")).expect("reads");
        assert!(good.contains(from));
        fs::write(stage.path("bad.toml"), good.replace(from, to)).expect("writes");
        let mut command = stage.command_with("bad.toml", &["run"]);
        if let Some(module) = module {
            command.env("PKCS11_MODULE", module);
        }
        let output = command.output().expect("starts");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    fs::write(stage.path("wrong-pin"), "not-the-pin").expect("writes");
    let error = run("file:pin", "file:wrong-pin", None);
    assert!(error.contains("PIN") && !error.contains("not-the-pin"), "{error}");
    let error = run("pkcs11:token=", "pkcs11:token=no-such-", None);
    assert!(error.contains("no token matches") && error.contains("hsm init"), "{error}");
    let error = run("file:pin", "file:pin", Some("/nonexistent/module.so"));
    assert!(error.contains("/nonexistent/module.so") && error.contains("install"), "{error}");
}

/// The values that the specification leaves to the operator: how long a silent station stays
/// connected, and after how many wrong passwords of one address each of its stations has a single
/// guess.
#[test]
fn the_limits_of_the_configuration_count() {
    let stage = Stage::prepare();
    let limits = "ping_interval = \"1s\"\nping_timeout = \"1s\"\n[listen.limits]\nwrong_passwords_per_address = 1\n[token]";
    stage.configure("[token]", limits);
    let stage = stage.launched();

    // A station that opens its WebSocket and never answers a ping.
    let address = stage.url().trim_start_matches("wss://").trim_end_matches("/ocpp");
    let mut silent = stage.openssl_client(&["-connect", address, "-CAfile", "root.pem", "-quiet"]);
    let credentials = Base64::encode_string(format!("CS002:{PASSWORD}").as_bytes());
    let upgrade = format!(
        "GET /ocpp/CS002 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: ocpp2.0.1\r\nAuthorization: Basic {credentials}\r\n\r\n"
    );
    let mut input = silent.stdin.take().expect("piped");
    input.write_all(upgrade.as_bytes()).expect("writes");
    let mut answer = Vec::new();
    // Until the CSMS cuts the connection.
    silent.stdout.take().expect("piped").read_to_end(&mut answer).expect("reads");
    drop(input);
    silent.wait().expect("ends");
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    stage.wait_until("the log says why", || stage.log().contains("the peer does not answer pings"));

    let wrong = || stage.station("CS001", &["--password", "wrong-horse-battery"]).step("refused").clone();
    assert_eq!((wrong(), wrong(), wrong()), (401.into(), 401.into(), 429.into()));
}
