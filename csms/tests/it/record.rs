//! Each signature of the authority is recorded before it is made, and no signed certificate is
//! lost.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};
use signer_pkcs11::{AuditChain, AuditEvent, IssuanceRecord as _};

use crate::stage::{Report, Stage};

const SUBJECT: &str = "/O=Test CSO/CN=SN-0001";

fn verify(stage: &Stage) -> Value {
    let output = stage.command(&["audit", "verify"]).output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn export(stage: &Stage) -> String {
    let output = stage.command(&["audit", "export"]).output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn sign(stage: &Stage, csr: &str) -> Report {
    stage.station_with_password("CS001", &["--serial-number", "SN-0001", "--csr", csr])
}

/// Executes statements on the ledger's file, as a person with access to the machine could.
pub(crate) fn tamper(stage: &Stage, statements: &[&'static str]) {
    let path = stage.path("data/ledger.sqlite");
    in_runtime(async {
        let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", path.display())).await.expect("opens");
        for statement in statements {
            sqlx::query(*statement).execute(&pool).await.expect(statement);
        }
        pool.close().await;
    });
}

fn in_runtime(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work);
}

#[test]
fn every_certificate_is_announced_and_completed_on_record() {
    let stage = Stage::start();
    let csr = stage.request(SUBJECT, &[]);
    let arguments = ["--serial-number", "SN-0001", "--csr", csr, "--chain-out", "chain.pem"];
    stage.station_with_password("CS001", &arguments).step("finished");

    // The record is read while the service runs, and in the format of `hsm audit verify`.
    let report = verify(&stage);
    assert_eq!((&report["certificates"], &report["unfinished"]), (&json!(1), &json!(0)), "{report}");
    let text = export(&stage);
    let chain = AuditChain::read(&text).expect("whole");
    assert_eq!(report["head"], chain.head().to_string());
    let intent = chain.index().signed().next().expect("one").clone();
    assert_eq!(intent.station, "CS001".parse().ok());
    assert_eq!(intent.profile, "ChargingStationCertificate");
    assert_eq!(serde_json::json!(intent.serial), stage.certificates()[0]["serial_number"]);
    // The station has the certificate that was signed.
    stage.openssl(&["x509", "-in", "chain.pem", "-outform", "DER", "-out", "leaf.der"]);
    let hash = stage.openssl(&["dgst", "-sha256", "-r", "leaf.der"]);
    assert!(text.contains(hash.split(' ').next().expect("a hash")), "{text}\n{hash}");

    let head = report["head"].as_str().expect("a hash").to_owned();
    let output = stage.command(&["audit", "verify", "--head", &"0".repeat(64)]).output().expect("starts");
    assert!(!output.status.success());
    assert!(stage.command(&["audit", "verify", "--head", &head]).output().expect("starts").status.success());
}

#[test]
fn a_full_disk_signs_nothing_and_the_station_hears_why() {
    let stage = Stage::start();
    // The station is known and booted, so that its request makes the first entry.
    stage.station_with_password("CS001", &["--serial-number", "SN-0001"]).step("finished");
    let csr = stage.request(SUBJECT, &[]);
    stage.limit_files(Some(1));
    let answer = sign(&stage, csr);
    let answer = answer.step("sign certificate");
    assert_eq!(
        (&answer["status"], &answer["reason"]),
        (&json!("Rejected"), &json!("InternalError")),
        "{answer}"
    );
    assert!(!answer["info"].as_str().unwrap_or_default().is_empty(), "{answer}");
    assert_eq!(stage.certificates(), [Value::Null; 0]);
    assert!(!export(&stage).contains("\"kind\":\"signing\""), "nothing was signed, so nothing is on record");

    // There is room again.
    stage.limit_files(None);
    sign(&stage, csr).step("certificate signed");
    let report = verify(&stage);
    assert_eq!((&report["certificates"], &report["unfinished"]), (&json!(1), &json!(0)), "{report}");
}

#[test]
fn what_was_signed_and_cannot_be_recorded_does_not_leave() {
    let stage = Stage::start();
    let csr = stage.request(SUBJECT, &[]);
    tamper(
        &stage,
        &["CREATE TRIGGER full BEFORE INSERT ON record WHEN NEW.line LIKE '%\"kind\":\"signed\"%'
           BEGIN SELECT RAISE(ABORT, 'on purpose'); END"],
    );
    assert_eq!(sign(&stage, csr).step("sign certificate")["status"], "Rejected");
    assert_eq!(stage.certificates(), [Value::Null; 0]);
    assert_eq!(verify(&stage)["unfinished"], 1);
    tamper(&stage, &["DROP TRIGGER full"]);
    sign(&stage, csr).step("certificate signed");
    assert_eq!(stage.certificates().len(), 1);
}

#[test]
fn a_kill_between_record_and_ledger_leaves_an_announcement_and_no_certificate() {
    let mut stage = Stage::start();
    let csr = stage.request(SUBJECT, &[]);
    // The second entry, which stores the certificate in the ledger, never ends.
    tamper(
        &stage,
        &[
            "CREATE VIEW for_ever AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
             SELECT count(*) AS c FROM n",
            "CREATE TRIGGER hang BEFORE INSERT ON record WHEN NEW.line LIKE '%\"kind\":\"signed\"%'
             BEGIN SELECT c FROM for_ever; END",
        ],
    );
    std::thread::scope(|scope| {
        let station = scope.spawn(|| sign(&stage, csr));
        let deadline = Instant::now() + Duration::from_secs(30);
        while !export(&stage).contains("\"kind\":\"signing\"") {
            assert!(Instant::now() < deadline, "{}", stage.log());
        }
        stage.signal(Signal::KILL);
        assert!(station.join().expect("ends").all("sign certificate").is_empty(), "it never heard Accepted");
    });
    stage.ended();
    tamper(&stage, &["DROP TRIGGER hang", "DROP VIEW for_ever"]);
    stage.launch();
    assert_eq!(stage.certificates(), [Value::Null; 0], "no station has it, so none is promised it");
    assert_eq!(verify(&stage)["unfinished"], 1);

    // A02.FR.17: the station asks again with the same key, and gets a certificate.
    sign(&stage, csr).step("certificate signed");
    let report = verify(&stage);
    assert_eq!((&report["certificates"], &report["unfinished"]), (&json!(1), &json!(1)), "{report}");
    let text = export(&stage);
    // There are other entries too: the ledger's own, the list of revoked certificates that a
    // service signs first, and the stations' answers.
    let certificates = |event: &AuditEvent| {
        matches!(event, AuditEvent::Signing(_) | AuditEvent::Signed { .. } | AuditEvent::NotSigned { .. })
    };
    let events = text.lines().map(event).filter(certificates).collect::<Vec<_>>();
    assert!(
        matches!(
            &events[..],
            [AuditEvent::Signing(_), AuditEvent::Signing(_), AuditEvent::Signed { entry: 4, .. }]
        ),
        "{text}"
    );
}

#[test]
fn a_record_that_was_changed_is_noticed_at_the_start() {
    let mut stage = Stage::start();
    let csr = stage.request(SUBJECT, &[]);
    sign(&stage, csr).step("finished");
    stage.kill();
    tamper(
        &stage,
        &[
            "DROP TRIGGER record_is_not_changed",
            "UPDATE record SET line = replace(line, 'CS001', 'CS002') WHERE station = 'CS001'",
        ],
    );
    let text = stage.launch_in_vain();
    assert!(text.contains("entry 3 was changed"), "{text}");
    let output = stage.command(&["audit", "verify"]).output().expect("starts");
    assert!(!output.status.success());
}

#[test]
fn a_ledger_from_before_the_record_still_knows_whose_keys_are_whose() {
    let mut stage = Stage::start();
    let csr = stage.request(SUBJECT, &[]);
    sign(&stage, csr).step("finished");
    stage.kill();
    // The state that the first versions left. They kept no marks and signed no lists.
    tamper(&stage, &["DROP TRIGGER record_is_not_shortened", "DELETE FROM record"]);
    let older = Stage::prepare();
    fs::create_dir(older.path("data")).expect("makes");
    for (from, to) in [("data/ledger.sqlite", "data/ledger.sqlite"), ("key.pem", "key.pem")] {
        fs::copy(stage.path(from), older.path(to)).expect("copies");
    }
    let mut stage = older;
    let path = stage.path("data/ledger.sqlite");
    in_runtime(async {
        let key = key_of(&path).await;
        let ledger = csms::Ledger::open_file(&path).await.expect("opens");
        assert_eq!(
            ledger.owner_of_key(key.parse().expect("a hash")).await.expect("reads"),
            "CS001".parse().ok()
        );
    });
    stage.launch();
    let new = ["req", "-new", "-key", "key.pem", "-out", "other.pem", "-subj", "/O=Test CSO/CN=SN-0002"];
    stage.openssl(&new);
    let report = stage.station_with_password("CS002", &["--csr", "other.pem", "--serial-number", "SN-0002"]);
    assert_eq!(report.step("sign certificate")["status"], "Rejected");
}

async fn key_of(ledger: &Path) -> String {
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", ledger.display())).await.expect("opens");
    let key = sqlx::query_scalar("SELECT spki_sha256 FROM certificate").fetch_one(&pool).await;
    pool.close().await;
    key.expect("one")
}

fn event(line: &str) -> AuditEvent {
    let line: Value = serde_json::from_str(line).expect("JSON");
    serde_json::from_value(line["entry"]["event"].clone()).expect("an event")
}

#[test]
fn an_export_is_a_record_like_a_files() {
    let stage = Stage::start();
    let csr = stage.request(SUBJECT, &[]);
    sign(&stage, csr).step("finished");
    fs::write(stage.path("record.jsonl"), export(&stage)).expect("writes");
    // `hsm` opens it this way.
    let record = signer_pkcs11::FileRecord::open(stage.path("record.jsonl")).expect("opens");
    assert_eq!(record.chain().head().to_string(), verify(&stage)["head"]);
}
