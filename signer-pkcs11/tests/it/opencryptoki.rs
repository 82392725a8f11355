//! opencryptoki: a token behind a daemon. It supports RSA only, and does not write its clock as
//! PKCS #11 requires.
//!
//! Its daemon and files are those of the system, so each test runs in its own namespaces. In these
//! the folders of opencryptoki are empty, and its group is the user's.

use std::{path::PathBuf, process::Command};

use signer_pkcs11::{KeyAlgorithm, Token, TokenError, TokenOptions, Uri, token_slots};

use crate::{
    child::{is_child, run_by, system_module},
    softhsm::PIN,
};

pub(crate) const PACKAGES: &str = "opencryptoki util-linux";

/// Creates the folders, starts the daemon, and runs a program beside it.
const DAEMON: &str = "set -e
    mkdir -p $FOLDER/etc $FOLDER/var/swtok/TOK_OBJ
    printf 'version opencryptoki-3.8\nslot 3\n{\nstdll = libpkcs11_sw.so\n}\n' > $FOLDER/etc/opencryptoki.conf
    sed 's/^pkcs11:.*/pkcs11:x:0:/' /etc/group > $FOLDER/group
    mount --bind $FOLDER/group /etc/group
    mount --bind $FOLDER/etc /etc/opencryptoki
    mount --bind $FOLDER/var /var/lib/opencryptoki
    mount -t tmpfs none /run
    mkdir -p /run/lock/opencryptoki/swtok
    if [ $DAEMON = yes ]; then
        pkcsslotd
        until [ -S /run/pkcsslotd.socket ]; do :; done
    fi
    \"$@\"";

/// A new token requires that its initial PINs are changed.
const PINS: &str = "set -e
    echo ock | pkcsconf -I -c 3 -S 87654321
    pkcsconf -P -c 3 -S 87654321 -n 76543210
    pkcsconf -u -c 3 -S 76543210 -n 12345678
    pkcsconf -p -c 3 -U 12345678 -n $PIN";

/// Runs a test beside a daemon of its own.
pub(crate) fn run(test: &str) {
    run_with("yes", test);
}

fn run_with(daemon: &str, test: &str) {
    module();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--ipc", "--pid", "--fork", "--kill-child"]);
    command.args(["sh", "-c", DAEMON, "sh"]).arg(std::env::current_exe().unwrap());
    let folder = folder.path().display().to_string();
    run_by(command, test, &[("FOLDER", folder), ("DAEMON", daemon.to_owned())]);
}

pub(crate) fn module() -> PathBuf {
    system_module("libopencryptoki.so", PACKAGES)
}

/// A token that is ready for use.
pub(crate) fn new_token() -> Uri {
    let made = Command::new("sh").args(["-c", PINS]).env("PIN", PIN).output().unwrap();
    let text = String::from_utf8_lossy(&made.stdout) + String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{text}");
    Uri::new().with_token("ock")
}

fn open(uri: &Uri, pin: &str) -> Result<Token, TokenError> {
    Token::open(uri, &TokenOptions::new().module(module()).pin(signer_pkcs11::Pin::new(pin)))
}

#[test]
fn a_token_whose_clock_cryptoki_cannot_read() {
    if !is_child() {
        return run("opencryptoki::a_token_whose_clock_cryptoki_cannot_read");
    }
    let uri = new_token();
    // 4 to 8 bytes: a shorter or longer PIN costs no attempt, so the right one still works.
    for pin in ["123", "123456789"].iter().cycle().take(12) {
        let error = open(&uri, pin).unwrap_err();
        assert!(matches!(error, TokenError::PinLength { min: 4, max: 8 }), "{error}");
    }
    let token = open(&uri, PIN).unwrap();
    let context = cryptoki::context::Pkcs11::new(module()).unwrap();
    // If this fails, cryptoki can read the clock, and the crate `pkcs11-info` is no longer needed.
    let slot = context.get_slots_with_token().unwrap()[0];
    assert!(matches!(context.get_token_info(slot), Err(cryptoki::error::Error::ParseInt(_))));
    assert_eq!((token.label(), token.serial().is_empty()), ("ock", false));
    for attributes in ["model=IBM%20SoftTok", "slot-description=Linux", "slot-manufacturer=IBM", "slot-id=3"]
    {
        open(&format!("pkcs11:{attributes}").parse().unwrap(), PIN).unwrap();
    }
    assert_eq!(token_slots(&module()).unwrap().len(), 1);
    let key = signer_pkcs11::KeyName::random("k").unwrap();
    let error = token.generate_key(&key, KeyAlgorithm::EcdsaP256).unwrap_err();
    assert!(error.to_string().contains("the token cannot generate a key of ecdsa-p256"), "{error}");
    open(&uri, PIN).unwrap();
}

#[test]
fn a_daemon_that_is_down() {
    if !is_child() {
        return run_with("no", "opencryptoki::a_daemon_that_is_down");
    }
    let error = open(&Uri::new().with_token("ock"), PIN).unwrap_err().to_string();
    assert!(error.contains("daemon pkcsslotd does not run") && error.contains("systemctl start"), "{error}");
}
