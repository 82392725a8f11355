//! Faults of a token in the same process, and how signing recovers from them.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use signer_pkcs11::{Key, KeyAlgorithm, KeyName, Pin, SignError, Token, init_token};

use crate::{
    child::{is_child, run, told, until},
    softhsm::{PIN, SO_PIN, module, options, stranger, token},
};

fn generate(token: &Token) -> Key {
    token.generate_key(&KeyName::random("k").unwrap(), KeyAlgorithm::EcdsaP256).unwrap()
}

fn sign(key: &Key) -> Result<(), SignError> {
    let signature = key.sign_blocking(b"x")?;
    key.public_key().verify_with(key.signature_algorithm(), b"x", &signature).unwrap();
    Ok(())
}

#[test]
fn a_stranger_finalises_the_module() {
    if !is_child() {
        return run("faults::a_stranger_finalises_the_module", &[("", ""); 0]);
    }
    let token = token("finalised");
    let key = generate(&token);
    for _ in 0..3 {
        sign(&key).unwrap();
        stranger().finalize().unwrap();
        // The caller gets no error: the module is initialized again, and the login is repeated.
        (0..8).for_each(|_| sign(&key).unwrap());
        stranger().finalize().unwrap();
        assert_eq!(token.find_key(key.uri()).unwrap().public_key(), key.public_key());
    }
    // While many signatures are made.
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let signing = || {
            while !stop.load(Ordering::SeqCst) {
                drop(sign(&key))
            }
        };
        (0..4).for_each(|_| drop(scope.spawn(signing)));
        until(Duration::from_secs(20), || sign(&key));
        stop.store(true, Ordering::SeqCst);
    });
    until(Duration::from_secs(100), || sign(&key));
}

/// The parent's part: a folder with tokens that only the child uses and may damage.
fn with_folder(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (tokens, configuration) = (folder.path().join("tokens"), folder.path().join("softhsm2.conf"));
    fs::create_dir(&tokens).unwrap();
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    fs::write(&configuration, text).unwrap();
    run(test, &[("SOFTHSM2_CONF", &configuration), ("TOKENS", &tokens)]);
}

#[test]
fn a_token_that_cannot_be_read_does_not_hide_the_others() {
    if !is_child() {
        return with_folder("faults::a_token_that_cannot_be_read_does_not_hide_the_others");
    }
    let init = |label: &str| init_token(&module(), label, &Pin::new(SO_PIN), &Pin::new(PIN)).unwrap();
    let folders = || fs::read_dir(told("TOKENS")).unwrap().map(|entry| entry.unwrap().path());
    let broken = init("broken");
    let folder = folders().next().unwrap();
    let sound = init("sound");
    fs::remove_dir_all(folder).unwrap();
    let context = stranger();
    let slots = context.get_slots_with_token().unwrap();
    let unreadable = slots.iter().filter(|slot| context.get_token_info(**slot).is_err()).count();
    assert_eq!(unreadable, 1, "of {}", slots.len());
    sign(&generate(&Token::open(&sound, &options()).unwrap())).unwrap();
    let error = Token::open(&broken, &options()).unwrap_err();
    assert!(error.to_string().contains("the tokens are \"sound\""), "{error}");
}

#[test]
fn the_folder_of_the_token_is_moved_away_and_back() {
    if !is_child() {
        return with_folder("faults::the_folder_of_the_token_is_moved_away_and_back");
    }
    let uri = init_token(&module(), "moving", &Pin::new(SO_PIN), &Pin::new(PIN)).unwrap();
    let token = Token::open(&uri, &options()).unwrap();
    let key = generate(&token);
    sign(&key).unwrap();
    let (tokens, away) = (told("TOKENS"), format!("{}-away", told("TOKENS")));
    fs::rename(&tokens, &away).unwrap();
    sign(&key).unwrap_err();
    fs::rename(&away, &tokens).unwrap();
    until(Duration::from_secs(100), || sign(&key));
    assert_eq!(token.find_key(key.uri()).unwrap().public_key(), key.public_key());
}

#[test]
fn a_key_is_destroyed_by_another_process() {
    let token = token("destroyed");
    let (key, kept) = (generate(&token), generate_named(&token, "kept"));
    sign(&key).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_hsm"))
        .args(["destroy", "--token", &format!("pkcs11:token={}?pin-source=env:HSM_PIN", token.label())])
        .args(["--key", &key.uri().to_string()])
        .env("PKCS11_MODULE", module())
        .env("HSM_PIN", PIN)
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    for _ in 0..5 {
        let error = sign(&key).unwrap_err();
        assert!(matches!(error, SignError::KeyGone { .. }), "{error}");
        sign(&kept).unwrap();
    }
}

fn generate_named(token: &Token, label: &str) -> Key {
    token.generate_key(&KeyName::random(label).unwrap(), KeyAlgorithm::EcdsaP256).unwrap()
}

