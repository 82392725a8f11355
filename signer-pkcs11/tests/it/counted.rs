//! The metrics of a token while its server is killed, restarted and stopped.

use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rustix::process::Signal;
use signer_pkcs11::{Pin, Token, TokenError, TokenOptions, metrics};

use crate::{
    child::{is_child, run, signal, told, until},
    remote::{client, generate, group, restart, server},
    softhsm::PIN,
};

/// The longest time until a metric has recovered.
const LIMIT: Duration = Duration::from_secs(60);

/// The metrics so far, as Prometheus reads them.
struct Counted(PrometheusHandle);

impl Counted {
    fn install() -> Self {
        Self(PrometheusBuilder::new().install_recorder().unwrap())
    }

    /// The value of the metric with this name, and with this label if one is given.
    fn of(&self, name: &str, label: &str) -> f64 {
        let text = self.0.render();
        let label = format!("\"{label}\"");
        let fits = |line: &&str| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']));
            rest.is_some_and(|rest| label == "\"\"" || rest.contains(&label))
        };
        let line = text.lines().find(fits);
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
    }
}

#[test]
fn signatures_faults_logins_and_restarts() {
    if !is_child() {
        let served = server();
        return run("counted::signatures_faults_logins_and_restarts", &served.environment());
    }
    let counted = Counted::install();
    let open = |pin: &str| {
        let options = TokenOptions::new().module(client()).pin(Pin::new(pin)).workers(1);
        let options = options.call_timeout(Duration::from_secs(10)).without_keep_alive();
        Token::open(&told("TOKEN").parse().unwrap(), &options)
    };
    for _ in 0..5 {
        let error = open("0000").unwrap_err();
        assert!(
            matches!(error, TokenError::PinIncorrect { .. } | TokenError::PinRefusedBefore { .. }),
            "{error}"
        );
    }
    assert_eq!(counted.of(metrics::LOGINS, "refused"), 1.0, "one attempt with a wrong PIN");
    let token = open(PIN).unwrap();
    assert_eq!(counted.of(metrics::LOGINS, "ok"), 1.0);
    let key = generate(&token);
    (0..3).for_each(|_| drop(key.sign_blocking(b"x").unwrap()));
    // The fourth is the test signature of the new key.
    assert_eq!(counted.of(metrics::SIGNATURES, "ok"), 4.0);
    assert_eq!(
        (counted.of("pkcs11_sign_duration_seconds_count", ""), counted.of(metrics::WORKS, "")),
        (4.0, 1.0)
    );

    signal(group(), Signal::KILL);
    key.sign_blocking(b"x").unwrap_err();
    assert_eq!((counted.of(metrics::SIGNATURES, "failed"), counted.of(metrics::WORKS, "")), (1.0, 0.0));
    assert!(counted.of(metrics::FAULTS, "DeviceError") >= 1.0);
    let _again = restart();
    until(Duration::from_secs(100), || key.sign_blocking(b"x"));
    assert_eq!((counted.of(metrics::SIGNATURES, "ok"), counted.of(metrics::WORKS, "")), (5.0, 1.0));
    assert!(counted.of(metrics::RESTARTS, "") >= 1.0);
    assert_eq!(counted.of(metrics::LOGINS, "refused"), 1.0);
}

#[test]
fn a_call_that_hangs_shows_before_its_caller_gives_up() {
    if !is_child() {
        let served = server();
        return run("counted::a_call_that_hangs_shows_before_its_caller_gives_up", &served.environment());
    }
    let counted = Counted::install();
    let options = TokenOptions::new().module(client()).pin(Pin::new(PIN)).workers(2);
    let options = options.sign_timeout(Duration::from_secs(600)).without_keep_alive();
    let token = Token::open(&told("TOKEN").parse().unwrap(), &options).unwrap();
    let key = generate(&token);
    let works = |expected: f64| {
        until(Duration::from_secs(60), || match counted.of(metrics::WORKS, "") {
            found if found == expected => Ok(()),
            other => Err(other),
        });
    };
    works(1.0);
    signal(group(), Signal::STOP);
    std::thread::scope(|scope| {
        let signing = scope.spawn(|| key.sign_blocking(b"x"));
        works(0.0);
        assert!(!signing.is_finished(), "it is waited for still");
        signal(group(), Signal::CONT);
        signing.join().unwrap().unwrap();
    });
    assert_eq!(counted.of(metrics::WORKS, ""), 1.0);
}

#[test]
fn threads_that_are_left_behind() {
    if !is_child() {
        let served = server();
        return run("counted::threads_that_are_left_behind", &served.environment());
    }
    let counted = Counted::install();
    let options = TokenOptions::new().module(client()).pin(Pin::new(PIN)).workers(1);
    let timeout = Duration::from_secs(5);
    let options = options.call_timeout(timeout).sign_timeout(timeout).without_keep_alive();
    let none = || match counted.of(metrics::LEFT_BEHIND, "") {
        0.0 => Ok(()),
        other => Err(other),
    };
    // On a busy machine opening may take longer than the limit of one call.
    let token = until(LIMIT, || Token::open(&told("TOKEN").parse().unwrap(), &options));
    let key = generate(&token);
    until(LIMIT, none);
    signal(group(), Signal::STOP);
    token.keys().unwrap_err();
    assert_eq!(counted.of(metrics::LEFT_BEHIND, ""), 1.0);
    key.sign_blocking(b"x").unwrap_err();
    assert_eq!(counted.of(metrics::SIGNATURES, "timeout"), 1.0);
    assert_eq!(counted.of(metrics::LEFT_BEHIND, ""), 2.0);
    signal(group(), Signal::CONT);
    until(LIMIT, none);
}
