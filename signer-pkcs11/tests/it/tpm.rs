//! A TPM: tpm2-pkcs11 on swtpm. Its PIN locks, its sessions are few, and it can disappear.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use signer_pkcs11::{
    Key, KeyAlgorithm, KeyName, Pin, SignError, Token, TokenError, TokenOptions, Uri, init_token,
};

use crate::{
    child::{Server, is_child, run_by, signal, system_module, told, until},
    softhsm::{PIN, SO_PIN},
};

const TPM_PACKAGES: &str =
    "dbus libtpm2-pkcs11-1 libtss2-tcti-swtpm0 libtss2-tcti-tabrmd0 swtpm swtpm-tools tpm2-abrmd";

/// Runs a program beside a resource manager, such as the kernel has for a real TPM: a TPM holds
/// three objects at a time, and a partly generated key that was refused counts as one.
const MANAGED: &str = "
    tpm2-abrmd --allow-root --session --tcti=\"$TPM\" --logger=stdout >/dev/null 2>&1 & export MANAGER=$!
    until dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner \
        string:com.intel.tss2.Tabrmd 2>/dev/null | grep -q true; do kill -0 $MANAGER || exit 1; done
    \"$@\"; code=$?; kill $MANAGER; exit $code";

/// A software TPM for one test, and the environment in which the module finds it.
pub(crate) struct Tpm {
    server: Server,
    folder: tempfile::TempDir,
}

impl Tpm {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["state", "store"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mut setup = Command::new("swtpm_setup");
        setup.args(["--tpm2", "--overwrite", "--tpmstate"]).arg(folder.path().join("state"));
        let setup = setup.output();
        let setup = setup.unwrap_or_else(|error| panic!("{error}: `sudo apt-get install {TPM_PACKAGES}`"));
        assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stdout));
        Self { server: power_on(folder.path()), folder }
    }

    pub(crate) fn run(&self, test: &str) {
        let mut command = Command::new("dbus-run-session");
        command.args(["--", "sh", "-c", MANAGED, "sh"]).arg(std::env::current_exe().unwrap());
        let folder = self.folder.path();
        let environment = [
            ("TPM", format!("swtpm:path={}", folder.join("tpm").display())),
            ("TPM2_PKCS11_TCTI", "tabrmd:bus_type=session".to_owned()),
            ("TPM2_PKCS11_STORE", folder.join("store").display().to_string()),
            ("FOLDER", folder.display().to_string()),
            ("GROUP", self.server.group().to_string()),
            // The module logs every refused template as an error.
            ("TPM2_PKCS11_LOG_LEVEL", "0".to_owned()),
            ("TSS2_LOG", "all+NONE".to_owned()),
        ];
        run_by(command, test, &environment);
    }
}

/// Starts the TPM whose state is in the folder.
fn power_on(folder: &Path) -> Server {
    let (socket, control) = (folder.join("tpm"), folder.join("tpm.ctrl"));
    for path in [&socket, &control] {
        // A TPM that was killed leaves this file.
        let _ = std::fs::remove_file(path);
    }
    let mut command = Command::new("swtpm");
    command.arg("socket").args(["--tpm2", "--flags", "not-need-init,startup-clear"]);
    command.arg("--tpmstate").arg(format!("dir={}", folder.join("state").display()));
    command.arg("--server").arg(format!("type=unixio,path={}", socket.display()));
    command.arg("--ctrl").arg(format!("type=unixio,path={}", control.display()));
    let server = Server::start(command, TPM_PACKAGES);
    let are_there = || if socket.exists() && control.exists() { Ok(()) } else { Err("no socket") };
    until(Duration::from_secs(20), are_there);
    server
}

pub(crate) fn tpm_module() -> PathBuf {
    system_module("libtpm2_pkcs11.so", TPM_PACKAGES)
}

pub(crate) fn new_tpm_token() -> Uri {
    init_token(&tpm_module(), "tpm", &Pin::new(SO_PIN), &Pin::new(PIN)).unwrap()
}

