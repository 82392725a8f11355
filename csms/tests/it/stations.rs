//! Stations that are registered in the ledger.

use std::fs;

use serde_json::json;

use crate::{
    puppet::{Ocpp, Puppet},
    stage::{PASSWORD, Stage},
};

/// A station of the ledger, from its first password to its removal.
#[test]
fn a_station_of_the_ledger_enrols_and_is_removed() {
    let stage = Stage::start();
    let serial = ["--serial-number", "SN-0100"];
    assert_eq!(*stage.station_with_password("CS100", &serial).step("refused"), 404);
    fs::write(stage.path("password"), PASSWORD).expect("writes");
    let add = [
        "stations",
        "add",
        "CS100",
        "--serial-number",
        "SN-0100",
        "--password-file",
        "password",
        "--group",
        "north",
        "--label",
        "site=A 1",
    ];
    stage.operator(&add).expect("adds");
    let error = stage.operator(&add).expect_err("it is there");
    assert!(error.contains("CS100 with serial number SN-0100 exists already"), "{error}");

    let csr = stage.request("/O=Test CSO/CN=SN-0100", &[]);
    let arguments = [&serial[..], &["--csr", csr, "--chain-out", "chain.pem"]].concat();
    // In another spelling.
    let report = stage.station_with_password("cs100", &arguments);
    assert_eq!(report.step("boot")["status"], "Accepted");
    report.step("certificate signed");
    stage.await_states(&["Accepted"]);
    let certificate = [&serial[..], &["--client-chain", "chain.pem", "--client-key", "key.pem"]].concat();
    assert_eq!(stage.station("CS100", &certificate).step("boot")["status"], "Accepted");
    let shown = stage.operator(&["stations", "show", "cs100"]).expect("shows");
    assert_eq!(shown["place"], "ledger", "{shown}");
    assert_eq!((&shown["security_profile"], &shown["has_password"]), (&json!(3), &json!(true)), "{shown}");
    assert!(shown["vendor"].is_string() && shown["last_seen"].is_i64(), "{shown}");
    assert!(!shown.to_string().contains("argon2"), "{shown}");

    let error = stage.operator(&["stations", "remove", "CS100"]).expect_err("it has a certificate");
    assert!(error.contains("CS100 has 1 valid certificates"), "{error}");
    stage.operator(&["stations", "remove", "CS100", "--revoke"]).expect("removes");
    assert_eq!(stage.certificates()[0]["revocation_reason"], "cessation-of-operation");
    assert_eq!(*stage.station_with_password("CS100", &serial).step("refused"), 404);
    assert_eq!(stage.operator(&["audit", "verify"]).expect("whole")["findings"], json!([]));
    let output = stage.command(&["audit", "export"]).output().expect("runs");
    let record = String::from_utf8_lossy(&output.stdout);
    assert!(record.contains("station-edited") && record.contains("\"by\":\"cli\""), "{record}");
}

#[test]
fn the_configuration_file_wins_and_is_read_only() {
    let mut stage = Stage::start();
    let error = stage.operator(&["stations", "set", "cs001", "--group", "x"]).expect_err("read-only");
    assert!(error.contains("CS001 is in the configuration file; change it there"), "{error}");
    for (identity, serial_number) in [("cs001", "SN-9"), ("CS009", "SN-0001")] {
        let add = ["stations", "add", identity, "--serial-number", serial_number];
        stage.operator(&add).expect_err("taken by the file");
    }
    assert_eq!(stage.operator(&["stations", "show", "CS001"]).expect("shows")["place"], "file");

    // The file is changed so that it has a station of the ledger, too, and a serial number of one.
    for (identity, serial_number) in [("CS100", "SN-0100"), ("CS101", "SN-0101")] {
        let hash = csms::io::hash_password(PASSWORD).expect("hashes");
        let add = ["stations", "add", identity, "--serial-number", serial_number, "--password-hash", &hash];
        stage.operator(&add).expect("adds");
    }
    stage.configure("\"CS001\"", "\"cs100\"");
    stage.configure("\"SN-0002\"", "\"SN-0101\"");
    stage.kill();
    stage.launch();
    for (station, other) in [("cs100", "CS100"), ("CS002", "CS101")] {
        let log = stage.log();
        let named = log.lines().any(|line| {
            line.contains("in the configuration file and in the ledger")
                && line.contains(station)
                && line.contains(other)
        });
        assert!(named, "{station}: {log}");
    }
    let report = stage.station_with_password("CS100", &["--serial-number", "SN-0001"]);
    assert_eq!(report.step("boot")["status"], "Accepted");
    // A00.FR.427: the serial number is that of CS002 now.
    assert_eq!(*stage.station_with_password("CS101", &["--serial-number", "SN-0101"]).step("refused"), 404);
}

