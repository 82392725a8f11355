//! One suite over three tokens: SoftHSM, a TPM (tpm2-pkcs11 on swtpm), and SoftHSM in another process (p11-kit).
//!
//! What a token cannot do is named in the expectation, and printed.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use signer_pkcs11::{
    Csr, Key, KeyAlgorithm, KeyError, KeyFamily, KeyName, Pin, RsaPadding, SignatureAlgorithm, Subject,
    Token, TokenError, TokenOptions, Uri, csr, init_token,
};

use crate::{
    child::{Server, is_child, run, run_by, system_module, told, until},
    openssl::Openssl,
    remote::{client, serve},
    softhsm::{PIN, SO_PIN, module, new_token},
};

const TPM_PACKAGES: &str =
    "dbus libtpm2-pkcs11-1 libtss2-tcti-swtpm0 libtss2-tcti-tabrmd0 swtpm swtpm-tools tpm2-abrmd";

/// Runs a program beside a resource manager, as the kernel has one for a real TPM: a TPM holds three objects at a time,
/// and a key that was refused half-made counts as one.
const MANAGED: &str = "
    tpm2-abrmd --allow-root --session --tcti=\"$TPM\" --logger=stdout >/dev/null 2>&1 & manager=$!
    until dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner \
        string:com.intel.tss2.Tabrmd 2>/dev/null | grep -q true; do kill -0 $manager || exit 1; done
    \"$@\"; code=$?; kill $manager; exit $code";

/// A software TPM of its own for each test, and the environment by which the module finds it.
struct Tpm {
    _server: Server,
    _folder: tempfile::TempDir,
    tcti: String,
    store: PathBuf,
}

impl Tpm {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (state, store) = (folder.path().join("state"), folder.path().join("store"));
        std::fs::create_dir(&state).unwrap();
        std::fs::create_dir(&store).unwrap();
        let setup =
            Command::new("swtpm_setup").args(["--tpm2", "--overwrite", "--tpmstate"]).arg(&state).output();
        let setup = setup.unwrap_or_else(|error| panic!("{error}: `sudo apt-get install {TPM_PACKAGES}`"));
        assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stdout));
        let socket = folder.path().join("tpm");
        let control = folder.path().join("tpm.ctrl");
        let mut command = Command::new("swtpm");
        command.arg("socket").args(["--tpm2", "--flags", "not-need-init,startup-clear"]);
        command.arg("--tpmstate").arg(format!("dir={}", state.display()));
        command.arg("--server").arg(format!("type=unixio,path={}", socket.display()));
        command.arg("--ctrl").arg(format!("type=unixio,path={}", control.display()));
        let server = Server::start(command, TPM_PACKAGES);
        let are_there = || if socket.exists() && control.exists() { Ok(()) } else { Err("no socket") };
        until(Duration::from_secs(20), are_there);
        Self { _server: server, tcti: format!("swtpm:path={}", socket.display()), store, _folder: folder }
    }

    fn run(&self, test: &str) {
        let environment = [
            ("TPM", &*self.tcti),
            ("TPM2_PKCS11_TCTI", "tabrmd:bus_type=session"),
            ("TPM2_PKCS11_STORE", self.store.to_str().unwrap()),
            // Every refused template is an error to it.
            ("TPM2_PKCS11_LOG_LEVEL", "0"),
            ("TSS2_LOG", "all+NONE"),
        ];
        let mut command = Command::new("dbus-run-session");
        command.args(["--", "sh", "-c", MANAGED, "sh"]).arg(std::env::current_exe().unwrap());
        run_by(command, test, &environment);
    }
}

fn tpm_module() -> PathBuf {
    system_module("libtpm2_pkcs11.so", TPM_PACKAGES)
}

fn new_tpm_token() -> Uri {
    init_token(&tpm_module(), "tpm", &Pin::new(SO_PIN), &Pin::new(PIN)).unwrap()
}

fn open(module: &Path, uri: &Uri, pin: &str) -> Result<Token, TokenError> {
    // A key in a TPM takes its time, above all beside other tests.
    let options = TokenOptions::new().module(module).pin(Pin::new(pin)).workers(1);
    Token::open(uri, &options.sign_timeout(Duration::from_secs(60)))
}

/// Everything that is asked of a token, for every kind of key that it has. Returns what it has not.
fn suite(module: &Path, uri: &Uri) -> Vec<KeyAlgorithm> {
    let mut absent = Vec::new();
    for algorithm in KeyAlgorithm::ALL.iter().copied() {
        // Opened anew for each: a TPM without a resource manager holds few keys at a time.
        let token = open(module, uri, PIN).unwrap();
        let name = KeyName::random(format!("{algorithm}")).unwrap();
        match token.generate_key(&name, algorithm) {
            Ok(key) => check(&token, &key),
            Err(KeyError::Unsupported { .. } | KeyError::Generate { .. }) => {
                println!("absent in {}: {algorithm}", token.label());
                absent.push(algorithm);
            }
            Err(other) => panic!("{algorithm}: {other:?}"),
        }
        assert!(token.keys().unwrap().is_empty(), "{algorithm}: nothing is left behind");
        token.shutdown();
    }
    absent
}