pub(crate) fn open(module: &Path, uri: &Uri, pin: &str) -> Result<Token, TokenError> {
    // An operation with a key in a TPM takes long, especially beside other tests.
    let options = TokenOptions::new().module(module).pin(Pin::new(pin)).workers(1).without_keep_alive();
    Token::open(uri, &options.sign_timeout(Duration::from_secs(60)))
}

fn generate(token: &Token) -> Key {
    token.generate_key(&KeyName::random("k").unwrap(), KeyAlgorithm::EcdsaP256).unwrap()
}

fn sign(key: &Key) -> Result<(), SignError> {
    let signature = key.sign_blocking(b"x")?;
    key.public_key().verify_with(key.signature_algorithm(), b"x", &signature).unwrap();
    Ok(())
}

fn kill_manager() {
    let manager = Pid::from_raw(told("MANAGER").parse().unwrap()).unwrap();
    kill_process(manager, Signal::KILL).unwrap();
}

/// Starts another resource manager.
fn manage() -> Server {
    let mut manager = Command::new("tpm2-abrmd");
    manager.args(["--allow-root", "--session", "--logger=stdout"]).arg(format!("--tcti={}", told("TPM")));
    manager.stdout(Stdio::null()).stderr(Stdio::null());
    Server::start(manager, TPM_PACKAGES)
}

/// The longest time until a token that was not called for a while is called again.
const LIMIT: Duration = Duration::from_secs(150);

#[test]
fn a_tpm_that_loses_its_power() {
    if !is_child() {
        return Tpm::start().run("tpm::a_tpm_that_loses_its_power");
    }
    let token = open(&tpm_module(), &new_tpm_token(), PIN).unwrap();
    let key = generate(&token);
    sign(&key).unwrap();
    signal(told("GROUP").parse().unwrap(), Signal::KILL);
    kill_manager();
    let error = sign(&key).unwrap_err();
    assert!(matches!(error, SignError::Token(_)), "{error}");
    let _again = (power_on(Path::new(&told("FOLDER"))), manage());
    until(LIMIT, || sign(&key));
    // Other calls than signatures have recovered too.
    assert_eq!(token.find_key(key.uri()).unwrap().public_key(), key.public_key());
    token.destroy_key(key.uri()).unwrap();
}

#[test]
fn a_tpm_whose_resource_manager_is_started_anew() {
    if !is_child() {
        return Tpm::start().run("tpm::a_tpm_whose_resource_manager_is_started_anew");
    }
    let token = open(&tpm_module(), &new_tpm_token(), PIN).unwrap();
    let key = generate(&token);
    sign(&key).unwrap();
    kill_manager();
    let error = sign(&key).unwrap_err();
    assert!(matches!(error, SignError::Token(_)), "{error}");
    let _again = manage();
    until(LIMIT, || sign(&key));
    assert_eq!(token.find_key(key.uri()).unwrap().public_key(), key.public_key());
}

#[test]
fn a_tpm_locks_after_three_wrong_pins_and_each_was_tried_once() {
    if !is_child() {
        return Tpm::start().run("tpm::a_tpm_locks_after_three_wrong_pins_and_each_was_tried_once");
    }
    let uri = new_tpm_token();
    let module = tpm_module();
    let error = |pin: &str| open(&module, &uri, pin).unwrap_err();
    for _ in 0..5 {
        // If each attempt reached the token, it would be locked by now.
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
        return Tpm::start().run("tpm::a_tpm_that_has_no_session_left");
    }
    use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
    let uri = new_tpm_token();
    let module = tpm_module();
    let token = open(&module, &uri, PIN).unwrap();
    let key = generate(&token);
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
    // An open token continues to work. Another opening fails cleanly, and succeeds when a session
    // is free.
    key.sign_blocking(b"x").unwrap();
    let error = open(&module, &uri, PIN).unwrap_err();
    assert!(matches!(error, TokenError::Token { .. }), "{error:?}");
    drop(taken);
    key.sign_blocking(b"x").unwrap();
    open(&module, &uri, PIN).unwrap().find_key(key.uri()).unwrap().sign_blocking(b"x").unwrap();
}