#[test]
fn removal_and_new_credentials_close_the_connection() {
    let stage = Stage::start();
    let hash = csms::io::hash_password(PASSWORD).expect("hashes");
    let add = ["stations", "add", "CS100", "--serial-number", "SN-0100", "--password-hash", &hash];
    stage.operator(&add).expect("adds");
    let mut station = Puppet::new(&stage, "CS100");
    station.connect(Ocpp::V201);
    station.boot(Ocpp::V201, "SN-0100");
    // What does not concern its admission leaves it connected.
    stage.operator(&["stations", "set", "CS100", "--group", "north"]).expect("changes");
    assert_eq!(station.call("Heartbeat", json!({})).as_object().map(|answer| answer.len()), Some(1));
    stage.operator(&["stations", "set", "CS100", "--serial-number", "SN-0101"]).expect("changes");
    station.command(json!({ "do": "closed" }));
    station.connect(Ocpp::V201);
    station.boot(Ocpp::V201, "SN-0101");
    stage.operator(&["stations", "remove", "cs100"]).expect("removes");
    station.command(json!({ "do": "closed" }));
    assert_eq!(stage.operator(&["stations", "list"]).expect("lists"), json!([]));
}

#[test]
fn an_import_is_whole_or_names_each_fault() {
    let mut stage = Stage::start();
    let head = "identity,serial_number,group,labels,password_hash,lowest_security_profile,enrolment\n";
    let faulty = "CS101,SN-0101,,,,,\nCS:2,SN-0102,,,,,\nCS103,SN-0101,,,hunter2,,\n";
    fs::write(stage.path("faulty.csv"), format!("{head}{faulty}")).expect("writes");
    let error = stage.operator(&["stations", "import", "faulty.csv"]).expect_err("faults");
    assert!(error.contains("line 3: identity") && error.contains("line 4: password_hash"), "{error}");
    assert!(error.contains("nothing was imported") && !error.contains("hunter2"), "{error}");

    let hash = csms::io::hash_password(PASSWORD).expect("hashes");
    let good = format!(
        "{head}CS101,SN-0101,north,site=A;x=\"y\",\"{hash}\",2,open\nCS102,\"SN,\"\"0102\",,,,3,closed\n"
    );
    let good = good.replace("x=\"y\"", "x=y");
    fs::write(stage.path("good.csv"), &good).expect("writes");
    assert_eq!(stage.operator(&["stations", "import", "good.csv"]).expect("imports")["count"], 2);
    let error = stage.operator(&["stations", "import", "good.csv"]).expect_err("taken");
    assert!(error.contains("line 2: identity: CS101 is already in the ledger"), "{error}");
    let listed = stage.operator(&["stations", "list", "--group", "north"]).expect("lists");
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    let listed = stage.operator(&["stations", "list", "--label", "x=z"]).expect("lists");
    assert_eq!(listed, json!([]));

    let export = |arguments: &[&str]| {
        let output = stage.plain_command(&[&["stations", "export"], arguments].concat()).output();
        String::from_utf8(output.expect("runs").stdout).expect("text")
    };
    assert!(!export(&[]).contains("argon2"));
    let whole = export(&["--format", "jsonl", "--with-password-hashes"]);
    assert!(whole.contains(&hash), "{whole}");
    // What was exported is imported into an empty ledger, while no service runs.
    for identity in ["CS101", "CS102"] {
        stage.operator(&["stations", "remove", identity]).expect("removes");
    }
    stage.kill();
    fs::write(stage.path("whole.jsonl"), &whole).expect("writes");
    assert_eq!(stage.operator(&["stations", "import", "whole.jsonl"]).expect("imports")["count"], 2);
    let output = stage.plain_command(&["stations", "export", "--format", "jsonl", "--with-password-hashes"]);
    let again = { output }.output().expect("runs").stdout;
    assert_eq!(String::from_utf8_lossy(&again), whole);
    stage.launch();
    let report = stage.station_with_password("CS101", &["--serial-number", "SN-0101"]);
    assert_eq!(report.step("boot")["status"], "Accepted");
    // It may use security profile 3 only.
    let report = stage.station_with_password("CS102", &["--serial-number", "SN,\"0102"]);
    assert_eq!(*report.step("refused"), 403);
}

