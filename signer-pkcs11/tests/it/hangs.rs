//! A token that hangs: a `p11-kit server` that is stopped. Every caller gets an error in time, and
//! each test checks what the thread that was left behind does.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use signer_pkcs11::{
    Key, KeyAlgorithm, KeyError, KeyName, Pin, Token, TokenError, TokenOptions, init_token_within,
};

use crate::{
    child::{is_child, run, signal, told, until},
    remote::{client, generate, group, server},
    softhsm::{PIN, SO_PIN, new_token, options},
};

/// Short, because the tests wait until it has passed. Long enough for a busy machine to answer
/// within it.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest time until a token has recovered.
const LIMIT: Duration = Duration::from_secs(60);

fn open() -> Result<Token, TokenError> {
    let options = TokenOptions::new().module(client()).pin(Pin::new(PIN)).workers(1).without_keep_alive();
    Token::open(&told("TOKEN").parse().unwrap(), &options.call_timeout(CALL_TIMEOUT))
}

/// Opens the token. On a busy machine that may take longer than the limit of one call.
fn opened() -> Token {
    let token = until(LIMIT, open);
    until(LIMIT, no_calls);
    token
}

/// The parent's part: a token, a server, and the child with both in its environment.
fn with_server(test: &str) {
    let served = server();
    run(test, &served.environment());
}

fn is_no_answer(error: &TokenError) -> bool {
    matches!(error, TokenError::NoAnswer { after } if *after == CALL_TIMEOUT)
}

/// Runs an operation while the server is stopped. The operation must fail in time. Then the server
/// continues, and other calls recover.
fn hangs<T: std::fmt::Debug>(
    token: &Token,
    key: &Key,
    operation: impl FnOnce() -> Result<T, KeyError>,
    afterwards: impl Fn() -> Result<(), String>,
) {
    signal(group(), Signal::STOP);
    let begin = Instant::now();
    let error = operation().unwrap_err();
    assert!(matches!(&error, KeyError::Token(error) if is_no_answer(error)), "{error}");
    assert!(begin.elapsed() >= CALL_TIMEOUT, "it was waited for");
    signal(group(), Signal::CONT);
    until(LIMIT, || token.keys());
    until(LIMIT, afterwards);
    // The key that the test began with. It may be missing now.
    drop(token.find_key(key.uri()));
    until(LIMIT, no_calls);
}

/// Whether no call is running.
fn no_calls() -> Result<(), String> {
    let names = fs::read_dir("/proc/self/task").unwrap().filter_map(|task| {
        // The name of a thread that has ended meanwhile cannot be read.
        fs::read_to_string(task.ok()?.path().join("comm")).ok()
    });
    let calls = names.filter(|name| name.trim() == "pkcs11-call").count();
    if calls == 0 { Ok(()) } else { Err(format!("{calls} calls")) }
}

#[test]
fn finding_a_key() {
    if !is_child() {
        return with_server("hangs::finding_a_key");
    }
    let token = opened();
    let key = generate(&token);
    hangs(&token, &key, || token.find_key(key.uri()), || Ok(()));
    assert_eq!(token.find_key(key.uri()).unwrap().public_key(), key.public_key());
}

#[test]
fn listing_keys() {
    if !is_child() {
        return with_server("hangs::listing_keys");
    }
    let token = opened();
    let key = generate(&token);
    hangs(&token, &key, || token.keys(), || Ok(()));
    assert_eq!(token.keys().unwrap().len(), 1);
}

#[test]
fn generating_a_key() {
    if !is_child() {
        return with_server("hangs::generating_a_key");
    }
    let token = opened();
    let key = generate(&token);
    let name = KeyName::random("late").unwrap();
    hangs(&token, &key, || token.generate_key(&name, KeyAlgorithm::EcdsaP256), || Ok(()));
    assert_eq!(token.keys().unwrap().len(), 1, "nothing was generated");
    token.generate_key(&name, KeyAlgorithm::EcdsaP256).unwrap();
}

#[test]
fn destroying_a_key() {
    if !is_child() {
        return with_server("hangs::destroying_a_key");
    }
    let token = opened();
    let key = generate(&token);
    // The server may destroy the key nevertheless. A repetition then reports that the key does not
    // exist.
    let gone = || match token.destroy_key(key.uri()) {
        Ok(()) | Err(KeyError::NotFound { .. }) => Ok(()),
        Err(other) => Err(other.to_string()),
    };
    hangs(&token, &key, || token.destroy_key(key.uri()), gone);
    assert!(token.keys().unwrap().is_empty());
}

