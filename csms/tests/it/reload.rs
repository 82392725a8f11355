//! Changes while the service runs: certificates, roots, revocation lists, stations.

use std::{
    fs,
    time::{Duration, Instant},
};

use ocpp_transport::{
    CallError, CloseReason, ConnectError, Connection, Peer, Reply, Router, Security, StationConfig,
    StationIdentity, connect,
    tls::{ClientKey, TlsFailure, software_key},
};
use ocpp_types::{
    Version,
    v201::{
        BootNotificationRequest, BootReasonEnumType, CertificateSignedRequest, CertificateSignedResponse,
        CertificateSignedStatusEnumType, ChargingStationType, HeartbeatRequest, RegistrationStatusEnumType,
        SignCertificateRequest, TriggerMessageRequest, TriggerMessageResponse, TriggerMessageStatusEnumType,
    },
};
use rustix::process::Signal;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    delivery::{boot, in_runtime},
    stage::{PASSWORD, Stage},
};

/// An authority of OpenSSL, in the stage's folder.
pub(crate) struct OpenSslCa<'a>(&'a Stage);

impl<'a> OpenSslCa<'a> {
    pub(crate) fn new(stage: &'a Stage) -> Self {
        fs::write(stage.path("index.txt"), "").expect("writes");
        fs::write(stage.path("serial"), "1000\n").expect("writes");
        fs::write(stage.path("crlnumber"), "01\n").expect("writes");
        fs::write(stage.path("ca.cnf"), CA_CONFIGURATION).expect("writes");
        let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        let request = ["req", "-x509", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650"];
        let subject = ["-subj", "/O=Test CSO/CN=Other Root", "-config", "ca.cnf", "-extensions", "authority"];
        stage.openssl(&[&request[..], &ec, &subject].concat());
        Self(stage)
    }

    /// Makes `NAME.key` and `NAME.pem`, valid between these two days.
    pub(crate) fn issue(&self, name: &str, subject: &str, options: &[&str], days: (&str, &str)) {
        let [key, csr, certificate] = ["key", "csr", "pem"].map(|end| format!("{name}.{end}"));
        let request = ["req", "-new", "-nodes", "-keyout", &key, "-out", &csr, "-subj", subject];
        let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        self.0.openssl(&[&request[..], if options.is_empty() { &ec } else { options }].concat());
        let dates = ["-startdate", days.0, "-enddate", days.1];
        let sign = ["ca", "-batch", "-config", "ca.cnf", "-in", &csr, "-out", &certificate, "-notext"];
        self.0.openssl(&[&sign[..], &dates].concat());
    }

    /// Revokes a certificate and makes `ca.crl`.
    pub(crate) fn revoke(&self, name: &str) {
        self.0.openssl(&["ca", "-config", "ca.cnf", "-revoke", &format!("{name}.pem")]);
        self.0.openssl(&["ca", "-config", "ca.cnf", "-gencrl", "-crldays", "3650", "-out", "ca.crl"]);
    }
}

pub(crate) const ALWAYS: (&str, &str) = ("20200101000000Z", "20991231000000Z");
pub(crate) const LONG_AGO: (&str, &str) = ("20200101000000Z", "20210101000000Z");

const CA_CONFIGURATION: &str = "
[ca]
default_ca = ca
[ca]
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
x509_extensions = leaf
unique_subject = no
[any]
organizationName = optional
commonName = supplied
[leaf]
keyUsage = critical, digitalSignature, keyEncipherment
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
[req]
distinguished_name = name
[name]
";

pub(crate) async fn station(
    stage: &Stage,
    identity: &str,
    security: Security,
    router: Router,
) -> Result<Connection, ConnectError> {
    let identity = StationIdentity::try_from(identity).expect("an identity");
    let config = StationConfig::new(stage.url().parse().expect("a URL"), identity, security);
    timeout(Duration::from_secs(20), connect(&config, router)).await.expect("in time")
}

fn root(stage: &Stage, file: &str) -> Vec<CertificateDer<'static>> {
    vec![CertificateDer::from_pem_file(stage.path(file)).expect("a root")]
}

pub(crate) fn profile_2(stage: &Stage, file: &str) -> Security {
    Security::profile_2(PASSWORD.into(), root(stage, file)).expect("a root")
}

