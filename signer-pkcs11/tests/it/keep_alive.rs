//! Idle sessions are tested, so that a token recovers before a signature is needed.

use std::{fs, time::Duration};

use cryptoki::{
    session::{SessionState, UserType},
    types::AuthPin,
};
use rustix::process::Signal;
use signer_pkcs11::{Health, Key, Pin, Token, TokenError, TokenOptions};

use crate::{
    child::{is_child, run, signal, told, until},
    remote::{client, generate, group, restart, server},
    softhsm::{PIN, module, new_token, options, slot, stranger},
};

const OFTEN: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(100);

/// A token through the server, with frequent tests of its idle sessions.
fn open() -> (Token, Key) {
    let options = TokenOptions::new().module(client()).pin(Pin::new(PIN)).workers(2);
    let options = options.sign_timeout(Duration::from_millis(500)).keep_alive(OFTEN);
    let token = Token::open(&told("TOKEN").parse().unwrap(), &options).unwrap();
    let key = generate(&token);
    (token, key)
}

fn is(token: &Token, wanted: impl Fn(Health) -> bool) -> Result<Health, Health> {
    let health = token.health();
    if wanted(health) { Ok(health) } else { Err(health) }
}

fn works(token: &Token) {
    until(LIMIT, || is(token, |health| health == Health::Works));
}

#[test]
fn an_idle_token_whose_server_was_killed_heals_before_it_is_needed() {
    if !is_child() {
        let served = server();
        return run(
            "keep_alive::an_idle_token_whose_server_was_killed_heals_before_it_is_needed",
            &served.environment(),
        );
    }
    let (token, key) = open();
    works(&token);
    signal(group(), Signal::KILL);
    // The fault is detected although no signature is requested.
    until(LIMIT, || is(&token, |health| health != Health::Works));
    let _again = restart();
    works(&token);
    key.sign_blocking(b"the first that somebody asks for").unwrap();
}

#[test]
fn an_idle_token_that_hangs_is_known_to_before_somebody_waits_for_it() {
    if !is_child() {
        let served = server();
        return run(
            "keep_alive::an_idle_token_that_hangs_is_known_to_before_somebody_waits_for_it",
            &served.environment(),
        );
    }
    let (token, key) = open();
    signal(group(), Signal::STOP);
    until(LIMIT, || is(&token, |health| matches!(health, Health::LeftAlone { .. })));
    signal(group(), Signal::CONT);
    works(&token);
    until(LIMIT, || key.sign_blocking(b"x"));
}

#[test]
fn a_login_that_a_stranger_ended_is_renewed_while_nobody_signs() {
    let uri = new_token("idle");
    let often = options().keep_alive(OFTEN).sign_timeout(Duration::from_secs(2));
    let token = Token::open(&uri, &often).unwrap();
    let context = stranger();
    let session = context.open_ro_session(slot(&context, token.label())).unwrap();
    let is_logged_in = || match session.get_session_info().unwrap().session_state() {
        SessionState::RoUser => Ok(()),
        other => Err(other),
    };
    // Before there is a key, and after a key was used.
    session.logout().unwrap();
    until(LIMIT, is_logged_in);
    generate(&token).sign_blocking(b"x").unwrap();
    session.logout().unwrap();
    until(LIMIT, is_logged_in);
}

#[test]
fn a_refused_pin_is_never_tried_again_by_an_idle_session() {
    let uri = new_token("changed-pin");
    let often = options().workers(1).keep_alive(OFTEN).sign_timeout(Duration::from_millis(200));
    let token = Token::open(&uri, &often).unwrap();
    let key = generate(&token);
    let context = stranger();
    let slot = slot(&context, token.label());
    let session = context.open_rw_session(slot).unwrap();
    let [right, other] = [PIN, "9999"].map(|pin| AuthPin::from(pin.to_owned()));
    session.set_pin(&right, &other).unwrap();
    session.logout().unwrap();
    let left_alone = |longer_than| {
        let is_left =
            |health| matches!(health, Health::LeftAlone { retry_after } if retry_after > longer_than);
        until(LIMIT, || is(&token, is_left));
    };
    left_alone(Duration::from_secs(2));
    assert!(context.get_token_info(slot).unwrap().user_pin_count_low(), "it was tried");
    // The PIN is made the right one again without this crate, while the token is not called: an
    // attempt would succeed now.
    session.login(UserType::User, Some(&other)).unwrap();
    session.set_pin(&other, &right).unwrap();
    session.logout().unwrap();
    left_alone(Duration::from_secs(5));
    assert_eq!(session.get_session_info().unwrap().session_state(), SessionState::RwPublic, "no login");
    assert!(key.sign_blocking(b"x").is_err());
    let error = Token::open(&uri, &options()).unwrap_err();
    assert!(matches!(error, TokenError::PinRefusedBefore { .. }), "{error}");
}

#[test]
fn without_keep_alive_nothing_is_signed_that_nobody_asked_for() {
    if !is_child() {
        let test = "keep_alive::without_keep_alive_nothing_is_signed_that_nobody_asked_for";
        return run(test, &[("PKCS11_MODULE", module())]);
    }
    let keepers = || {
        let tasks = fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
        let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.trim() == "pkcs11-keep").count()
    };
    let uri = new_token("quiet");
    let quiet = Token::open(&uri, &options().without_keep_alive()).unwrap();
    assert_eq!(keepers(), 0);
    let kept = Token::open(&uri, &options()).unwrap();
    until(LIMIT, || if keepers() == 1 { Ok(()) } else { Err("none") });
    // It ends with its token.
    kept.shutdown();
    until(LIMIT, || if keepers() == 0 { Ok(()) } else { Err("it stays") });
    drop(quiet);
}