#[test]
fn opening_a_token() {
    if !is_child() {
        return with_server("hangs::opening_a_token");
    }
    let token = opened();
    let key = generate(&token);
    hangs(&token, &key, || Ok(open()?), || Ok(()));
    opened().find_key(key.uri()).unwrap().sign_blocking(b"x").unwrap();
}

#[test]
fn loading_the_module() {
    if !is_child() {
        return with_server("hangs::loading_the_module");
    }
    signal(group(), Signal::STOP);
    let error = open().unwrap_err();
    assert!(is_no_answer(&error), "{error}");
    // Another module is not blocked by it.
    Token::open(&new_token("beside"), &options()).unwrap();
    signal(group(), Signal::CONT);
    until(LIMIT, || open().map(|token| token.keys().unwrap()));
}

#[test]
fn initialising_a_token() {
    if !is_child() {
        return with_server("hangs::initialising_a_token");
    }
    let token = opened();
    let key = generate(&token);
    let pins = (Pin::new(SO_PIN), Pin::new(PIN));
    let initialise = || {
        let made = init_token_within(CALL_TIMEOUT, &client(), "late", &pins.0, &pins.1);
        made.map_err(KeyError::from)
    };
    hangs(&token, &key, initialise, || Ok(()));
    // The server shows one token, which is initialized.
    assert!(matches!(initialise().unwrap_err(), KeyError::Token(TokenError::NoFreeSlot { .. })));
}

#[test]
fn closing_a_token() {
    if !is_child() {
        return with_server("hangs::closing_a_token");
    }
    let token = opened();
    generate(&token);
    signal(group(), Signal::STOP);
    // The parent checks that the process ends although a session could not be closed.
    token.shutdown();
}

#[test]
fn so_many_calls_are_left_behind_and_further_ones_fail_at_once() {
    if !is_child() {
        return with_server("hangs::so_many_calls_are_left_behind_and_further_ones_fail_at_once");
    }
    let token = opened();
    let key = generate(&token);
    signal(group(), Signal::STOP);
    let mut left_behind = 0;
    while let Err(KeyError::Token(TokenError::NoAnswer { .. })) = token.keys() {
        left_behind += 1;
        assert!(left_behind < 100, "there is no limit");
    }
    assert_eq!(left_behind, 4);
    // No further call waits, whatever it does.
    let error = token.find_key(key.uri()).unwrap_err();
    assert!(matches!(&error, KeyError::Token(TokenError::Hung)), "{error}");
    assert!(matches!(open().unwrap_err(), TokenError::Hung));
    signal(group(), Signal::CONT);
    until(LIMIT, || token.keys());
    until(LIMIT, no_calls);
    assert_eq!(token.find_key(key.uri()).unwrap().public_key(), key.public_key());
    key.sign_blocking(b"x").unwrap();
}

#[test]
fn a_key_that_is_generated_too_late_is_destroyed_again() {
    let label = new_token("late");
    let hasty = options().generate_timeout(Duration::from_millis(1)).without_keep_alive();
    let token = Token::open(&label, &hasty).unwrap();
    let name = KeyName::random("late").unwrap();
    // SoftHSM takes a second or more for such a key, and the call is not stopped. If its thread has
    // not begun when the caller gives up, the module is not called.
    let begins = (0..100).any(|_| {
        let error = token.generate_key(&name, KeyAlgorithm::Rsa4096).unwrap_err();
        assert!(matches!(error, KeyError::Token(TokenError::NoAnswer { .. })), "{error}");
        no_calls().is_err()
    });
    assert!(begins, "it goes on");
    until(Duration::from_secs(300), no_calls);
    assert!(token.keys().unwrap().is_empty());
    let error = token.destroy_key(&name.to_uri(&token)).unwrap_err();
    assert!(matches!(error, KeyError::NotFound { .. }), "neither half is left: {error}");
}

#[test]
fn other_calls_wait_while_a_key_is_generated() {
    let uri = new_token("patient");
    let token = Token::open(&uri, &options().call_timeout(CALL_TIMEOUT).without_keep_alive()).unwrap();
    std::thread::scope(|scope| {
        // Several, so that the control session is busy longer than the limit of one call.
        let generate = || {
            for round in 0..4 {
                let name = KeyName::random(format!("slow-{round}")).unwrap();
                token.generate_key(&name, KeyAlgorithm::Rsa4096).unwrap();
            }
        };
        let generating = scope.spawn(generate);
        while !generating.is_finished() {
            token.keys().unwrap();
        }
    });
    assert_eq!(token.keys().unwrap().len(), 4);
}
