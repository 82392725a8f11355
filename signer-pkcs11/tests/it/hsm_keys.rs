//! The command `hsm`: the token and the key that it selects, and its errors.

use std::process::{Command, Output, Stdio};

use cryptoki::{
    object::{Attribute, CertificateType, ObjectClass},
    session::{Session, UserType},
    types::AuthPin,
};
use signer_pkcs11::Token;

use crate::{
    hsm::{Desk, has_word},
    softhsm::{PIN, module, options, slot, stranger},
};

/// A session of another tool with the desk's token. The token keeps the module initialized.
fn session(desk: &Desk) -> (Token, Session) {
    let uri = format!("pkcs11:token={}", desk.label).parse().unwrap();
    let token = Token::open(&uri, &options()).unwrap();
    let context = stranger();
    let session = context.open_rw_session(slot(&context, &desk.label)).unwrap();
    let _ = session.login(UserType::User, Some(&AuthPin::from(PIN.to_owned())));
    (token, session)
}

/// Changes both halves of the key with this label.
fn change(session: &Session, label: &str, attributes: &[Attribute]) {
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        let key =
            session.find_objects(&[Attribute::Class(class), Attribute::Label(label.into())]).unwrap()[0];
        session.update_attributes(key, attributes).unwrap();
    }
}

#[test]
fn a_misspelled_attribute_makes_no_key_elsewhere() {
    let desk = Desk::new();
    for (token, expected) in [
        ("pkcs11:tokn=other?pin-source=file:pin", "attribute \"tokn\" is unknown"),
        ("pkcs11:token=x?pin-sorce=file:pin", "attribute \"pin-sorce\" is unknown after the question mark"),
        ("pkcs11:token=x?modul-path=/x.so", "attribute \"modul-path\" is unknown after the question mark"),
        ("pkcs11:token=x?pin=471147", "a PIN in a URI is refused"),
        ("pkcs11:token=x?module-name=other", "write module-path="),
    ] {
        let arguments = ["keygen", "--token", token, "--label", "cs", "--transcript", "transcript"];
        let error = desk.error(&arguments);
        assert!(error.contains(expected) && !error.contains("471147"), "{error}");
    }
    assert!(!desk.openssl.read("transcript").contains("471147"));
    let listed = desk.json(&["list", "--token", "TOKEN"]);
    assert_eq!(listed["keys"].as_array().unwrap().len(), 0);
}

#[test]
fn two_sources_of_the_pin_are_a_conflict() {
    let desk = Desk::new();
    for argument in [["--pin-file", "pin"], ["--pin-env", "HSM_PIN"], ["--pin-source", "fd:3"]] {
        let error = desk.error(&[&["list", "--token", "TOKEN"][..], &argument].concat());
        assert!(
            error.contains("two sources of the PIN are given, pin-source=file:pin in the URI and"),
            "{error}"
        );
    }
}

#[test]
fn tokens_are_listed_without_a_pin() {
    let desk = Desk::new();
    let listed = desk.json(&["tokens"]);
    let slots = listed["slots"].as_array().unwrap();
    let own = slots.iter().find(|slot| slot["token"] == desk.label.as_str()).unwrap();
    assert_eq!(own["state"], "initialized", "{own}");
    let uri = own["uri"].as_str().unwrap();
    assert!(uri.contains(own["serial"].as_str().unwrap()) && own["slot_id"].is_u64(), "{own}");
    desk.run(&["list", "--token", uri, "--pin-file", "pin"]);
    assert!(slots.iter().any(|slot| slot["state"] == "not initialized"), "{listed}");
    let text = desk.run(&["tokens"]);
    assert!(text.contains("initialized token") && text.contains("\nNext: use the uri"), "{text}");
}

