//! Signing: many threads, inside runtimes, after faults, under load.

use std::{sync::Arc, thread, time::Duration};

use cryptoki::{session::UserType, types::AuthPin};
use signer_pkcs11::{Key, KeyAlgorithm, KeyName, SignError, Token};
use tokio::runtime::{Builder, Handle};

use crate::softhsm::{PIN, new_token, options, slot, stranger, token};

fn key(token: &Token) -> Key {
    token.generate_key(&KeyName::random("cs").unwrap(), KeyAlgorithm::EcdsaP256).unwrap()
}

fn assert_signs(key: &Key, message: &[u8]) {
    let signature = key.sign_blocking(message).unwrap();
    key.public_key().verify_with(key.signature_algorithm(), message, &signature).unwrap();
}

#[test]
fn eight_threads_at_once() {
    let token = token("threads");
    let key = key(&token);
    thread::scope(|scope| {
        for number in 0u8..8 {
            let key = &key;
            scope.spawn(move || (0..50).for_each(|round: u8| assert_signs(key, &[number, round])));
        }
    });
}

#[test]
fn tasks_and_threads_of_one_runtime() {
    let token = token("tasks");
    let key = key(&token);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let signature = key.sign(b"task").await.unwrap();
        key.public_key().verify_with(key.signature_algorithm(), b"task", &signature).unwrap();
        // As in a TLS handshake: rustls signs inside poll, inside block_on, on a blocking thread.
        let handshake = {
            let key = key.clone();
            move || Handle::current().block_on(async move { key.sign_blocking(b"handshake") })
        };
        let signature = tokio::task::spawn_blocking(handshake).await.unwrap().unwrap();
        key.public_key().verify_with(key.signature_algorithm(), b"handshake", &signature).unwrap();
    });
}

#[test]
fn a_stranger_logs_out_and_signing_heals() {
    let token = token("logout");
    let key = key(&token);
    assert_signs(&key, b"before");
    let context = stranger();
    let session = context.open_ro_session(slot(&context, token.label())).unwrap();
    session.logout().unwrap();
    for _ in 0..8 {
        assert_signs(&key, b"after");
    }
    // Other calls than signatures recover too, and so does the first signature of a thread.
    session.logout().unwrap();
    let fresh = Token::open(key.token().uri(), &options()).unwrap().find_key(key.uri()).unwrap();
    session.logout().unwrap();
    assert_signs(&fresh, b"first");
    session.logout().unwrap();
    assert_eq!(token.find_key(key.uri()).unwrap().public_key(), key.public_key());
}

#[test]
fn a_full_queue_is_busy_at_once() {
    let uri = new_token("busy");
    let token = Token::open(&uri, &options().workers(1).queue(1)).unwrap();
    let key = Arc::new(key(&token));
    let results: Vec<_> = thread::scope(|scope| {
        let sign = || {
            let key = Arc::clone(&key);
            scope.spawn(move || (0..20).map(|_| key.sign_blocking(b"x")).collect::<Vec<_>>())
        };
        let threads: Vec<_> = (0..16).map(|_| sign()).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(results.iter().any(Result::is_ok));
    assert!(results.iter().any(|result| matches!(result, Err(SignError::Busy { waiting: 1 }))));
    let other = results.iter().find(|result| !matches!(result, Ok(_) | Err(SignError::Busy { .. })));
    assert!(other.is_none(), "{other:?}");
}

#[test]
fn nobody_waits_beyond_the_deadline() {
    let uri = new_token("deadline");
    let patient = Token::open(&uri, &options()).unwrap();
    let made = key(&patient);
    let hasty = Token::open(&uri, &options().sign_timeout(Duration::ZERO)).unwrap();
    // Finding a key does not sign.
    let key = hasty.find_key(made.uri()).unwrap();
    assert!(matches!(key.sign_blocking(b"x").unwrap_err(), SignError::Timeout { .. }));
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    assert!(matches!(runtime.block_on(key.sign(b"x")).unwrap_err(), SignError::Timeout { .. }));
}

#[test]
fn a_token_shut_down_signs_no_more() {
    let uri = new_token("shut");
    let token = Token::open(&uri, &options()).unwrap();
    let key = key(&token);
    token.shutdown();
    assert!(matches!(key.sign_blocking(b"x").unwrap_err(), SignError::ShutDown));
    assert!(key.token().keys().is_err());
    // Its sessions are closed, so the token is logged out; it can be opened again.
    let context = stranger();
    let session = context.open_ro_session(slot(&context, uri.token().unwrap())).unwrap();
    session.login(UserType::User, Some(&AuthPin::from(PIN.to_owned()))).unwrap();
    session.logout().unwrap();
    drop(session);
    assert_signs(&Token::open(&uri, &options()).unwrap().find_key(key.uri()).unwrap(), b"again");
}
