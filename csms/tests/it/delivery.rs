//! Deliveries to difficult stations: slow ones, refusing ones, and those that reconnect without a
//! boot.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use ocpp_transport::{
    CallError, Connection, Peer, Router, Security, StationConfig, StationIdentity, connect,
};
use ocpp_types::{
    RpcErrorCode, Version,
    v201::{
        BootNotificationRequest, BootReasonEnumType, CertificateSignedRequest, CertificateSignedResponse,
        CertificateSignedStatusEnumType, ChargingStationType, GenericStatusEnumType,
        RegistrationStatusEnumType, SignCertificateRequest,
    },
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};

use crate::{
    puppet::{Ocpp, Puppet},
    stage::{PASSWORD, Stage},
};

const SUBJECT: &str = "/O=Test CSO/CN=SN-0001";

/// The stage uses its own runtime while it starts. A test may therefore create one only afterwards.
pub(crate) fn in_runtime(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(test);
}

/// Connects CS001 with its password, and boots.
async fn station(stage: &Stage, router: Router) -> Connection {
    let root = CertificateDer::from_pem_file(stage.path("root.pem")).expect("a root");
    let security = Security::profile_2(PASSWORD.into(), vec![root]).expect("a configuration");
    let identity = StationIdentity::try_from("CS001").expect("an identity");
    let config = StationConfig::new(stage.url().parse().expect("a URL"), identity, security);
    let connection = connect(&config, router).await.expect("connects");
    boot(connection.peer()).await;
    connection
}

/// Boots; BootNotification has to be the first message (B01.FR.08).
pub(crate) async fn boot(peer: &Peer) {
    let (model, vendor) = ("Rust".try_into().expect("short"), "Interop".try_into().expect("short"));
    let itself = ChargingStationType::new(model, vendor);
    let request = BootNotificationRequest::new(itself, BootReasonEnumType::PowerUp);
    let answer = peer.call(request).await.expect("an answer");
    assert_eq!(answer.status, RegistrationStatusEnumType::Accepted);
}

/// Requests a certificate for a new key. The answer has to arrive long before a call times out.
async fn sign(stage: &Stage, peer: &Peer) -> GenericStatusEnumType {
    let csr = fs::read_to_string(stage.path(stage.request(SUBJECT, &[]))).expect("reads");
    let request = SignCertificateRequest::new(csr.try_into().expect("short enough"));
    let answer = timeout(Duration::from_secs(15), peer.call(request)).await;
    answer.expect("an answer in time").expect("an answer").status
}

/// Waits until the states in the ledger, newest first, are `expected`.
async fn states(stage: &Stage, expected: &[&str]) {
    let found = || stage.certificates().iter().map(|row| row["state"].to_string()).collect::<Vec<_>>();
    let expected = expected.iter().map(|state| format!("{state:?}")).collect::<Vec<_>>();
    let all = async {
        while found() != expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(15), all).await.unwrap_or_else(|_| panic!("{:?}: {}", found(), stage.log()));
}

#[test]
fn fr_01_a_request_is_answered_while_a_certificate_waits_for_its_answer() {
    let stage = Stage::start();
    in_runtime(async {
        let (arrived, mut arrivals) = mpsc::channel(4);
        let answers = Arc::new(Semaphore::new(0));
        let router = {
            let answers = Arc::clone(&answers);
            Router::new(Version::V201).handle(move |_: Peer, _: CertificateSignedRequest| {
                let (arrived, answers) = (arrived.clone(), Arc::clone(&answers));
                async move {
                    arrived.send(()).await.expect("the test waits");
                    answers.acquire().await.expect("never closed").forget();
                    Ok::<_, CallError>(CertificateSignedResponse::new(
                        CertificateSignedStatusEnumType::Accepted,
                    ))
                }
            })
        };
        let connection = station(&stage, router).await;
        assert_eq!(sign(&stage, connection.peer()).await, GenericStatusEnumType::Accepted);
        arrivals.recv().await.expect("a certificate");
        assert_eq!(sign(&stage, connection.peer()).await, GenericStatusEnumType::Accepted);
        answers.add_permits(2);
        states(&stage, &["Accepted", "Accepted"]).await;
    });
}

#[test]
fn a_certificate_that_a_station_cannot_take_holds_up_no_other() {
    let stage = Stage::start();
    in_runtime(async {
        let first = Arc::new(Mutex::new(None));
        let router = Router::new(Version::V201).handle(move |_: Peer, request: CertificateSignedRequest| {
            let refused =
                *first.lock().expect("no panic").get_or_insert_with(|| request.certificate_chain.clone())
                    == request.certificate_chain;
            async move {
                if refused {
                    return Err(CallError::new(RpcErrorCode::InternalError, "on purpose"));
                }
                Ok(CertificateSignedResponse::new(CertificateSignedStatusEnumType::Accepted))
            }
        });
        let connection = station(&stage, router).await;
        for _ in 0..2 {
            assert_eq!(sign(&stage, connection.peer()).await, GenericStatusEnumType::Accepted);
        }
        states(&stage, &["Accepted", "Issued"]).await;
    });
}