#[test]
fn of_two_keys_with_one_label_one_is_named_by_its_id() {
    let desk = Desk::new();
    let name = ["--common-name", "Root", "--organization", "Example", "--out", "root.pem"];
    desk.run(&[&["root", "--token", "TOKEN", "--label", "a"], &name[..]].concat());
    desk.run(&["keygen", "--token", "TOKEN", "--label", "b"]);
    {
        let (_token, session) = session(&desk);
        change(&session, "a", &[Attribute::Label("twin".into()), Attribute::Id(vec![0x0a])]);
        change(&session, "b", &[Attribute::Label("twin".into()), Attribute::Id(vec![0x0b])]);
    }
    let csr = [
        "csr",
        "--token",
        "TOKEN",
        "--common-name",
        "SN-0001",
        "--organization",
        "Example",
        "--label",
        "twin",
    ];
    let error = desk.error(&csr);
    assert!(error.contains("2 keys match") && error.contains("--label and --id"), "{error}");
    let made = desk.json(&[&csr[..], &["--id", "0B"]].concat());
    assert!(made["key"].as_str().unwrap().contains("id=%0B"), "{made}");
    let made = desk.json(&[&csr[..csr.len() - 2], &["--id", "0b"]].concat());
    assert!(made["key"].as_str().unwrap().contains("id=%0B"), "{made}");
    let tested = desk.json(&["selftest", "--token", "TOKEN", "--label", "twin", "--id", "0a"]);
    assert_eq!(tested["keys"].as_array().unwrap().len(), 1, "{tested}");
    // The authority's key and the CSMS's own.
    let server = |more: &[&str]| {
        let words = ["server-cert", "--token", "TOKEN", "--label", "tls", "--ca-cert", "root.pem"];
        let rest = ["--name", "csms.example.com", "--organization", "Example", "--out", "tls.pem"];
        [&words[..], &rest, more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let words = |words: &[String]| words.iter().map(String::as_str).map(str::to_owned).collect::<Vec<_>>();
    let run = |arguments: Vec<String>| {
        let arguments = words(&arguments);
        desk.output(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert!(!run(server(&["--ca-label", "twin"])).status.success());
    let output = run(server(&["--ca-label", "twin", "--ca-id", "0a"]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for wrong in ["", "0", "xy"] {
        let error = desk.error(&[&csr[..], &["--id", wrong]].concat());
        assert!(error.contains("--id"), "{error}");
    }
}

#[test]
fn keys_without_a_label_or_an_id_can_be_used_and_destroyed() {
    let desk = Desk::new();
    for (label, attributes) in [
        ("unlabeled", vec![Attribute::Label(Vec::new()), Attribute::Id(vec![7])]),
        ("latin-1", vec![Attribute::Label(b"K\xf6ln".to_vec()), Attribute::Id(vec![8])]),
        ("without-id", vec![Attribute::Id(Vec::new())]),
    ] {
        desk.run(&["keygen", "--token", "TOKEN", "--label", label]);
        let (_token, session) = session(&desk);
        change(&session, label, &attributes);
        drop(session);
        // Another key with the same id is not touched.
        let listed = desk.json(&["list", "--token", "TOKEN"]);
        let uri = listed["keys"][0]["uri"].as_str().unwrap();
        let tested = desk.json(&["selftest", "--token", "TOKEN", "--existing-only"]);
        assert_eq!(tested["keys"][0]["passed"], true, "{tested}");
        desk.run(&["destroy", "--token", "TOKEN", "--key", uri]);
        let listed = desk.json(&["list", "--token", "TOKEN"]);
        assert_eq!(listed["keys"].as_array().unwrap().len(), 0, "{label}: {listed}");
    }
}

/// Some tools import a pair without its public half, or remove that half.
#[test]
fn the_public_half_is_taken_from_the_certificate() {
    let desk = Desk::new();
    let name = ["--common-name", "Root", "--organization", "Example", "--out", "root.pem"];
    for (label, algorithm) in [("p256", "ecdsa-p256"), ("rsa", "rsa-2048")] {
        let out = format!("{label}.pem");
        let root = ["root", "--token", "TOKEN", "--label", label, "--algorithm", algorithm];
        desk.run(&[&root[..], &name[..4], &["--out", &out]].concat());
        desk.openssl.run(&format!("x509 -in {out} -outform DER -out {label}.der"));
    }
    let (_token, session) = session(&desk);
    let object = |class, label: &str| {
        session.find_objects(&[Attribute::Class(class), Attribute::Label(label.into())]).unwrap()[0]
    };
    for label in ["p256", "rsa"] {
        session.destroy_object(object(ObjectClass::PUBLIC_KEY, label)).unwrap();
    }
    let csr = |label: &str| {
        ["csr", "--token", "TOKEN", "--label", label, "--common-name", "SN", "--organization", "Example"]
            .map(str::to_owned)
    };
    let run = |arguments: &[String]| desk.output(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let error = String::from_utf8(run(&csr("p256")).stderr).unwrap();
    assert!(error.contains("nor a certificate for it"), "{error}");
    let import = |label: &str, certificate: &str| {
        let id = session
            .get_attributes(object(ObjectClass::PRIVATE_KEY, label), &[cryptoki::object::AttributeType::Id])
            .unwrap()
            .remove(0);
        session
            .create_object(&[
                Attribute::Class(ObjectClass::CERTIFICATE),
                Attribute::CertificateType(CertificateType::X_509),
                Attribute::Token(true),
                Attribute::Label(label.into()),
                id,
                Attribute::Subject(vec![0x30, 0]),
                Attribute::Value(std::fs::read(desk.openssl.path(&format!("{certificate}.der"))).unwrap()),
            ])
            .unwrap()
    };
    for label in ["p256", "rsa"] {
        import(label, label);
        let output = run(&csr(label));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        desk.openssl.write("csr.pem", output.stdout);
        desk.openssl.run("req -in csr.pem -verify -noout");
    }
    // The certificate of another key is not accepted.
    desk.openssl.run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -subj /CN=x -outform DER -out other.der");
    session.destroy_object(object(ObjectClass::CERTIFICATE, "p256")).unwrap();
    import("p256", "other");
    let error = String::from_utf8(run(&csr("p256")).stderr).unwrap();
    assert!(error.contains("does not verify"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_reader_that_has_gone_and_a_device_that_is_full() {
    let desk = Desk::new();
    desk.run(&["keygen", "--token", "TOKEN", "--label", "cs"]);
    let csr =
        ["csr", "--token", "TOKEN", "--label", "cs", "--common-name", "SN", "--organization", "Example"];
    for arguments in [
        &["list", "--token", "TOKEN"][..],
        &["list", "--token", "TOKEN", "--json"],
        &["tokens"],
        &csr,
        &["--help"],
        &["list", "--help"],
        &["--version"],
    ] {
        let full = || Stdio::from(std::fs::File::create("/dev/full").unwrap());
        let output = desk.command(arguments).stdout(full()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(
            errors.contains("cannot write to standard output") && !errors.contains("panicked"),
            "{errors}"
        );
        // A pipe without a reader.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = desk.command(arguments).stdout(writer).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !errors.contains("panicked"), "{arguments:?}: {errors}");
        // A log that cannot be written does not end the command either.
        let output = desk.command(arguments).env("RUST_LOG", "trace").stderr(full()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
    }
}

#[test]
fn rust_log_shows_what_the_library_does() {
    let desk = Desk::new();
    let keygen = |label: &str, filter: &str| {
        let mut command = desk.command(&["keygen", "--token", "TOKEN", "--label", label]);
        let output = command.env("RUST_LOG", filter).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(keygen("a", ""), "");
    let log = keygen("b", "signer_pkcs11=debug");
    assert!(log.contains("DEBUG") && log.contains("key generated") && !has_word(&log, PIN), "{log}");
}

/// A certificate that is signed while the clock was never set is valid at the wrong time.
#[cfg(target_os = "linux")]
#[test]
fn clock_of_1970_signs_nothing() {
    let desk = Desk::new();
    desk.run(&["keygen", "--token", "TOKEN", "--label", "cs"]);
    let name = ["--common-name", "Root", "--organization", "Example"];
    desk.run(
        &[&["root", "--token", "TOKEN", "--label", "ca", "--record", "record", "--out", "ca.pem"], &name[..]]
            .concat(),
    );
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let mut found = folders.iter().map(|folder| format!("{folder}/faketime/libfaketimeMT.so.1"));
    let library = found.find(|path| std::path::Path::new(path).is_file());
    let library = library.expect("libfaketime is missing; install it: sudo apt-get install libfaketime");
    let at = |clock: &str, arguments: &[&str]| {
        let mut command: Command = desk.command(arguments);
        command.env("LD_PRELOAD", &library).env("FAKETIME", clock).output().unwrap()
    };
    let authority = ["--ca-label", "ca", "--ca-cert", "ca.pem"];
    for arguments in [
        &[&["root", "--token", "TOKEN", "--label", "r", "--out", "r.pem"], &name[..]].concat()[..],
        &[&["sub-ca", "--token", "TOKEN", "--label", "s", "--out", "s.pem"], &authority[..], &name[..]]
            .concat(),
        &[
            &[
                "server-cert",
                "--token",
                "TOKEN",
                "--label",
                "t",
                "--name",
                "csms.example.com",
                "--organization",
                "Example",
                "--out",
                "t.pem",
            ],
            &authority[..],
        ]
        .concat(),
        &["revoke", "--record", "record", "--station", "CS001"],
        &[&["crl", "--token", "TOKEN", "--record", "record", "--out", "c.pem"], &authority[..]].concat(),
    ] {
        let output = at("@1970-01-01 00:00:10", arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && error.contains("the system's clock shows 1970-01-01T"),
            "{arguments:?}: {error}"
        );
    }
    let listed = desk.json(&["list", "--token", "TOKEN"]);
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2, "{listed}");
    // A request contains no time.
    let csr =
        ["csr", "--token", "TOKEN", "--label", "cs", "--common-name", "SN", "--organization", "Example"];
    assert!(at("@1970-01-01 00:00:10", &csr).status.success());
}

/// The limit of file sizes ends a process by SIGXFSZ unless the process handles the signal.
#[cfg(target_os = "linux")]
#[test]
fn disk_full_makes_no_key_and_says_so() {
    let desk = Desk::new();
    desk.root();
    let limited = |bytes: u64, arguments: &[&str]| {
        let command = desk.command(arguments);
        let mut limited = Command::new("prlimit");
        limited.arg(format!("--fsize={bytes}")).arg(command.get_program()).args(command.get_args());
        limited.env("PKCS11_MODULE", module()).current_dir(desk.openssl.path(""));
        limited.output().expect("prlimit is missing; install it: sudo apt-get install util-linux")
    };
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    // Tokens of SoftHSM are files too, but smaller.
    let name = ["--common-name", "Second Root", "--organization", "Example", "--out", "second.pem"];
    let output =
        limited(32 * 1024, &[&["root", "--token", "TOKEN", "--label", "second"], &name[..]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("cannot write second.pem; nothing was made"), "{}", said(&output));
    assert_eq!(desk.json(&["list", "--token", "TOKEN"])["keys"].as_array().map(Vec::len), Some(1));
    assert!(!desk.openssl.path("second.pem").exists());
    // A transcript whose size is at the limit.
    desk.openssl.write("transcript", "x".repeat(32 * 1024));
    let output = limited(32 * 1024, &["list", "--token", "TOKEN", "--transcript", "transcript"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("cannot write the transcript"), "{}", said(&output));
}
