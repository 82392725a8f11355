//! The command `hsm`, run as a person or a script runs it.

use std::{
    io::Read as _,
    process::{Command, Output, Stdio},
};

use cryptoki::{
    object::{Attribute, ObjectClass},
    session::UserType,
    types::AuthPin,
};
use serde_json::Value;

use crate::{
    openssl::Openssl,
    softhsm::{PIN, SO_PIN, module, new_token, options, slot, stranger},
};

/// A folder with PIN files, in which commands run.
pub(crate) struct Desk {
    pub(crate) openssl: Openssl,
    pub(crate) label: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let openssl = Openssl::new();
        openssl.write("pin", format!("{PIN}\n"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(openssl.path("pin"), std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        openssl.write("so-pin", SO_PIN);
        let label = new_token("desk").token().unwrap().to_owned();
        Self { openssl, label }
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let token = format!("pkcs11:token={}?pin-source=file:pin", self.label);
        let arguments = arguments.iter().map(|word| if *word == "TOKEN" { token.as_str() } else { word });
        let mut command = Command::new(env!("CARGO_BIN_EXE_hsm"));
        command.args(arguments).env("PKCS11_MODULE", module()).current_dir(self.openssl.path(""));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "hsm {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(&[arguments, &["--json"]].concat())).unwrap()
    }

    pub(crate) fn error(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(!output.status.success(), "hsm {arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    pub(crate) fn root(&self) -> String {
        let name = ["--common-name", "Example Root", "--organization", "Example"];
        self.run(
            &[&["root", "--token", "TOKEN", "--label", "root"], &name[..], &["--out", "root.pem"]].concat(),
        )
    }

    fn server<'a>(&self, more: &[&'a str]) -> Vec<&'a str> {
        let key = ["server-cert", "--token", "TOKEN", "--label", "tls", "--ca-label", "root"];
        let rest = ["--ca-cert", "root.pem", "--organization", "Example", "--out", "tls.pem"];
        [&key[..], &rest, more].concat()
    }
}

#[test]
fn the_ceremony_of_a_csms() {
    let desk = Desk::new();
    let text = desk.root();
    assert!(text.contains("The root \"Example Root\" is created.") && text.contains("\nNext: "), "{text}");
    let first = desk.json(&desk.server(&["--name", "csms.example.com"]));
    desk.openssl.run(
        "verify -x509_strict -purpose sslserver -verify_hostname csms.example.com -CAfile root.pem tls.pem",
    );
    assert!(first["warnings"].as_array().unwrap().is_empty(), "{first}");
    // The next day: the same key, a new certificate.
    let second = desk.json(&desk.server(&["--name", "csms.example.com", "--validity-hours", "48"]));
    assert_eq!(first["key"], second["key"]);
    assert_ne!(first["serial"], second["serial"]);
    assert!(second["warnings"][0].as_str().unwrap().contains("A00.FR.701"), "{second}");

    let error = desk.error(&desk.server(&["--name", "*.example.com"]));
    assert!(error.contains("wildcards"), "{error}");
    let keys = desk.json(&["list", "--token", "TOKEN"]);
    let labels: Vec<_> = keys["keys"].as_array().unwrap().iter().map(|key| key["label"].clone()).collect();
    assert_eq!(labels, ["root", "tls"]);
    assert!(keys["keys"].as_array().unwrap().iter().all(|key| key["extractable"] == false));
}

#[test]
fn a_root_is_never_overwritten() {
    let desk = Desk::new();
    desk.root();
    let before = desk.openssl.read("root.pem");
    let again = |label: &str, out: &str| {
        let subject = ["--common-name", "R", "--organization", "O"];
        desk.error(&[&["root", "--token", "TOKEN", "--label", label, "--out", out], &subject[..]].concat())
    };
    let error = again("other", "root.pem");
    assert!(error.contains("never overwritten"), "{error}");
    let error = again("other", "missing/root.pem");
    assert!(error.contains("its folder must exist") && !error.contains("overwritten"), "{error}");
    let error = again("root", "other.pem");
    assert!(error.contains("is taken"), "{error}");
    assert_eq!(desk.openssl.read("root.pem"), before);
    assert!(!desk.openssl.path("other.pem").exists());
    assert_eq!(desk.json(&["list", "--token", "TOKEN"])["keys"].as_array().unwrap().len(), 1);
}