#[test]
fn processes_are_started_while_signing() {
    let token = token("fork");
    let key = generate(&token);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    sign(&key).unwrap();
                }
            });
        }
        // Each is forked from this process, which has loaded the module, and executes another
        // program at once.
        for _ in 0..40 {
            assert!(Command::new("true").status().unwrap().success());
        }
        done.store(true, Ordering::SeqCst);
    });
}

/// The folder in which SoftHSM stores this token.
fn folder(token: &Token) -> PathBuf {
    let text = fs::read_to_string(std::env::var_os("SOFTHSM2_CONF").unwrap()).unwrap();
    let tokens = text.lines().find_map(|line| line.strip_prefix("directories.tokendir")).unwrap();
    let is_its = |folder: &PathBuf| {
        let object = fs::read(folder.join("token.object")).unwrap_or_default();
        object.windows(token.label().len()).any(|window| window == token.label().as_bytes())
    };
    let tokens = fs::read_dir(tokens.trim_start_matches([' ', '='])).unwrap();
    tokens.map(|entry| entry.unwrap().path()).find(is_its).unwrap()
}

#[test]
fn a_key_is_generated_in_a_token_that_was_away_and_is_back() {
    let token = token("away");
    let folder = folder(&token);
    // Out of the folder in which SoftHSM looks for tokens.
    let away = folder.parent().unwrap().parent().unwrap().join(folder.file_name().unwrap());
    fs::rename(&folder, &away).unwrap();
    let name = KeyName::random("k").unwrap();
    let error = token.generate_key(&name, KeyAlgorithm::EcdsaP256).unwrap_err();
    fs::rename(&away, &folder).unwrap();
    println!("{error}");
    let limit = Duration::from_secs(30);
    until(limit, || token.generate_key(&name, KeyAlgorithm::EcdsaP256));
    sign(&token.find_key(&name.to_uri(&token)).unwrap()).unwrap();
}

/// A token of SoftHSM in its own folder on a disk, for other processes.
struct OnDisk {
    folder: tempfile::TempDir,
}

impl OnDisk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tokens = folder.path().join("tokens");
        fs::create_dir(&tokens).unwrap();
        let configuration =
            format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display());
        fs::write(folder.path().join("conf"), configuration).unwrap();
        fs::write(folder.path().join("pin"), PIN).unwrap();
        let new = Self { folder };
        let init = ["init", "--label", "a", "--pin-file", "pin", "--so-pin-file", "pin"];
        let made = new.hsm(Command::new(env!("CARGO_BIN_EXE_hsm")), &init).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        new
    }

    /// The arguments of a command, after those of another program.
    fn hsm(&self, mut command: Command, words: &[&str]) -> Command {
        command.args(words).env("PKCS11_MODULE", module()).current_dir(self.folder.path());
        command.env("SOFTHSM2_CONF", self.folder.path().join("conf"));
        command
    }
}

/// A login writes into the token, and a process that starts meanwhile may not see the token.
#[test]
fn eight_processes_at_once() {
    let token = OnDisk::new();
    let words = ["selftest", "--token", "pkcs11:token=a?pin-source=file:pin", "--existing-only"];
    for round in 0..10 {
        let start = |_| {
            let mut command = token.hsm(Command::new(env!("CARGO_BIN_EXE_hsm")), &words);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        for child in (0..8).map(start).collect::<Vec<_>>() {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{round}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

/// SoftHSM omits a token whose files it may not read, and reports no error.
#[cfg(target_os = "linux")]
#[test]
fn tokens_that_are_not_readable() {
    use std::os::unix::fs::PermissionsExt as _;
    let token = OnDisk::new();
    let allow = |path: &str, mode| {
        fs::set_permissions(token.folder.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    let list = || {
        let words = ["list", "--token", "pkcs11:token=a?pin-source=file:pin"];
        // Root may read every file.
        let mut command = Command::new("setpriv");
        if rustix::process::geteuid().is_root() {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]);
        }
        command.arg(env!("CARGO_BIN_EXE_hsm"));
        let output = token.hsm(command, &words).output();
        let output = output.expect("setpriv is missing; install it: sudo apt-get install util-linux");
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let name = fs::read_dir(token.folder.path().join("tokens")).unwrap().next().unwrap().unwrap().file_name();
    let of_token = format!("tokens/{}", name.to_string_lossy());
    allow("", 0o755);
    allow(&of_token, 0o000);
    let error = list();
    assert!(
        error.contains("there is no initialized token; 1 of the 1 tokens in SoftHSM's token directory"),
        "{error}"
    );
    assert!(
        error.contains("Permission denied") && error.contains("run as the user that owns them"),
        "{error}"
    );
    allow(&of_token, 0o755);
    allow(&format!("{of_token}/token.object"), 0o000);
    assert!(list().contains("1 of the 1 tokens"));
    allow("tokens", 0o000);
    let error = list();
    assert!(error.contains("SoftHSM's token directory") && error.contains("Permission denied"), "{error}");
    allow("tokens", 0o755);
    allow("conf", 0o000);
    let error = list();
    assert!(error.contains("SoftHSM's configuration") && error.contains("Permission denied"), "{error}");
}