#[test]
fn a_closed_enrolment_permits_no_first_certificate() {
    let stage = Stage::start();
    fs::write(stage.path("password"), PASSWORD).expect("writes");
    let add = ["stations", "add", "CS100", "--serial-number", "SN-0100", "--password-file", "password"];
    stage.operator(&[&add[..], &["--enrolment", "closed"]].concat()).expect("adds");
    let csr = stage.request("/O=Test CSO/CN=SN-0100", &[]);
    let arguments = ["--serial-number", "SN-0100", "--csr", csr];
    let report = stage.station_with_password("CS100", &arguments);
    assert_eq!(report.step("sign certificate")["status"], "Rejected");
    stage.operator(&["stations", "set", "CS100", "--enrolment", "open"]).expect("changes");
    stage.station_with_password("CS100", &arguments).step("certificate signed");
}

/// A01, A00.FR.205: a password that the service has made.
#[test]
fn a_generated_password_is_shown_once_and_kept_as_a_salted_hash() {
    let stage = Stage::start();
    let add = ["stations", "add", "CS100", "--serial-number", "SN-0100", "--generate-password"];
    let first = stage.operator(&add).expect("adds")["password"].as_str().expect("a password").to_owned();
    assert_eq!(first.len(), 40);
    let serial = ["--serial-number", "SN-0100"];
    let login = |password: &str, arguments: &[&str]| {
        stage.station("CS100", &[&["--password", password], &serial[..], arguments].concat())
    };
    assert_eq!(login(&first, &[]).step("boot")["status"], "Accepted");
    assert_eq!(*login(PASSWORD, &[]).step("refused"), 401);
    let export = stage.plain_command(&["stations", "export", "--with-password-hashes"]).output();
    let export = String::from_utf8(export.expect("runs").stdout).expect("text");
    assert!(export.contains("$sha256$") && !export.contains(&first), "{export}");

    let set = ["stations", "set", "CS100", "--generate-password", "--out", "new-password"];
    stage.operator(&set).expect("changes");
    let second = fs::read_to_string(stage.path("new-password")).expect("reads");
    let mode = fs::metadata(stage.path("new-password")).expect("is there").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    stage.operator(&set).expect_err("the file exists");
    assert_eq!(*login(&first, &[]).step("refused"), 401, "the first one counts no longer");
    // From the password to the certificate, and on with it.
    let csr = stage.request("/O=Test CSO/CN=SN-0100", &[]);
    login(second.trim(), &["--csr", csr, "--chain-out", "chain.pem"]).step("certificate signed");
    let certificate = [&serial[..], &["--client-chain", "chain.pem", "--client-key", "key.pem"]].concat();
    assert_eq!(stage.station("CS100", &certificate).step("boot")["status"], "Accepted");
    assert_eq!(*login(second.trim(), &[]).step("refused"), 403, "A05.FR.07");
    assert!(!stage.log().contains(&first) && !stage.log().contains(second.trim()));
}