#[test]
fn hints_can_be_pasted() {
    let desk = Desk::new();
    // Blanks, an apostrophe and an umlaut, in 32 bytes.
    let label = format!("Ä 'b' {}", &desk.label[desk.label.len() - 12..]);
    let text = desk.run(&["init", "--label", &label, "--pin-file", "pin", "--so-pin-file", "so-pin"]);
    let hint = |text: &str, command: &str| text[text.find(command).unwrap()..].trim().to_owned();
    let run = |line: &str| {
        let line = line.replacen("hsm", env!("CARGO_BIN_EXE_hsm"), 1);
        let output = Command::new("sh")
            .args(["-c", &line])
            .env("PKCS11_MODULE", module())
            .current_dir(desk.openssl.path(""))
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = run(&hint(&text, "hsm keygen").replace("PIN_FILE", "pin").replace("NAME", "'my key'"));
    run(&hint(&text, "hsm csr"));
}

#[test]
fn a_bare_module_name_is_not_looked_for_in_the_working_folder() {
    let desk = Desk::new();
    desk.openssl.write("planted.so", "whoever may write here");
    let list = |module: &str| desk.error(&["list", "--token", "TOKEN", "--module", module]);
    assert!(list("./planted.so").contains("file too short"));
    let error = list("planted.so");
    assert!(error.contains("planted.so") && !error.contains("file too short"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_pin_that_is_not_utf_8_is_not_repeated() {
    use std::os::unix::ffi::OsStrExt;
    let desk = Desk::new();
    let output = Command::new(env!("CARGO_BIN_EXE_hsm"))
        .args(["list", "--token", &format!("pkcs11:token={}?pin-source=env:HSM_PIN", desk.label)])
        .env("HSM_PIN", std::ffi::OsStr::from_bytes(b"4711\xff"))
        .env("PKCS11_MODULE", module())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("not UTF-8") && !error.contains("4711"), "{error}");
}

#[test]
fn a_station_key_and_its_request() {
    let desk = Desk::new();
    let text = desk.run(&["keygen", "--token", "TOKEN", "--label", "cs"]);
    assert!(text.contains("sensitive and not extractable") && text.contains("Next: "), "{text}");
    let csr =
        ["csr", "--token", "TOKEN", "--label", "cs", "--common-name", "SN-0001", "--organization", "Example"];
    // Printed alone on standard output, for a pipe.
    desk.openssl.write("piped.pem", desk.run(&csr));
    desk.openssl.run("req -in piped.pem -verify -noout");
    desk.run(&[&csr[..], &["--out", "csr.pem"]].concat());
    desk.openssl.run("req -in csr.pem -verify -noout");
    assert!(desk.json(&csr)["csr"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
    let text = desk.run(&["list", "--token", "TOKEN"]);
    assert!(text.contains("holds 1 key.") && text.contains("\n    extractable: no\n"), "{text}");
}

#[test]
fn a_token_is_initialised() {
    let desk = Desk::new();
    let label = format!("{}-b", desk.label);
    let init = ["init", "--label", &label, "--pin-file", "pin", "--so-pin-file", "so-pin"];
    let made = desk.json(&init);
    assert_eq!(made["token"], label.as_str());
    let error = desk.error(&init);
    assert!(error.contains("exists already"), "{error}");
}

#[test]
fn errors_end_with_the_fix() {
    let desk = Desk::new();
    desk.openssl.write("wrong", "0000");
    let token = format!("pkcs11:token={}", desk.label);
    let check = |arguments: &[&str], expected: &str| {
        let error = desk.error(arguments);
        assert!(error.starts_with("hsm: ") && error.contains(expected), "{error}");
    };
    check(&["list", "--token", &token], "add ?pin-source=file:/path");
    check(&["list", "--token", &token, "--pin-file", "wrong"], "tried once");
    check(&["list", "--token", "pkcs11:token=absent", "--pin-file", "pin"], "the tokens are");
    check(&["list", "--token", &token, "--pin-file", "none"], "cannot read the PIN from file:none");
    check(&["list", "--token", "TOKEN", "--module", "/none.so"], "/none.so: check the path");
    let subject = ["--common-name", "x", "--organization", "y"];
    check(&[&["csr", "--token", "TOKEN", "--label", "none"], &subject[..]].concat(), "`hsm list` shows");
    // A PIN is never an argument, and a URI with a PIN is refused without repeating it.
    for pin in ["?pin-value=4711", "?pin=4711", ";pin=4711", "?PIN=4711", "?user-pin=4711"] {
        let error = desk.error(&["list", "--token", &format!("{token}{pin}")]);
        assert!(error.contains("a PIN in a URI is refused") && !error.contains("4711"), "{error}");
    }
    for secret in [";4711", "?4711", "?x-secret=4711", ";47:11=x"] {
        let error = desk.error(&["list", "--token", &format!("pkcs11:token=nope{secret}")]);
        assert!(!error.contains("4711") && !error.contains("47:11"), "{error}");
    }
}

/// Whether a text has this word. Hashes and serial numbers may contain the digits of a PIN.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    text.split(|character: char| !character.is_ascii_alphanumeric()).any(|part| part == word)
}

#[test]
fn a_key_ceremony_with_record_and_transcript() {
    let desk = Desk::new();
    let log = ["--record", "record", "--transcript", "transcript"];
    let run = |arguments: &[&str]| desk.json(&[arguments, &log].concat());
    let name = ["--organization", "Example", "--common-name"];
    let root = [
        "root",
        "--token",
        "TOKEN",
        "--label",
        "root",
        "--algorithm",
        "rsa-3072",
        "--pss",
        "--out",
        "root.pem",
    ];
    run(&[&root[..], &name, &["Root"]].concat());
    let url = ["--crl-url", "http://pki.example.com/root.crl"];
    let ca = ["--ca-label", "root", "--ca-cert", "root.pem", "--pss"];
    let sub =
        ["sub-ca", "--token", "TOKEN", "--label", "sub", "--algorithm", "ecdsa-p384", "--out", "sub.pem"];
    let made = run(&[&sub[..], &ca, &url, &name, &["Sub"]].concat());
    assert!(made["key"].as_str().unwrap().contains("object=sub"), "{made}");
    desk.openssl.run("verify -x509_strict -CAfile root.pem sub.pem");
    let text = desk.openssl.run("x509 -in sub.pem -noout -text");
    assert!(text.contains("CA:TRUE, pathlen:0") && text.contains("rsassaPss"), "{text}");

    // An authority whose key is in another token sends a request.
    let other = Desk::new();
    other.run(&["keygen", "--token", "TOKEN", "--label", "far", "--algorithm", "rsa-2048"]);
    let csr =
        ["csr", "--token", "TOKEN", "--label", "far", "--common-name", "Far", "--organization", "Example"];
    desk.openssl.write("far.csr", other.run(&csr));
    let far = ["sub-ca", "--token", "TOKEN", "--csr", "far.csr", "--out", "far.pem"];
    let far = run(&[&far[..], &ca, &url, &name, &["Far"]].concat());
    desk.openssl.run("verify -x509_strict -CAfile root.pem far.pem");

    // The sub-authority issues the CSMS's certificate: the chain is its own certificate, then the
    // root.
    desk.openssl.write("chain.pem", desk.openssl.read("sub.pem") + &desk.openssl.read("root.pem"));
    let server =
        ["server-cert", "--token", "TOKEN", "--label", "tls", "--ca-label", "sub", "--ca-cert", "chain.pem"];
    let server =
        [&server[..], &["--name", "csms.example.com", "--organization", "Example", "--out", "tls.pem"]]
            .concat();
    run(&server);
    desk.openssl.run("verify -x509_strict -purpose sslserver -CAfile root.pem -untrusted tls.pem tls.pem");

    // A sub-authority is revoked, so the list is the root's.
    let serial = far["serial"].as_str().unwrap();
    desk.run(&["revoke", "--record", "record", "--serial", serial, "--reason", "superseded"]);
    let error = desk.error(&["revoke", "--record", "record", "--serial", "4711"]);
    assert!(error.contains("no certificate on record"), "{error}");
    let error = desk.error(&["revoke", "--record", "recrod", "--serial", serial]);
    assert!(
        error.contains("the record recrod does not exist") && !desk.openssl.path("recrod").exists(),
        "{error}"
    );
    let crl = ["crl", "--token", "TOKEN", "--record", "record", "--url", "http://pki.example.com/root.crl"];
    let made = desk.json(&[&crl[..], &ca, &["--out", "root.crl"]].concat());
    assert_eq!((&made["number"], &made["revoked"]), (&1.into(), &1.into()));
    desk.run(&[&crl[..], &ca, &["--out", "root.der", "--der"]].concat());
    let text = desk.openssl.run("crl -inform DER -in root.der -noout -text -CAfile root.pem");
    assert!(text.contains("verify OK") && text.contains("Superseded"), "{text}");
    let refused = desk.openssl.output("verify -crl_check -CAfile root.pem -CRLfile root.crl far.pem");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("certificate revoked"));
    desk.openssl.run("verify -crl_check -CAfile root.pem -CRLfile root.crl sub.pem");

    // The record is complete up to the hash that was kept. A changed record is not.
    let whole = desk.json(&["audit", "verify", "--record", "record"]);
    assert_eq!((&whole["certificates"], &whole["revoked"]), (&3.into(), &1.into()), "{whole}");
    let head = whole["head"].as_str().unwrap();
    desk.run(&["audit", "verify", "--record", "record", "--head", head]);
    let record = desk.openssl.read("record");
    let (shorter, _) = record.trim_end().rsplit_once('\n').unwrap();
    desk.openssl.write("shorter", format!("{shorter}\n"));
    let error = desk.error(&["audit", "verify", "--record", "shorter", "--head", head]);
    assert!(error.contains("the end of the record was removed"), "{error}");
    desk.openssl.write("changed", record.replacen("superseded", "unspecified", 1));
    let error = desk.error(&["audit", "verify", "--record", "changed"]);
    assert!(error.contains("was changed"), "{error}");

    let transcript = desk.openssl.read("transcript");
    for expected in
        ["hsm root --token", "The root \"Root\" is created.", "record head: ", "sub-ca", "server-cert"]
    {
        assert!(transcript.contains(expected), "{expected} in {transcript}");
    }
    assert!(!has_word(&transcript, PIN), "{transcript}");
    // The time, the version, and the attributes as the token reports them.
    let (stamp, _) = transcript.strip_prefix('[').unwrap().split_once(", hsm ").unwrap();
    assert!(stamp.len() == 20 && stamp.starts_with("20") && stamp.ends_with('Z'), "{stamp}");
    assert!(transcript.contains("\n  sensitive: yes\n  extractable: no\n"), "{transcript}");
    let text = desk.run(&["selftest", "--token", "TOKEN"]);
    assert!(text.contains("passed with 3 keys") && text.contains("rsa-3072"), "{text}");
    let tested = desk.json(&["selftest", "--token", "TOKEN", "--label", "root"]);
    assert_eq!(
        (&tested["keys"][0]["passed"], &tested["message"].is_string()),
        (&true.into(), &true),
        "{tested}"
    );
}

#[test]
fn a_failed_step_is_in_the_transcript_and_leaves_nothing() {
    let desk = Desk::new();
    let root =
        ["root", "--token", "TOKEN", "--label", "root", "--out", "root.pem", "--transcript", "transcript"];
    // A name that is too long for a certificate. The error occurs only after the key was generated.
    let name = "x".repeat(65);
    let error = desk.error(&[&root[..], &["--common-name", &name, "--organization", "Example"]].concat());
    assert!(error.contains("65 characters"), "{error}");
    assert!(!desk.openssl.path("root.pem").exists());
    assert!(desk.json(&["list", "--token", "TOKEN"])["keys"].as_array().unwrap().is_empty());
    assert!(desk.openssl.read("transcript").contains("Failed: "));
}

#[test]
fn a_pin_among_the_words_is_refused_and_not_in_the_transcript() {
    let desk = Desk::new();
    for word in ["pkcs11:token=x?pin-value=471147", "pkcs11:token=x?PIN-VALUE=471147"] {
        let error = desk.error(&["list", "--token", word, "--transcript", "transcript"]);
        assert!(!error.contains("471147"), "{error}");
        let joined = format!("--token={word}");
        desk.error(&["list", &joined, "--transcript", "transcript"]);
    }
    let transcript = desk.openssl.read("transcript");
    assert_eq!(transcript.matches("Failed: ").count(), 4, "{transcript}");
    assert!(transcript.contains("hsm list --token ") && !transcript.contains("471147"), "{transcript}");
}

#[test]
#[cfg(unix)]
fn words_that_are_no_text_are_in_the_transcript_as_far_as_they_can_be_read() {
    use std::os::unix::ffi::OsStrExt as _;
    let desk = Desk::new();
    let file = std::ffi::OsStr::from_bytes(b"pin-\xff");
    std::fs::write(desk.openssl.path("").join(file), PIN).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hsm"))
        .args(["list", "--token", &format!("pkcs11:token={}", desk.label), "--transcript", "transcript"])
        .arg("--pin-file")
        .arg(file)
        .env("PKCS11_MODULE", module())
        .current_dir(desk.openssl.path(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(desk.openssl.read("transcript").contains("holds no keys"));
}

#[test]
fn a_key_is_destroyed_by_its_whole_identity_only() {
    let desk = Desk::new();
    let made = desk.json(&["keygen", "--token", "TOKEN", "--label", "cs"]);
    let token = format!("pkcs11:token={};object=cs", desk.label);
    let error = desk.error(&["destroy", "--token", "TOKEN", "--key", &token]);
    assert!(error.contains("not the complete identity"), "{error}");
    desk.run(&["destroy", "--token", "TOKEN", "--key", made["uri"].as_str().unwrap()]);
    let text = desk.run(&["list", "--token", "TOKEN"]);
    assert!(text.contains("holds no keys"), "{text}");
    let error = desk.error(&["selftest", "--token", "TOKEN", "--label", "cs"]);
    assert!(error.contains("no key has this label or id"), "{error}");
}

#[cfg(unix)]
#[test]
fn the_pin_by_descriptor_credential_and_prompt() {
    use std::{fs, os::unix::fs::PermissionsExt as _};
    let desk = Desk::new();
    let shell = |script: &str| {
        let output = Command::new("sh")
            .args(["-c", script])
            .env("HSM", env!("CARGO_BIN_EXE_hsm"))
            .env("TOKEN", format!("pkcs11:token={}", desk.label))
            .env("PKCS11_MODULE", module())
            .env("CREDENTIALS_DIRECTORY", desk.openssl.path(""))
            .current_dir(desk.openssl.path(""))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text.into_owned())
    };
    for script in [
        "$HSM list --token \"$TOKEN?pin-source=fd:3\" 3<pin",
        "cat pin | $HSM list --token \"$TOKEN\" --pin-source fd:0",
        "$HSM list --token \"$TOKEN?pin-source=credential:pin\"",
        // A terminal, on which the PIN is typed.
        "script --quiet --return --command \"$HSM list --token $TOKEN --pin-source prompt:\" /dev/null < pin",
    ] {
        let (success, text) = shell(script);
        assert!(success && text.contains("holds no keys"), "{script}: {text}");
    }
    for (script, expected) in [
        ("$HSM list --token \"$TOKEN?pin-source=fd:9\"", "cannot read the PIN from fd:9"),
        (
            "$HSM list --token \"$TOKEN?pin-source=credential:none\"",
            "cannot read the PIN from credential:none",
        ),
        ("head -c 5000 /dev/zero | $HSM list --token \"$TOKEN?pin-source=fd:0\"", "too long for a PIN"),
    ] {
        let (success, text) = shell(script);
        assert!(!success && text.contains(expected), "{script}: {text}");
    }
    // A PIN file that other users may read is used, with a warning.
    let pin = desk.openssl.path("pin");
    fs::set_permissions(&pin, fs::Permissions::from_mode(0o644)).unwrap();
    let warned = desk.json(&["list", "--token", "TOKEN"])["warnings"].to_string();
    assert!(warned.contains("readable by other users"), "{warned}");
    fs::set_permissions(&pin, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(desk.json(&["list", "--token", "TOKEN"])["warnings"].to_string(), "[]");
}

#[test]
fn profiles_say_what_the_command_line_does_not() {
    let desk = Desk::new();
    desk.root();
    desk.openssl.write(
        "profiles.toml",
        "[sub-ca]\nvalidity = \"700d\"\npath_len = 0\ncrl_urls = [\"http://pki.example.com/root.crl\"]\n\
         [server]\norganization = \"Example\"\nvalidity = \"12h\"\nocsp_urls = [\"http://ocsp.example.com/\"]\n\
         [v2g]\norganization = \"Example\"\ncountry = \"DE\"\n",
    );
    let profiles = ["--profiles", "profiles.toml"];
    let ca = ["--ca-label", "root", "--ca-cert", "root.pem"];
    let sub = ["sub-ca", "--token", "TOKEN", "--label", "sub", "--out", "sub.pem"];
    let name = ["--common-name", "Sub", "--organization", "Example"];
    let made = desk.json(&[&sub[..], &ca, &profiles, &name].concat());
    assert!(made["not_after"].as_str().unwrap().ends_with('Z') && made["extractable"] == false, "{made}");
    let text = desk.openssl.run("x509 -in sub.pem -noout -text -fingerprint -sha256");
    assert!(text.contains("URI:http://pki.example.com/root.crl") && text.contains("pathlen:0"), "{text}");
    let fingerprint = text.rsplit('=').next().unwrap().trim().replace(':', "").to_lowercase();
    assert_eq!(made["sha256"], fingerprint.as_str());

    let server = ["server-cert", "--token", "TOKEN", "--label", "tls", "--name", "csms.example.com"];
    let out = ["--out", "tls.pem"];
    desk.run(&[&server[..], &ca, &profiles, &out].concat());
    let text = desk.openssl.run("x509 -in tls.pem -noout -text");
    assert!(text.contains("OCSP - URI:http://ocsp.example.com/"), "{text}");
    desk.openssl.run("x509 -in tls.pem -noout -checkend 36000");
    assert!(!desk.openssl.output("x509 -in tls.pem -noout -checkend 46000").status.success(), "12 hours");
    // Arguments override the profile.
    desk.run(&[&server[..], &ca, &profiles, &out, &["--validity-hours", "20"]].concat());
    desk.openssl.run("x509 -in tls.pem -noout -checkend 46000");
    let error = desk.error(&[&server[..], &ca, &out].concat());
    assert!(error.contains("give --organization"), "{error}");

    let csr = ["csr", "--token", "TOKEN", "--label", "sub", "--common-name", "DE*ABC*S0001"];
    desk.openssl.write("v2g.csr", desk.run(&[&csr[..], &profiles, &["--profile", "v2g"]].concat()));
    let text = desk.openssl.run("req -in v2g.csr -verify -noout -subject");
    assert!(text.contains("DC = CPO, C = DE, O = Example, CN = DE*ABC*S0001"), "{text}");
    desk.run(&["keygen", "--token", "TOKEN", "--label", "rsa", "--algorithm", "rsa-2048"]);
    let rsa = csr.map(|word| if word == "sub" { "rsa" } else { word });
    let error = desk.error(&[&rsa[..], &profiles, &["--profile", "v2g"]].concat());
    assert!(error.contains("does not allow a key of kind rsa-2048: generate one of ecdsa-p256"), "{error}");
    let error = desk.error(&[&csr[..], &profiles, &["--profile", "combined"]].concat());
    assert!(error.contains("have no [combined]"), "{error}");
    desk.openssl.write("wrong.toml", "[server]\nvalidity = \"1y\"\n");
    let error = desk.error(&[&server[..], &ca, &out, &["--profiles", "wrong.toml"]].concat());
    assert!(error.contains("wrong.toml cannot be used: validity is not a duration"), "{error}");
}

#[test]
fn what_the_help_shows_can_be_pasted() {
    let desk = Desk::new();
    let help = desk.run(&["--help"]);
    let (_, examples) = help.split_once("A ceremony for a CSMS").unwrap();
    let commands: Vec<_> = examples
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.contains("export"))
        .collect();
    assert_eq!(commands.iter().filter(|line| line.starts_with("hsm ")).count(), 8, "{commands:#?}");
    let label = &desk.label[desk.label.len() - 12..];
    let script = commands
        .join("\n")
        .replace("/etc/csms/pin", "pin")
        .replace("--so-pin-source prompt:", "--so-pin-file so-pin")
        .replace("--label csms ", &format!("--label csms-{label} "))
        .replace("token=csms", &format!("token=csms-{label}"))
        // The station's token is not created there.
        .replace(
            "token=station?pin-source=credential:pin",
            &format!("token=csms-{label}?pin-source=file:pin"),
        );
    let output = Command::new("sh")
        .args(["-ec", &format!("hsm() {{ \"$HSM\" \"$@\"; }}\n{script}")])
        .env("HSM", env!("CARGO_BIN_EXE_hsm"))
        .env("PKCS11_MODULE", module())
        .current_dir(desk.openssl.path(""))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{text}");
    desk.openssl.run("verify -x509_strict -CAfile root.pem -untrusted tls.pem tls.pem");
    desk.openssl.run("req -in cs.csr -verify -noout");
    assert!(desk.openssl.read("transcript.txt").matches("\n  extractable: no\n").count() == 2);
    for command in [
        "init",
        "keygen",
        "root",
        "sub-ca",
        "server-cert",
        "csr",
        "list",
        "selftest",
        "destroy",
        "revoke",
        "crl",
    ] {
        assert!(desk.run(&[command, "--help"]).contains("\nExample"), "{command}");
    }
    assert!(desk.run(&["audit", "verify", "--help"]).contains("\nExample"));
}

/// Another program may have written any text into a label.
#[test]
fn a_label_is_not_obeyed_by_a_terminal() {
    let desk = Desk::new();
    desk.run(&["keygen", "--token", "TOKEN", "--label", "cs"]);
    let uri = format!("pkcs11:token={}", desk.label).parse().unwrap();
    // This initializes the module.
    let _token = signer_pkcs11::Token::open(&uri, &options()).unwrap();
    let context = stranger();
    let session = context.open_rw_session(slot(&context, &desk.label)).unwrap();
    let _ = session.login(UserType::User, Some(&AuthPin::from(PIN.to_owned())));
    let hostile = "a\u{1b}[2J\u{7}\r\nNext: obey\u{9b}2J\u{202e}";
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        let key = session.find_objects(&[Attribute::Class(class)]).unwrap()[0];
        session.update_attributes(key, &[Attribute::Label(hostile.into())]).unwrap();
    }
    let escaped = r"a\u{1b}[2J\u{7}\r\nNext: obey\u{9b}2J\u{202e}";
    let obeyed = |letter: char| (letter.is_control() && letter != '\n') || letter == '\u{202e}';
    let list = &["list", "--token", "TOKEN", "--transcript", "ceremony"];
    for text in [desk.run(list), std::fs::read_to_string(desk.openssl.path("ceremony")).unwrap()] {
        assert!(text.contains(escaped) && !text.contains(obeyed), "{}", text.escape_debug());
    }
    let json = desk.run(&["list", "--token", "TOKEN", "--json"]);
    assert!(!json.contains(obeyed), "{}", json.escape_debug());
    let list: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(list["keys"][0]["label"], hostile);
}

#[test]
fn a_full_disk_under_the_output_is_an_error_and_a_closed_pipe_is_none() {
    let desk = Desk::new();
    for arguments in
        [&["list", "--token", "TOKEN"][..], &["list", "--token", "TOKEN", "--json"], &["list", "--help"]]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = desk.command(arguments).stdout(full).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("hsm: cannot write to standard output: No space left"), "{error}");

        let mut command = desk.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut error = String::new();
        child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        assert!(child.wait().unwrap().success() && error.is_empty(), "{error}");
    }
}
