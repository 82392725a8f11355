//! testssl.sh, which checks for the known weaknesses of TLS, tests both TLS libraries.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::lab::{Engine, Lab, nothing, on_both};
use crate::pki::Authority;

on_both! {
    async fn a00_fr_320_testssl_finds_nothing_but_what_the_specification_demands(engine: Engine) {
        let root = Authority::root("CSO root");
        let lab = Lab::on(engine, &root, nothing()).await;
        let findings = run(lab.address.port()).await;
        for (check, expected) in CHECKED {
            let (_, finding) = findings.get(*check).unwrap_or_else(|| panic!("{check} is missing: {findings:#?}"));
            assert!(finding.starts_with(*expected), "{check}: {finding}");
        }
        let harmless = |severity: &str| ["OK", "INFO"].contains(&severity);
        let bad = findings.iter().filter(|(_, (severity, _))| !harmless(severity)).collect::<Vec<_>>();
        // The expected findings about static RSA itself, by the numbers of its two suites.
        let demanded = |check: &str| engine == Engine::OpenSsl && (check.ends_with("_x9c") || check.ends_with("_x9d"));
        // Whether the openssl of testssl.sh supports GOST, which does not depend on this server.
        let of_the_judge = |check: &str| check == "engine_problem";
        assert!(bad.iter().all(|(check, _)| demanded(check) || of_the_judge(check)), "{bad:#?}");
    }
}

/// The required checks, with the beginning of the required findings: an aborted run finds nothing.
const CHECKED: &[(&str, &str)] = &[
    ("SSLv2", "not offered"),
    ("SSLv3", "not offered"),
    ("TLS1", "not offered"),
    ("TLS1_1", "not offered"),
    ("TLS1_2", "offered"),
    ("TLS1_3", "offered"),
    ("cipherlist_NULL", "not offered"),
    ("cipherlist_aNULL", "not offered"),
    ("cipherlist_EXPORT", "not offered"),
    ("cipherlist_LOW", "not offered"),
    ("cipherlist_3DES_IDEA", "not offered"),
    ("cipherlist_AVERAGE", "not offered"),
    ("cipherlist_STRONG", "offered"),
    ("cipher_order", "server"),
    ("heartbleed", "not vulnerable"),
    ("CCS", "not vulnerable"),
    ("ROBOT", "not vulnerable"),
    ("CRIME_TLS", "not vulnerable"),
    ("secure_renego", "supported"),
    ("LUCKY13", "not vulnerable"),
    ("RC4", "not vulnerable"),
];

/// The severity and the text of each check.
async fn run(port: u16) -> BTreeMap<String, (String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let output = Command::new("testssl")
        .args(["--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--openssl-timeout", "10"])
        // Protocols, categories of ciphers, the server's preference, forward secrecy, every
        // vulnerability.
        .args(["-p", "-s", "-P", "-f", "-U", "-g"])
        .arg("--jsonfile")
        .arg(&report)
        .arg(format!("localhost:{port}"))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("testssl is missing; install it: sudo apt-get install testssl.sh");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = std::fs::read_to_string(&report).unwrap_or_else(|error| panic!("{error}: {text}"));
    let report: Vec<Value> =
        serde_json::from_str(&report).unwrap_or_else(|error| panic!("{error}: {report}"));
    let field = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    report
        .iter()
        .map(|entry| (field(entry, "id"), (field(entry, "severity"), field(entry, "finding"))))
        .collect()
}