#[test]
fn a_station_that_comes_back_without_a_boot_gets_what_is_due() {
    let mut stage = Stage::start();
    let csr = stage.request(SUBJECT, &[]);
    let arguments = ["--csr", csr, "--serial-number", "SN-0001", "--hang-up-after-sign"];
    let report = stage.station_with_password("CS001", &arguments);
    assert_eq!(report.step("sign certificate")["status"], "Accepted");
    stage.kill();
    stage.launch();

    let report = stage.station_with_password("CS001", &["--no-boot", "--await-certificate"]);
    assert_eq!(report.step("certificate signed")["type"], "ChargingStationCertificate");
    report.step("finished");
    assert_eq!(stage.certificates()[0]["state"], "Accepted");
}

/// The number of times that the CSMS has sent a certificate.
fn sent(station: &Puppet<'_>) -> usize {
    station.frames().iter().filter(|frame| frame["in"][2] == "CertificateSigned").count()
}

/// A02.FR.08, A02.FR.10: a station that connects with a certificate has it, although its answer was
/// lost, and also if it rejected the certificate.
#[test]
fn a02_fr_10_a_connection_proves_the_delivery() {
    for ocpp in [Ocpp::V16, Ocpp::V201] {
        for answer in [json!("lose the answer"), json!({ "status": "Rejected" })] {
            let stage = Stage::start();
            let mut station = Puppet::new(&stage, "CS001");
            station.connect(ocpp);
            station.boot(ocpp, "SN-0001");
            let csr = station.request("SN-0001");
            if answer.is_object() {
                // The station keeps the certificate before it rejects it, like a station that has
                // it already.
                station.answer("CertificateSigned", json!("lose the answer"));
                station.call("SignCertificate", ocpp.sign(&csr));
                station.called("CertificateSigned");
                stage.wait_until("lost", || stage.certificates()[0]["reason"].is_string());
                station.answer("CertificateSigned", answer.clone());
                station.connect(ocpp);
                station.boot(ocpp, "SN-0001");
                station.called("CertificateSigned");
                stage.await_states(&["Rejected"]);
            } else {
                station.answer("CertificateSigned", answer.clone());
                station.call("SignCertificate", ocpp.sign(&csr));
                station.called("CertificateSigned");
                stage.wait_until("lost", || stage.certificates()[0]["reason"].is_string());
            }
            let before = sent(&station);
            station.answer("CertificateSigned", json!({ "status": "Rejected" }));
            station.connect_with_certificate(ocpp);
            stage.await_states(&["Accepted"]);
            station.boot(ocpp, "SN-0001");
            station.call("Heartbeat", json!({}));
            // An earlier CertificateSigned would have arrived before this request.
            stage.operator(&["inventory", "CS001"]).expect("listed");
            assert_eq!(sent(&station), before, "it is not sent again: {}", stage.log());
            stage.await_states(&["Accepted"]);
            let verified = stage.operator(&["audit", "verify"]).expect("the record and the ledger agree");
            assert!(verified.is_object(), "{verified}");
        }
    }
}

/// The number of attempts is bounded, the waits grow, and an operator sees when all attempts have
/// failed.
#[test]
fn a02_fr_09_a_station_that_never_answers_gets_a_certificate_a_few_times() {
    let mut stage = Stage::prepare();
    stage.launch_with_clock(0);
    let mut station = Puppet::new(&stage, "CS001");
    station.connect(Ocpp::V201);
    station.boot(Ocpp::V201, "SN-0001");
    let csr = station.request("SN-0001");
    station.answer("CertificateSigned", json!("hang up"));
    station.call("SignCertificate", Ocpp::V201.sign(&csr));
    station.called("CertificateSigned");
    let attempts = |stage: &Stage, number: u32| {
        let wanted = format!("sent {number} of 8 times without an answer: ");
        let rows = stage.certificates();
        let reason = rows[0]["reason"].as_str().unwrap_or_default().to_owned();
        assert_eq!(rows[0]["state"], "Issued");
        reason.starts_with(&wanted)
    };
    let mut ahead = 0;
    for (number, wait) in (2..=8).zip([0, 10, 60, 360, 2_160, 12_960, 77_760]) {
        stage.wait_until("counted", || attempts(&stage, number - 1));
        station.connect(Ocpp::V201);
        station.boot(Ocpp::V201, "SN-0001");
        if wait > 0 {
            // It is not sent before its time.
            station.call("Heartbeat", json!({}));
            assert_eq!(sent(&station), number as usize - 1, "{}", stage.log());
            ahead += wait;
            stage.set_clock(ahead);
        }
        station.called("CertificateSigned");
    }
    stage.wait_until("given up", || attempts(&stage, 8));
    let status = stage.status().expect("a status");
    let problems = status["problems"].to_string();
    assert!(problems.contains("1 certificates were sent 8 times without an answer"), "{status}");
    assert!(stage.log().contains("is not sent again"), "{}", stage.log());
    stage.set_clock(ahead + 466_560);
    station.answer("CertificateSigned", Value::Null);
    station.connect(Ocpp::V201);
    station.boot(Ocpp::V201, "SN-0001");
    station.call("Heartbeat", json!({}));
    assert_eq!(sent(&station), 8);
    // A new request starts the attempts again.
    station.call("SignCertificate", Ocpp::V201.sign(&csr));
    station.called("CertificateSigned");
    stage.await_states(&["Accepted"]);
}
