//! A token in another process, like a network HSM: SoftHSM behind a `p11-kit server`, which is
//! killed and stopped.

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use signer_pkcs11::{Key, KeyAlgorithm, KeyName, Pin, SignError, Token, TokenOptions, Uri};

use crate::{
    child::{Server, is_child, run, signal, system_module, told, until},
    softhsm::{PIN, module, new_token},
};

const ADDRESS: &str = "P11_KIT_SERVER_ADDRESS";
const PACKAGES: &str = "p11-kit p11-kit-modules";

/// Serves one token at a socket.
pub(crate) fn serve(socket: &Path, uri: &Uri) -> Server {
    let mut command = Command::new("p11-kit");
    command.args(["server", "-f", "-n"]).arg(socket).arg("--provider").arg(module()).arg(uri.to_string());
    command.stdout(std::process::Stdio::null());
    let server = Server::start(command, PACKAGES);
    let is_there = || if socket.exists() { Ok(()) } else { Err("no socket") };
    until(Duration::from_secs(20), is_there);
    server
}

/// A new token and the server that serves it.
pub(crate) struct Served {
    server: Server,
    uri: Uri,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

/// Serves a new token.
pub(crate) fn server() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let uri = new_token("remote");
    Served { server: serve(&socket, &uri), uri, socket, _folder: folder }
}

impl Served {
    /// The environment variables for a child that uses it.
    pub(crate) fn environment(&self) -> [(&str, String); 3] {
        [
            (ADDRESS, format!("unix:path={}", self.socket.display())),
            ("TOKEN", self.uri.to_string()),
            ("GROUP", self.server.group().to_string()),
        ]
    }
}

/// The parent's part: a token, a server, and the child with both in its environment.
fn with_server(test: &str) {
    run(test, &server().environment());
}

pub(crate) fn client() -> PathBuf {
    system_module("p11-kit-client.so", PACKAGES)
}

/// The child's part: the token through the server.
fn open(sign_timeout: Duration) -> Token {
    let options = TokenOptions::new().module(client()).pin(Pin::new(PIN)).workers(2);
    let options = options.sign_timeout(sign_timeout).without_keep_alive();
    Token::open(&told("TOKEN").parse().unwrap(), &options).unwrap()
}

pub(crate) fn generate(token: &Token) -> Key {
    token.generate_key(&KeyName::random("k").unwrap(), KeyAlgorithm::EcdsaP256).unwrap()
}

fn socket() -> PathBuf {
    told(ADDRESS).strip_prefix("unix:path=").unwrap().into()
}

/// Starts another server at the same socket.
pub(crate) fn restart() -> Server {
    std::fs::remove_file(socket()).unwrap();
    serve(&socket(), &told("TOKEN").parse().unwrap())
}

pub(crate) fn group() -> u32 {
    told("GROUP").parse().unwrap()
}

fn sign(key: &Key) -> Result<(), SignError> {
    let signature = key.sign_blocking(b"x")?;
    key.public_key().verify_with(key.signature_algorithm(), b"x", &signature).unwrap();
    Ok(())
}

#[test]
fn a_server_that_was_killed_and_started_again() {
    if !is_child() {
        return with_server("remote::a_server_that_was_killed_and_started_again");
    }
    let token = open(Duration::from_secs(10));
    let key = generate(&token);
    sign(&key).unwrap();
    signal(group(), Signal::KILL);
    let error = sign(&key).unwrap_err();
    assert!(matches!(error, SignError::Token(_)), "{error}");
    // After some failures the token is no longer called.
    let begin = Instant::now();
    let refused = until(Duration::from_secs(60), || match sign(&key) {
        Err(SignError::Unavailable { retry_after }) => Ok(retry_after),
        other => Err(other),
    });
    assert!(refused <= Duration::from_secs(60), "{:?}", begin.elapsed());
    let _again = restart();
    until(Duration::from_secs(100), || sign(&key));
    // Other calls than signatures have recovered too.
    assert_eq!(token.find_key(key.uri()).unwrap().public_key(), key.public_key());
    token.destroy_key(key.uri()).unwrap();
}

#[test]
fn a_server_that_is_stopped_for_a_while() {
    if !is_child() {
        return with_server("remote::a_server_that_is_stopped_for_a_while");
    }
    let token = open(Duration::from_millis(300));
    let key = generate(&token);
    sign(&key).unwrap();
    signal(group(), Signal::STOP);
    let stopped = Instant::now();
    let mut seen = (0, 0);
    while stopped.elapsed() < Duration::from_secs(5) {
        match sign(&key) {
            Err(SignError::Timeout { .. }) => seen.0 += 1,
            Err(SignError::Unavailable { retry_after }) => {
                seen.1 += 1;
                thread::park_timeout(retry_after.min(Duration::from_millis(100)));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(seen.0 >= 3 && seen.1 >= 1, "timeouts and refusals: {seen:?}");
    signal(group(), Signal::CONT);
    until(Duration::from_secs(100), || sign(&key));
    for _ in 0..20 {
        sign(&key).unwrap();
    }
}

#[test]
fn a_server_that_is_stopped_for_ever() {
    if !is_child() {
        return with_server("remote::a_server_that_is_stopped_for_ever");
    }
    let token = open(Duration::from_millis(200));
    let key = generate(&token);
    signal(group(), Signal::STOP);
    let refused = || match sign(&key) {
        Err(SignError::Unavailable { .. }) => Ok(()),
        other => Err(other),
    };
    until(Duration::from_secs(60), refused);
    // Closing it ends in time, and so does the end of the process. The parent checks that.
    drop(key);
    token.shutdown();
}

#[test]
fn a_spare_key_signs_while_the_first_token_is_gone() {
    if !is_child() {
        return with_server("remote::a_spare_key_signs_while_the_first_token_is_gone");
    }
    // The same key in the same token, reached in two ways: through the server, and directly.
    let remote = open(Duration::from_secs(10));
    let key = generate(&remote);
    let options = TokenOptions::new().module(module()).pin(Pin::new(PIN));
    let local = Token::open(&told("TOKEN").parse().unwrap(), &options).unwrap();
    let other = local.generate_key(&KeyName::random("other").unwrap(), KeyAlgorithm::EcdsaP256).unwrap();
    let error = key.clone().with_spare(other).unwrap_err();
    assert!(error.to_string().contains("is another key"), "{error}");
    let with_spare = key.clone().with_spare(local.find_key(key.uri()).unwrap()).unwrap();
    signal(group(), Signal::KILL);
    for _ in 0..20 {
        sign(&with_spare).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(with_spare.sign(b"x")).unwrap();
    assert!(sign(&key).is_err(), "alone it does not sign");
    local.shutdown();
    let error = sign(&with_spare).unwrap_err();
    assert!(!matches!(error, SignError::ShutDown), "the first token's error counts: {error}");
}