/// The certificate `NAME.pem` and its key.
pub(crate) fn profile_3(stage: &Stage, name: &str) -> Security {
    let chain =
        vec![CertificateDer::from_pem_file(stage.path(&format!("{name}.pem"))).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(stage.path(&format!("{name}.key"))).expect("a key");
    let key = ClientKey { chain, key: software_key(key).expect("a key") };
    Security::profile_3(key, root(stage, "root.pem")).expect("fits")
}

pub(crate) fn nothing() -> Router {
    Router::new(Version::V201)
}

#[track_caller]
pub(crate) fn assert_refused_by_tls(result: Result<Connection, ConnectError>) {
    match result {
        Err(ConnectError::Tls { source: TlsFailure::OwnCertificateRefused { .. }, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_certificate_of_the_csms_is_served_after_a_reload_and_old_connections_live_on() {
    let stage = Stage::start();
    let ca = OpenSslCa::new(&stage);
    ca.issue("new", "/O=Test CSO/CN=localhost", &[], ALWAYS);
    in_runtime(async {
        let old = station(&stage, "CS001", profile_2(&stage, "root.pem"), nothing()).await.expect("connects");
        boot(old.peer()).await;
        stage.configure("key = \"pkcs11:object=tls\"", "key_file = \"new.key\"");
        stage.configure("certificate_file = \"tls.pem\"", "certificate_file = \"new.pem\"");
        // A configuration that cannot be used changes nothing.
        stage.configure("\"new.key\"", "\"missing.key\"");
        let error = stage.operate(&["reload"]).await.expect_err("refused");
        assert!(error.contains("missing.key"), "{error}");
        station(&stage, "CS002", profile_2(&stage, "root.pem"), nothing()).await.expect("as before");
        stage.configure("\"missing.key\"", "\"new.key\"");

        assert_eq!(stage.operate(&["reload"]).await.expect("read")["closed"], serde_json::json!([]));
        let error =
            station(&stage, "CS002", profile_2(&stage, "root.pem"), nothing()).await.expect_err("new");
        assert!(
            matches!(error, ConnectError::Tls { source: TlsFailure::BadServerCertificate { .. }, .. }),
            "{error:?}"
        );
        station(&stage, "CS002", profile_2(&stage, "ca.pem"), nothing()).await.expect("the new root");
        old.peer().call(HeartbeatRequest::new()).await.expect("the old connection lives on");

        // The signal restores the former configuration.
        stage.configure("key_file = \"new.key\"", "key = \"pkcs11:object=tls\"");
        stage.configure("certificate_file = \"new.pem\"", "certificate_file = \"tls.pem\"");
        stage.signal(Signal::HUP);
        let deadline = Instant::now() + Duration::from_secs(15);
        while station(&stage, "CS002", profile_2(&stage, "root.pem"), nothing()).await.is_err() {
            assert!(Instant::now() < deadline, "{}", stage.log());
        }
        old.peer().call(HeartbeatRequest::new()).await.expect("the old connection lives on");
    });
}

#[test]
fn sigterm_says_farewell_to_every_station_and_ends_in_order() {
    let mut stage = Stage::start();
    in_runtime(async {
        let mut stations = Vec::new();
        for identity in ["CS001", "CS002"] {
            let security = profile_2(&stage, "root.pem");
            stations.push(station(&stage, identity, security, nothing()).await.expect("connects"));
        }
        stage.signal(Signal::TERM);
        for station in &mut stations {
            let reason = timeout(Duration::from_secs(15), station.closed()).await.expect("closed");
            assert!(matches!(reason, CloseReason::Peer { code: Some(1001), .. }), "{reason:?}");
        }
    });
    assert!(stage.ended(), "{}", stage.log());
}

#[test]
fn what_cannot_change_in_a_running_service_is_named() {
    let stage = Stage::start();
    stage.configure("path = \"/ocpp\"", "path = \"/other\"");
    in_runtime(async {
        let error = stage.operate(&["reload"]).await.expect_err("refused");
        assert!(error.contains("[listen]") && error.contains("start it again"), "{error}");
    });
}

#[test]
fn a_station_that_is_taken_out_is_closed_and_one_that_is_put_in_may_connect() {
    let stage = Stage::start();
    in_runtime(async {
        let mut out =
            station(&stage, "CS002", profile_2(&stage, "root.pem"), nothing()).await.expect("connects");
        let stays =
            station(&stage, "CS001", profile_2(&stage, "root.pem"), nothing()).await.expect("connects");
        boot(stays.peer()).await;
        stage.configure("identity = \"CS002\"", "identity = \"CS003\"");
        assert_eq!(stage.operate(&["reload"]).await.expect("read")["closed"], serde_json::json!(["CS002"]));
        let reason = timeout(Duration::from_secs(15), out.closed()).await.expect("closed");
        assert!(matches!(reason, CloseReason::Peer { code: Some(1008), .. }), "{reason:?}");
        let error =
            station(&stage, "CS002", profile_2(&stage, "root.pem"), nothing()).await.expect_err("out");
        assert!(matches!(error, ConnectError::Refused { status: 404, .. }), "{error:?}");
        station(&stage, "CS003", profile_2(&stage, "root.pem"), nothing()).await.expect("in");
        stays.peer().call(HeartbeatRequest::new()).await.expect("stays");
    });
}

#[test]
fn a_station_whose_serial_number_or_password_is_changed_has_to_connect_again() {
    let stage = Stage::start();
    in_runtime(async {
        let mut first =
            station(&stage, "CS001", profile_2(&stage, "root.pem"), nothing()).await.expect("connects");
        let stays =
            station(&stage, "CS002", profile_2(&stage, "root.pem"), nothing()).await.expect("connects");
        boot(stays.peer()).await;
        // The connection was admitted with the former serial number. It would otherwise get a
        // certificate for another one.
        stage.configure("serial_number = \"SN-0001\"", "serial_number = \"SN-0009\"");
        assert_eq!(stage.operate(&["reload"]).await.expect("read")["closed"], serde_json::json!(["CS001"]));
        let reason = timeout(Duration::from_secs(15), first.closed()).await.expect("closed");
        assert!(matches!(reason, CloseReason::Peer { code: Some(1008), .. }), "{reason:?}");
        stays.peer().call(HeartbeatRequest::new()).await.expect("stays");
    });
}

#[test]
fn a00_fr_705_a_revoked_station_is_closed_refused_and_reported() {
    let stage = Stage::prepare();
    let ca = OpenSslCa::new(&stage);
    ca.issue("first", "/O=Test CSO/CN=SN-0001", &[], ALWAYS);
    ca.issue("second", "/O=Test CSO/CN=SN-0002", &[], ALWAYS);
    stage.configure(
        "certificate_file = \"tls.pem\"",
        "certificate_file = \"tls.pem\"\nclient_roots_file = \"ca.pem\"",
    );
    let stage = stage.launched();
    let ca = OpenSslCa(&stage);
    in_runtime(async {
        let mut first =
            station(&stage, "CS001", profile_3(&stage, "first"), nothing()).await.expect("connects");
        let second =
            station(&stage, "CS002", profile_3(&stage, "second"), nothing()).await.expect("connects");
        boot(second.peer()).await;
        ca.revoke("first");
        stage.configure(
            "client_roots_file",
            "crl_files = [\"ca.crl\"]\nrequire_crls = true\nclient_roots_file",
        );
        assert_eq!(stage.operate(&["reload"]).await.expect("read")["closed"], serde_json::json!(["CS001"]));
        let reason = timeout(Duration::from_secs(15), first.closed()).await.expect("closed");
        assert!(matches!(reason, CloseReason::Peer { code: Some(1008), .. }), "{reason:?}");
        for _ in 0..2 {
            assert_refused_by_tls(station(&stage, "CS001", profile_3(&stage, "first"), nothing()).await);
        }
        second.peer().call(HeartbeatRequest::new()).await.expect("lives on");
        station(&stage, "CS002", profile_3(&stage, "second"), nothing()).await.expect("connects again");
    });
    let events = stage.log().matches("InvalidChargingStationCertificate").count();
    // Both attempts together have one line of the transport and one of the application.
    assert_eq!(events, 2, "{}", stage.log());
    assert!(stage.log().contains("revoked"));
}

/// RFC 7468, 2: `cat` has joined two lists, and the first one has no line end. The second list
/// revokes the certificate.
#[test]
fn a00_fr_407_lists_that_were_joined_are_both_read() {
    let stage = Stage::prepare();
    let ca = OpenSslCa::new(&stage);
    ca.issue("first", "/O=Test CSO/CN=SN-0001", &[], ALWAYS);
    stage.openssl(&["ca", "-config", "ca.cnf", "-gencrl", "-crldays", "3650", "-out", "empty.crl"]);
    ca.revoke("first");
    let [empty, revoking] =
        ["empty.crl", "ca.crl"].map(|file| fs::read_to_string(stage.path(file)).expect("reads"));
    let joined = format!("\u{feff}{}{revoking}", empty.trim_end());
    assert!(joined.contains("-----END X509 CRL----------BEGIN X509 CRL-----"));
    fs::write(stage.path("joined.crl"), &joined).expect("writes");
    stage.configure(
        "certificate_file = \"tls.pem\"",
        "certificate_file = \"tls.pem\"\nclient_roots_file = \"ca.pem\"\ncrl_files = [\"joined.crl\"]",
    );
    let stage = stage.launched();
    in_runtime(async {
        assert_refused_by_tls(station(&stage, "CS001", profile_3(&stage, "first"), nothing()).await);
        // A list that cannot be read is not skipped: the present lists stay in use.
        let damaged = joined.replacen("----------BEGIN X509 CRL-----", "-----\n----BEGIN X509 CRL----", 1);
        fs::write(stage.path("joined.crl"), damaged).expect("writes");
        let error = stage.operate(&["reload"]).await.expect_err("refused");
        let line = empty.lines().count() + 1;
        assert!(error.contains("joined.crl") && error.contains(&format!("line {line}")), "{error}");
        assert_refused_by_tls(station(&stage, "CS001", profile_3(&stage, "first"), nothing()).await);
    });
}

#[test]
fn a00_fr_429_a_station_with_an_expired_certificate_is_kept_pending_and_gets_a_new_one() {
    let stage = Stage::prepare();
    let ca = OpenSslCa::new(&stage);
    ca.issue("expired", "/O=Test CSO/CN=SN-0001", &[], LONG_AGO);
    stage.configure(
        "certificate_file = \"tls.pem\"",
        "certificate_file = \"tls.pem\"\nclient_roots_file = \"ca.pem\"",
    );
    let stage = stage.launched();
    let csr = fs::read_to_string(stage.path(stage.request("/O=Test CSO/CN=SN-0001", &[]))).expect("reads");
    in_runtime(async {
        // TC_A_08: without permission the station is refused.
        assert_refused_by_tls(station(&stage, "CS001", profile_3(&stage, "expired"), nothing()).await);
        stage.configure(
            "serial_number = \"SN-0001\"",
            "serial_number = \"SN-0001\"\nexpired_certificate_permitted = true",
        );
        stage.operate(&["reload"]).await.expect("read");

        let (received, mut certificates) = mpsc::channel(8);
        let router = nothing()
            .handle(move |peer: Peer, request: TriggerMessageRequest| {
                assert_eq!(request.requested_message.as_str(), "SignChargingStationCertificate");
                let request = SignCertificateRequest::new(csr.as_str().try_into().expect("short enough"));
                let accepted = TriggerMessageResponse::new(TriggerMessageStatusEnumType::Accepted);
                async move {
                    Ok::<_, CallError>(Reply::new(accepted).then(async move {
                        peer.call(request).await.expect("SignCertificate is answered");
                    }))
                }
            })
            .handle(move |_: Peer, request: CertificateSignedRequest| {
                received.try_send(request.certificate_chain.as_str().to_owned()).expect("the test listens");
                let status = CertificateSignedStatusEnumType::Accepted;
                async move { Ok::<_, CallError>(CertificateSignedResponse::new(status)) }
            });
        let connection =
            station(&stage, "CS001", profile_3(&stage, "expired"), router).await.expect("permitted");
        let mut about =
            ChargingStationType::new("Model".try_into().expect("short"), "Vendor".try_into().expect("short"));
        about.serial_number = Some("SN-0001".try_into().expect("short"));
        let boot = BootNotificationRequest::new(about, BootReasonEnumType::PowerUp);
        let answer = connection.peer().call(boot).await.expect("an answer");
        assert_eq!(answer.status, RegistrationStatusEnumType::Pending);
        let chain =
            timeout(Duration::from_secs(20), certificates.recv()).await.expect("A02 runs").expect("a chain");
        assert!(chain.contains("BEGIN CERTIFICATE"));
    });
}

#[test]
fn a00_fr_318_with_an_rsa_certificate_beside_all_four_suites_are_served() {
    let stage = Stage::prepare();
    let ca = OpenSslCa::new(&stage);
    ca.issue("ecdsa", "/O=Test CSO/CN=localhost", &[], ALWAYS);
    ca.issue("rsa", "/O=Test CSO/CN=localhost", &["-newkey", "rsa:2048"], ALWAYS);
    stage.configure("key = \"pkcs11:object=tls\"", "key_file = \"ecdsa.key\"");
    stage.configure(
        "certificate_file = \"tls.pem\"",
        "certificate_file = \"ecdsa.pem\"\n[tls.rsa]\nkey_file = \"rsa.key\"\ncertificate_file = \"rsa.pem\"",
    );
    let stage = stage.launched();
    let address = stage.url().trim_start_matches("wss://").trim_end_matches("/ocpp").to_owned();
    for suite in [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
    ] {
        let arguments =
            ["s_client", "-connect", &address, "-CAfile", "ca.pem", "-verify_return_error", "-tls1_2"];
        let text = stage.openssl(&[&arguments[..], &["-cipher", suite]].concat());
        assert!(text.contains(&format!("Cipher is {suite}\n")), "{text}");
    }
    in_runtime(async {
        station(&stage, "CS001", profile_2(&stage, "ca.pem"), nothing()).await.expect("connects");
    });
}
