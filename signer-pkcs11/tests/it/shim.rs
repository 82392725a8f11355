//! A token with a fault that real tokens have shown: SoftHSM behind our own module, which a C
//! compiler builds from `shim.c`.

use std::process::{Command, Output};

use serde_json::Value;

use crate::{hsm::Desk, openssl::Openssl, softhsm::module};

/// A folder whose commands reach their token through the shim.
struct Shim {
    desk: Desk,
    folder: Openssl,
}

impl Shim {
    fn new() -> Self {
        let folder = Openssl::new();
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(folder.path("shim.so"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/shim.c"))
            .arg("-ldl")
            .output()
            .expect("a C compiler is missing; install one: sudo apt-get install gcc");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        Self { desk: Desk::new(), folder }
    }

    /// Runs a command with the fault.
    fn output(&self, fault: &str, arguments: &[&str]) -> Output {
        let mut command = self.desk.command(arguments);
        command.env("PKCS11_MODULE", self.folder.path("shim.so"));
        command.env("SHIM_LOG", self.folder.path("log"));
        command.env("SHIM_MODULE", module()).env("SHIM_FAULT", fault).output().unwrap()
    }

    fn json(&self, fault: &str, arguments: &[&str]) -> (bool, Value) {
        let output = self.output(fault, &[arguments, &["--json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        let value = serde_json::from_str(&text);
        let errors = String::from_utf8_lossy(&output.stderr);
        (output.status.success(), value.unwrap_or_else(|error| panic!("{error}: {text}{errors}")))
    }
}

#[test]
fn a_token_that_keeps_keys() {
    let shim = Shim::new();
    let made = shim.desk.json(&["keygen", "--token", "TOKEN", "--label", "cs"]);
    let destroy = ["destroy", "--token", "TOKEN", "--key", made["uri"].as_str().unwrap()];
    let (success, said) = shim.json("keeps-keys", &destroy);
    let error = said["error"].as_str().unwrap_or_default();
    assert!(!success && error.contains("2 of its objects are still there"), "{said}");
    // The removal of a key after a failed step is checked in the same way.
    let root = ["root", "--token", "TOKEN", "--label", "root", "--out", "root.pem"];
    let name = "x".repeat(65);
    let subject = ["--common-name", &name, "--organization", "Example"];
    let (success, said) = shim.json("keeps-keys", &[&root[..], &subject].concat());
    assert!(!success && said["error"].as_str().unwrap().contains("remains in the token"), "{said}");
    let (success, said) = shim.json("keeps-keys", &["selftest", "--token", "TOKEN"]);
    assert!(!success && said["new_key"].as_str().unwrap().contains("still there"), "{said}");
    let (success, _) = shim.json("none", &destroy);
    assert!(success);
}

#[test]
fn keys_that_vanish() {
    for read in 1..=6 {
        let shim = Shim::new();
        for label in ["a", "b", "c"] {
            shim.desk.run(&["keygen", "--token", "TOKEN", "--label", label]);
        }
        let (success, listed) = shim.json(&format!("vanishes-{read}"), &["list", "--token", "TOKEN"]);
        assert!(success, "read {read}: {listed}");
        let left = shim.desk.json(&["list", "--token", "TOKEN"]);
        // The public half may have been destroyed: such a key is listed nevertheless.
        let labels = |listed: &Value| {
            let keys = listed["keys"].as_array().unwrap().iter();
            keys.map(|key| key["label"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(labels(&listed), labels(&left), "read {read}");
    }
    // While a self-test reads, lists and signs.
    for read in [1, 4, 7, 8, 9, 10, 11, 12] {
        let shim = Shim::new();
        for label in ["a", "b"] {
            shim.desk.run(&["keygen", "--token", "TOKEN", "--label", label]);
        }
        let arguments = ["selftest", "--token", "TOKEN", "--existing-only"];
        let (_, tested) = shim.json(&format!("vanishes-{read}"), &arguments);
        let keys = tested["keys"].as_array().unwrap_or_else(|| panic!("read {read}: {tested}"));
        for key in keys {
            let verdict = key["verdict"].as_str().unwrap();
            let is_half = verdict.contains("neither the public half");
            assert!(key["passed"] == true || is_half, "read {read}: {tested}");
        }
    }
}

#[test]
fn a_selftest_generates_a_key() {
    let shim = Shim::new();
    let (success, tested) = shim.json("none", &["selftest", "--token", "TOKEN"]);
    assert!(success && tested["generated"] == "ecdsa-p256", "{tested}");
    let (success, tested) = shim.json("rsa-only", &["selftest", "--token", "TOKEN"]);
    assert!(success && tested["generated"] == "rsa-2048", "{tested}");
    let asked = ["selftest", "--token", "TOKEN", "--algorithm", "ecdsa-p384"];
    let (success, tested) = shim.json("rsa-only", &asked);
    assert!(!success && tested["new_key"].as_str().unwrap().contains("MechanismInvalid"), "{tested}");
    let (success, tested) = shim.json("generates-nothing", &["selftest", "--token", "TOKEN"]);
    assert!(
        !success && tested["message"].as_str().unwrap().contains("cannot be used for a new key"),
        "{tested}"
    );
    let (success, _) = shim.json("generates-nothing", &["selftest", "--token", "TOKEN", "--existing-only"]);
    assert!(success);
    let listed = shim.desk.json(&["list", "--token", "TOKEN"]);
    assert_eq!(listed["keys"].as_array().unwrap().len(), 0, "nothing is left behind: {listed}");
}

/// opencryptoki writes the clock of its tokens in this form, and sets CKF_CLOCK_ON_TOKEN.
#[test]
fn a_token_whose_clock_is_written_in_another_way() {
    let shim = Shim::new();
    let (success, made) = shim.json("clock", &["keygen", "--token", "TOKEN", "--label", "cs"]);
    assert!(success && made["algorithm"] == "ecdsa-p256", "{made}");
    let (success, tested) = shim.json("clock", &["selftest", "--token", "TOKEN"]);
    assert!(success, "{tested}");
}

#[test]
fn a_slot_that_cannot_be_read_is_named_with_the_reason() {
    let shim = Shim::new();
    let (success, said) = shim.json("unreadable", &["list", "--token", "TOKEN"]);
    let error = said["error"].as_str().unwrap_or_default();
    assert!(
        !success && error.contains("there is no initialized token; cannot be read and was skipped: slot "),
        "{said}"
    );
    // As in the vendor's header and manual.
    assert!(error.contains("C_GetTokenInfo returned VendorDefined(0x80000123)"), "{error}");
    let (success, listed) = shim.json("unreadable", &["tokens"]);
    let state = listed["slots"][0]["state"].as_str().unwrap();
    assert!(success && state.contains("0x80000123"), "{listed}");
    assert!(listed["warnings"][0].as_str().unwrap().contains("cannot be read"), "{listed}");
}

#[test]
fn an_empty_list_of_slots() {
    let shim = Shim::new();
    for _ in 0..2 {
        let (success, said) = shim.json("empty-once", &["list", "--token", "TOKEN"]);
        assert!(success, "{said}");
    }
}

/// Such a token may count the PIN as wrong.
#[test]
fn a_login_that_fails_for_another_reason_than_the_pin() {
    let shim = Shim::new();
    let (success, said) = shim.json("fails-to-log-in", &["list", "--token", "TOKEN"]);
    assert!(!success && said["error"].as_str().unwrap().contains("C_Login returned GeneralError"), "{said}");
    assert_eq!(shim.folder.read("log"), "login\nlogin\n", "once, and once more");
}
