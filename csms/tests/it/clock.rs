//! A wrong clock. OpenSSL, whose clock is right, verifies what the program serves and signs.

use std::{
    fs,
    time::{Duration, Instant},
};

use ocpp_transport::{CallError, Peer, Router, Security};
use ocpp_types::{
    Version,
    v201::{
        CertificateSignedRequest, CertificateSignedResponse, CertificateSignedStatusEnumType,
        GenericStatusEnumType, MessageTriggerEnumType, SignCertificateRequest, TriggerMessageRequest,
        TriggerMessageResponse, TriggerMessageStatusEnumType,
    },
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    delivery::{boot, in_runtime},
    reload::{profile_2, profile_3, station},
    revocation::enrol,
    stage::Stage,
};

const HOUR: i64 = 3600;

/// A CSMS that issues its own certificate, and received one ten hours ago.
fn prepare(configuration: &str) -> Stage {
    let mut stage = Stage::prepare();
    stage.configure("[tls]", &format!("[tls]\nnames = [\"localhost\"]\n{configuration}"));
    fs::remove_file(stage.path("tls.pem")).expect("removes");
    stage.launch_with_clock(-10 * HOUR);
    stage.kill();
    stage
}

/// Waits until a condition holds.
#[track_caller]
fn until(stage: &Stage, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not seen: {what}\n{:?}\n{}", stage.status(), stage.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The output of a TLS client whose clock is this many seconds ahead, about the served certificate.
fn served(stage: &Stage, ahead: i64) -> String {
    let port = stage.url().rsplit(':').next().and_then(|rest| rest.split('/').next()).expect("a port");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("since 1970");
    let time = (i64::try_from(now.as_secs()).expect("fits") + ahead).to_string();
    let address = format!("127.0.0.1:{port}");
    let connect = ["s_client", "-connect", &address, "-servername", "localhost", "-CAfile", "root.pem"];
    let judge = ["-verify_hostname", "localhost", "-attime", &time, "-brief"];
    stage.tell_openssl(&[&connect[..], &judge].concat())
}

#[track_caller]
fn assert_valid(stage: &Stage, ahead: i64) {
    let text = served(stage, ahead);
    assert!(text.contains("Verification: OK"), "{ahead} s ahead: {text}\n{}", stage.log());
}

fn clock(stage: &Stage) -> Value {
    stage.status().expect("a status")["clock"].clone()
}

fn is_doubted(stage: &Stage) -> bool {
    clock(stage)["doubted_for_seconds"].is_u64()
}

fn metric(stage: &Stage, name: &str) -> Option<f64> {
    let text = stage.operator(&["metrics"]).expect("metrics");
    let line = text.as_str()?.lines().find(|line| line.starts_with(name))?.to_owned();
    line.rsplit(' ').next()?.parse().ok()
}

fn serial(stage: &Stage, file: &str) -> String {
    stage.openssl(&["x509", "-in", file, "-noout", "-serial"])
}

#[test]
fn clock_20_h_ahead_for_a_while_nobody_is_locked_out() {
    let mut stage = prepare("");
    stage.launch_with_clock(0);
    assert_valid(&stage, 0);
    let before = serial(&stage, "tls.pem");

    // At this time its certificate has expired. Another one is issued that is valid at both times.
    stage.set_clock(20 * HOUR);
    until(&stage, "a doubt", || is_doubted(&stage));
    until(&stage, "another certificate", || serial(&stage, "tls.pem") != before);
    until(&stage, "what is served", || served(&stage, 20 * HOUR).contains("Verification: OK"));
    assert_valid(&stage, 0);
    assert!(stage.log().contains("the system's clock was moved"), "{}", stage.log());
    assert_eq!(metric(&stage, "csms_clock_steps_total{direction=\"ahead\"}"), Some(1.0));
    assert_eq!(metric(&stage, "csms_clock_in_doubt"), Some(1.0));
    assert_eq!(metric(&stage, "csms_own_certificate_valid"), Some(1.0));
    let step = clock(&stage)["last_step_seconds"].as_i64().expect("a step");
    assert!((20 * HOUR - step).abs() <= 2, "{step}");

    stage.set_clock(0);
    until(&stage, "no doubt", || !is_doubted(&stage));
    assert_valid(&stage, 0);
    assert_eq!(metric(&stage, "csms_clock_in_doubt"), Some(0.0));
    stage.kill();
    stage.launch_with_clock(0);
    assert_valid(&stage, 0);
}

#[test]
fn clock_ahead_at_the_start_what_was_issued_by_it_is_replaced() {
    // The clock is moved back while the program runs.
    let mut stage = prepare("");
    stage.launch_with_clock(20 * HOUR);
    assert_valid(&stage, 20 * HOUR);
    assert!(!served(&stage, 0).contains("Verification: OK"), "it is of the future");
    stage.set_clock(0);
    until(&stage, "a valid certificate", || served(&stage, 0).contains("Verification: OK"));
    stage.kill();

    // The clock is moved back before a restart.
    stage.launch_with_clock(60 * HOUR);
    assert!(!served(&stage, 0).contains("Verification: OK"), "it is of the future");
    stage.kill();
    stage.launch_with_clock(0);
    assert_valid(&stage, 0);
    stage.kill();

    // If no file can be written, the certificate before the newest one is served.
    stage.launch_with_clock(20 * HOUR);
    assert_valid(&stage, 20 * HOUR);
    stage.kill();
    fs::create_dir(stage.path(".tls.pem.new")).expect("in the way");
    stage.launch_with_clock(0);
    assert_valid(&stage, 0);
    assert!(stage.log().contains("the CSMS's own certificate was not renewed"), "{}", stage.log());
}

#[test]
fn clock_back_by_a_day_and_believed_after_a_while() {
    let mut stage = prepare("");
    stage.configure("organization =", "clock_doubt = \"8s\"\norganization =");
    stage.launch_with_clock(0);
    let before = serial(&stage, "tls.pem");
    stage.set_clock(-24 * HOUR);
    until(&stage, "a doubt", || is_doubted(&stage));
    assert_valid(&stage, 0);
    assert_eq!(serial(&stage, "tls.pem"), before, "nothing is issued that is not valid at both times");
    until(&stage, "no doubt", || !is_doubted(&stage));
    until(&stage, "what is valid then", || served(&stage, -24 * HOUR).contains("Verification: OK"));
    assert!(stage.log().contains("has kept its new time"), "{}", stage.log());
    stage.set_clock(0);
    until(&stage, "what is valid now", || served(&stage, 0).contains("Verification: OK"));
    assert_eq!(metric(&stage, "csms_clock_steps_total{direction=\"back\"}"), Some(1.0));
}

#[test]
fn clock_that_an_operator_trusts_is_used_at_once() {
    let mut stage = prepare("");
    stage.launch_with_clock(0);
    stage.set_clock(-30 * HOUR);
    until(&stage, "a doubt", || is_doubted(&stage));
    stage.operator(&["issue-server-certificate"]).expect("issues");
    assert!(!is_doubted(&stage));
    assert_valid(&stage, -30 * HOUR);
}

#[test]
fn clock_ahead_lists_of_the_future_are_signed_again() {
    let mut stage = prepare("");
    stage.configure("[tls]", "crl_file = \"own.crl\"\n[tls]");
    let list = |stage: &Stage, option: &str| {
        let list = ["crl", "-inform", "DER", "-in", "own.crl", "-CAfile", "root.pem", "-noout", option];
        stage.openssl(&list)
    };
    let number = |stage: &Stage| {
        let text = list(stage, "-crlnumber");
        let digits = text.lines().find_map(|line| line.strip_prefix("crlNumber=0x")).map(str::to_owned);
        u64::from_str_radix(&digits.unwrap_or_else(|| panic!("{text}")), 16).expect("a number")
    };
    let is_accepted = |stage: &Stage| {
        let verify = ["verify", "-crl_check", "-CAfile", "root.pem", "-CRLfile", "own.crl.pem", "tls.pem"];
        stage.tell_openssl(&verify).contains("tls.pem: OK")
    };
    // The clock is far ahead when the first list is signed.
    stage.launch_with_clock(48 * HOUR);
    let first = number(&stage);
    assert!(!is_accepted(&stage), "{}", list(&stage, "-lastupdate"));
    stage.kill();
    stage.launch_with_clock(0);
    assert!(is_accepted(&stage), "{}", list(&stage, "-lastupdate"));
    let second = number(&stage);
    assert!(second > first);

    // At a time at which the list has expired, one is signed that is valid at both times. It is
    // replaced when the clock is right again.
    stage.set_clock(30 * 24 * HOUR);
    until(&stage, "another list", || number(&stage) > second);
    assert!(is_accepted(&stage), "{}", list(&stage, "-lastupdate"));
    let third = number(&stage);
    stage.set_clock(0);
    until(&stage, "a list that lasts as long as it should", || number(&stage) > third);
    assert!(is_accepted(&stage), "{}", list(&stage, "-lastupdate"));
}

#[test]
fn clock_right_and_certificates_that_live_for_seconds_are_renewed_in_time() {
    let mut stage = prepare("");
    stage.configure("[tls]", "[ca.profiles.server]\nvalidity = \"20s\"\n[tls]");
    fs::remove_file(stage.path("tls.pem")).expect("removes");
    stage.launch_with_clock(0);
    for _ in 0..3 {
        let before = serial(&stage, "tls.pem");
        until(&stage, "the next certificate", || {
            assert_valid(&stage, 0);
            serial(&stage, "tls.pem") != before
        });
    }
}

/// Plays a station that follows the CSMS's request: it renews its certificate, and writes the
/// received chain to `NAME.pem`.
async fn renew(stage: &Stage, identity: &str, name: &str, security: impl Fn() -> Security) {
    let (asked, mut asking) = mpsc::channel(1);
    let (signed, mut signing) = mpsc::channel(1);
    let router = || {
        let (asked, signed) = (asked.clone(), signed.clone());
        Router::new(Version::V201)
            .handle(move |_: Peer, request: TriggerMessageRequest| {
                let asked = asked.clone();
                async move {
                    asked.send(request.requested_message).await.expect("the test waits");
                    Ok::<_, CallError>(TriggerMessageResponse::new(TriggerMessageStatusEnumType::Accepted))
                }
            })
            .handle(move |_: Peer, request: CertificateSignedRequest| {
                let signed = signed.clone();
                async move {
                    signed.send(request.certificate_chain).await.expect("the test waits");
                    Ok::<_, CallError>(CertificateSignedResponse::new(
                        CertificateSignedStatusEnumType::Accepted,
                    ))
                }
            })
    };
    let deadline = Instant::now() + PATIENCE;
    let connection = loop {
        match station(stage, identity, security(), router()).await {
            Ok(connection) => break connection,
            // The service looks for such certificates after it has begun to listen.
            Err(error) => assert!(Instant::now() < deadline, "{error:?}\n{}", stage.log()),
        }
    };
    boot(connection.peer()).await;
    let message = timeout(PATIENCE, asking.recv()).await.expect("asked to renew");
    assert_eq!(message, Some(MessageTriggerEnumType::SignChargingStationCertificate));
    assert!(signing.try_recv().is_err(), "what is not valid yet is not sent");
    let csr = stage.request(&format!("/O=Test CSO/CN={name}"), &[]);
    let csr = fs::read_to_string(stage.path(csr)).expect("reads");
    let request = SignCertificateRequest::new(csr.try_into().expect("short enough"));
    let answer = connection.peer().call(request).await.expect("an answer");
    assert_eq!(answer.status, GenericStatusEnumType::Accepted);
    let chain = timeout(PATIENCE, signing.recv()).await.expect("a certificate").expect("a certificate");
    fs::write(stage.path(&format!("{name}.pem")), chain.as_str()).expect("writes");
}

#[test]
fn clock_ahead_certificates_of_stations_are_renewed_when_it_is_right_again() {
    // The CSMS's own certificate comes from another authority, and is valid.
    let mut stage = Stage::prepare();
    stage.launch_with_clock(48 * HOUR);
    enrol(&stage, "CS001", "SN-0001");
    let csr = stage.request("/O=Test CSO/CN=SN-0002", &[]);
    let arguments = ["--csr", csr, "--serial-number", "SN-0002", "--hang-up-after-sign"];
    let report = stage.station_with_password("CS002", &arguments);
    assert_eq!(report.step("sign certificate")["status"], "Accepted");
    stage.kill();

    stage.launch_with_clock(0);
    until(&stage, "two that are found", || metric(&stage, "csms_certificates_not_yet_valid") == Some(2.0));
    let problems = stage.status().expect("a status")["problems"].clone();
    let problem = problems[0].as_str().expect("a problem").to_owned();
    assert!(
        problem.contains("2 certificates of stations were issued while the clock was ahead"),
        "{problem}"
    );
    let is_valid = |name: &str| stage.tell_openssl(&["verify", "-CAfile", "root.pem", name]).contains("OK");
    assert!(!is_valid("SN-0001.pem"));
    in_runtime(async {
        // The first station has only the certificate that is not valid yet. The second one has not
        // received it.
        renew(&stage, "CS001", "SN-0001", || profile_3(&stage, "SN-0001")).await;
        renew(&stage, "CS002", "SN-0002", || profile_2(&stage, "root.pem")).await;
    });
    assert!(is_valid("SN-0001.pem") && is_valid("SN-0002.pem"));
    until(&stage, "no problem", || stage.status().expect("a status")["problems"] == json!([]));
    assert_eq!(metric(&stage, "csms_certificates_not_yet_valid"), Some(0.0));
}

/// The longest wait for a step. Only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(60);