fn check(token: &Token, key: &Key) {
    let algorithm = key.algorithm();
    let [info] = <[_; 1]>::try_from(token.keys().unwrap()).unwrap();
    assert_eq!((info.sensitive, info.extractable), (Some(true), Some(false)), "{algorithm}");
    assert_eq!(token.find_key(key.uri()).unwrap().public_key(), key.public_key());
    let error = token.generate_key(key.name(), algorithm).unwrap_err();
    assert!(matches!(error, KeyError::Exists { .. }), "{error}");

    // As TLS 1.2 and 1.3 ask for it.
    let rsa = [
        SignatureAlgorithm::RsaPssSha256,
        SignatureAlgorithm::RsaPssSha384,
        SignatureAlgorithm::RsaPkcs1Sha256,
        SignatureAlgorithm::RsaPkcs1Sha512,
    ];
    let own = [key.signature_algorithm()];
    let signatures = if algorithm.family() == KeyFamily::Rsa { &rsa[..] } else { &own };
    for signature_algorithm in signatures {
        for message in [&b""[..], &[7; 3000]] {
            let signature = key
                .sign_blocking_by(*signature_algorithm, message)
                .unwrap_or_else(|error| panic!("{algorithm} {signature_algorithm:?}: {error:?}"));
            key.public_key().verify_with(*signature_algorithm, message, &signature).unwrap();
        }
    }
    let openssl = Openssl::new();
    for padding in [RsaPadding::Pkcs1, RsaPadding::Pss] {
        let pem =
            csr::build(&key.clone().with_rsa_padding(padding), &Subject::new("SN-0001", "Example")).unwrap();
        openssl.write("csr.pem", &pem);
        openssl.run("req -in csr.pem -verify -noout");
        assert_eq!(Csr::parse(&pem).unwrap().public_key(), key.public_key());
    }
    token.destroy_key(key.uri()).unwrap();
    assert!(matches!(token.find_key(key.uri()).unwrap_err(), KeyError::NotFound { .. }));
}

#[test]
fn on_softhsm() {
    assert_eq!(suite(&module(), &new_token("suite")), []);
}

#[test]
fn on_a_tpm() {
    if !is_child() {
        return Tpm::start().run("suite::on_a_tpm");
    }
    let absent = suite(&tpm_module(), &new_tpm_token());
    assert_eq!(absent, [KeyAlgorithm::Rsa4096, KeyAlgorithm::Ed25519]);
}

#[test]
fn on_softhsm_in_another_process() {
    if !is_child() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let uri = new_token("suite-remote");
        let _server = serve(&socket, &uri);
        let address = format!("unix:path={}", socket.display());
        let environment = [("P11_KIT_SERVER_ADDRESS", &*address), ("TOKEN", &*uri.to_string())];
        return run("suite::on_softhsm_in_another_process", &environment);
    }
    // p11-kit 0.24 passes on only what it knows.
    assert_eq!(suite(&client(), &told("TOKEN").parse().unwrap()), [KeyAlgorithm::Ed25519]);
}

#[test]
fn a_tpm_locks_after_three_wrong_pins_and_each_was_tried_once() {
    if !is_child() {
        return Tpm::start().run("suite::a_tpm_locks_after_three_wrong_pins_and_each_was_tried_once");
    }
    let uri = new_tpm_token();
    let module = tpm_module();
    let error = |pin: &str| open(&module, &uri, pin).unwrap_err();
    for _ in 0..5 {
        // Were it asked each time, the token would be locked by now.
        assert!(matches!(
            error("0001"),
            TokenError::PinIncorrect { .. } | TokenError::PinRefusedBefore { .. }
        ));
    }
    open(&module, &uri, PIN).unwrap();
    assert!(matches!(error("0002"), TokenError::PinIncorrect { .. }));
    let mut wrong = 3;
    let locked = loop {
        match error(&format!("{wrong:04}")) {
            TokenError::PinIncorrect { .. } => wrong += 1,
            other => break other,
        }
        assert!(wrong < 40, "it never locks");
    };
    assert!(matches!(locked, TokenError::PinLocked { .. }), "{locked:?}");
    assert!(locked.to_string().contains("security officer"), "{locked}");
    // The right PIN does not open a locked token.
    assert!(matches!(error(PIN), TokenError::PinLocked { .. }));
}

#[test]
fn a_tpm_that_has_no_session_left() {
    if !is_child() {
        return Tpm::start().run("suite::a_tpm_that_has_no_session_left");
    }
    use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
    let uri = new_tpm_token();
    let module = tpm_module();
    let token = open(&module, &uri, PIN).unwrap();
    let key = token.generate_key(&KeyName::random("k").unwrap(), KeyAlgorithm::EcdsaP256).unwrap();
    let context = Pkcs11::new(&module).unwrap();
    let _ = context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    let slots = context.get_slots_with_token().unwrap();
    let fits = |slot: &&cryptoki::slot::Slot| {
        context.get_token_info(**slot).is_ok_and(|info| info.label().trim_end_matches('\0') == "tpm")
    };
    let slot = *slots.iter().find(fits).unwrap();
    let mut taken = Vec::new();
    let error = loop {
        match context.open_ro_session(slot) {
            Ok(session) => taken.push(session),
            Err(error) => break error,
        }
        assert!(taken.len() < 5000, "there is no limit");
    };
    assert!(error.to_string().contains("ession"), "{error} after {}", taken.len());
    // What is open goes on; another opening fails cleanly, and goes through when there is room.
    key.sign_blocking(b"x").unwrap();
    let error = open(&module, &uri, PIN).unwrap_err();
    assert!(matches!(error, TokenError::Token { .. }), "{error:?}");
    drop(taken);
    key.sign_blocking(b"x").unwrap();
    open(&module, &uri, PIN).unwrap().find_key(key.uri()).unwrap().sign_blocking(b"x").unwrap();
}
