//! A ledger that is older than its marks, damaged, edited or exchanged, and its restoration from a
//! backup.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use ocpp_transport::{CallError, ConnectError, Connection, Peer, Router};
use ocpp_types::{
    Version,
    v201::{
        CertificateSignedRequest, CertificateSignedResponse, CertificateSignedStatusEnumType,
        GenericStatusEnumType, SignCertificateRequest, SignCertificateResponse,
    },
};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    delivery::{boot, in_runtime},
    record::tamper,
    reload::{assert_refused_by_tls, nothing, profile_2, profile_3, station},
    revocation::{enrol, list_file},
    stage::Stage,
};

const SUBJECT: &str = "/O=Test CSO/CN=SN-0001";

/// Ends the program in order, so that everything is in the ledger's file.
fn stop(stage: &mut Stage) {
    stage.signal(Signal::TERM);
    assert!(stage.ended(), "{}", stage.log());
}

fn ledger(stage: &Stage) -> PathBuf {
    stage.path("data/ledger.sqlite")
}

/// Replaces the ledger with a copy, as an operator does with `cp`.
fn put_back(stage: &Stage, copy: &str) {
    for name in ["ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = fs::remove_file(stage.path("data").join(name));
    }
    fs::copy(stage.path(copy), ledger(stage)).expect("copies");
}

/// The number of the list on disk, read with OpenSSL.
fn list_number(stage: &Stage) -> u64 {
    let file = list_file(stage);
    let list = ["crl", "-inform", "DER", "-in", file.to_str().expect("text"), "-noout", "-crlnumber"];
    let text = stage.openssl(&list);
    let number = text.trim().trim_start_matches("crlNumber=").trim_start_matches("0x").to_owned();
    u64::from_str_radix(&number, 16).unwrap_or_else(|_| panic!("{text}"))
}

/// Makes the token's mark unreadable. The result is the same as for an exchanged token, which has
/// no mark.
fn spoil_token_mark(stage: &Stage) {
    let key = stage.openssl(&["x509", "-in", "root.pem", "-pubkey", "-noout"]);
    fs::write(stage.path("root-key.pem"), key).expect("writes");
    stage.openssl(&["pkey", "-pubin", "-in", "root-key.pem", "-outform", "DER", "-out", "root-key.der"]);
    let hash = stage.openssl(&["dgst", "-sha256", "-r", "root-key.der"]);
    let label = format!("ledger mark {}", &hash[..16]);
    let token = stage.open_token();
    assert_eq!(token.read_data("ocpp-csms", &label).expect("reads").len(), 1, "the token keeps the mark");
    token.write_data("ocpp-csms", &label, b"spoilt").expect("writes");
}

/// Runs `ocpp-csms audit verify`, which has to find a fault, and returns its output.
#[track_caller]
fn verify_in_vain(stage: &Stage) -> String {
    let output = stage.command(&["audit", "verify"]).output().expect("starts");
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[track_caller]
fn verify(stage: &Stage) -> Value {
    let output = stage.command(&["audit", "verify"]).output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn rollback_an_older_ledger_is_refused_and_what_was_revoked_stays_out() {
    let mut stage = Stage::start();
    let serial = enrol(&stage, "CS001", "SN-0001");
    enrol(&stage, "CS002", "SN-0002");
    stop(&mut stage);
    fs::copy(ledger(&stage), stage.path("older.sqlite")).expect("copies");
    stage.launch();
    in_runtime(async {
        station(&stage, "CS001", profile_3(&stage, "SN-0001"), nothing()).await.expect("is not revoked yet");
        stage
            .operate(&["revoke", "--station", "CS001", "--reason", "key-compromise"])
            .await
            .expect("revokes");
    });
    assert_eq!(list_number(&stage), 2);
    // The program is killed right after the revocation was confirmed. The marks include the
    // revocation.
    stage.kill();
    put_back(&stage, "older.sqlite");

    // Each of the three detects it alone: the file, the token, the list.
    let refused = |stage: &mut Stage, reason: &str| {
        let text = stage.launch_in_vain();
        assert!(text.contains(reason) && text.contains("ocpp-csms restore"), "{text}");
        assert_eq!(list_number(stage), 2, "number 2 is not signed twice");
    };
    refused(&mut stage, "ledger.mark is at entry");
    fs::remove_file(stage.path("data/ledger.mark")).expect("removes");
    refused(&mut stage, "the high-water mark in the token");
    spoil_token_mark(&stage);
    refused(&mut stage, "has number 2, and the last one on record has number 1");
    let error = stage.operator(&["issue-server-certificate"]).expect_err("no other command writes either");
    assert!(error.contains("tls.names") || error.contains("not the newest"), "{error}");

    // The loss is reported first, and nothing is changed.
    let error = stage.operator(&["restore", "older.sqlite"]).expect_err("a revocation is lost");
    assert!(error.contains(&serial) && error.contains("--accept-loss"), "{error}");
    refused(&mut stage, "has number 2");
    let restored = stage.operator(&["restore", "older.sqlite", "--accept-loss"]).expect("restores");
    assert_eq!(restored["revocations"], json!([serial]), "{restored}");
    stage.launch();
    in_runtime(async {
        assert_refused_by_tls(station(&stage, "CS001", profile_3(&stage, "SN-0001"), nothing()).await);
        station(&stage, "CS002", profile_3(&stage, "SN-0002"), nothing()).await.expect("is not revoked");
        let lists = stage.operate(&["crl"]).await.expect("signs");
        assert!(lists[0]["number"].as_u64() > Some(2), "{lists}");
        assert_eq!(lists[0]["revoked"], 1);
        // A05.FR.07: the station may have used a certificate during the lost time.
        for identity in ["CS001", "CS002"] {
            let refused = station(&stage, identity, profile_2(&stage, "root.pem"), nothing()).await;
            assert!(matches!(refused, Err(ConnectError::Refused { status: 403, .. })), "{refused:?}");
        }
        stage.operate(&["release", "CS001"]).await.expect("releases");
        station(&stage, "CS001", profile_2(&stage, "root.pem"), nothing()).await.expect("an operator knows");
        let again = station(&stage, "CS001", profile_2(&stage, "root.pem"), nothing()).await;
        again.expect("also the next time");
        stage.operate(&["accept-passwords"]).await.expect("accepts");
        // CS002 has used its certificate since then.
        let refused = station(&stage, "CS002", profile_2(&stage, "root.pem"), nothing()).await;
        assert!(matches!(refused, Err(ConnectError::Refused { status: 403, .. })), "{refused:?}");
    });
    assert_eq!(verify(&stage)["revoked"], 1);
    // `hsm` can read the new kinds of entries.
    let output = stage.command(&["audit", "export"]).output().expect("starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("\"kind\":\"restored\""), "{text}");
    signer_pkcs11::AuditChain::read(&text).expect("whole");
}

#[test]
fn rollback_a_password_that_ended_with_a_certificate_does_not_count_again() {
    let mut stage = Stage::start();
    enrol(&stage, "CS001", "SN-0001");
    stop(&mut stage);
    // The only later change is the first connection with the certificate.
    fs::copy(ledger(&stage), stage.path("older.sqlite")).expect("copies");
    stage.launch();
    in_runtime(async {
        station(&stage, "CS001", profile_3(&stage, "SN-0001"), nothing()).await.expect("in");
    });
    stop(&mut stage);
    put_back(&stage, "older.sqlite");
    let text = stage.launch_in_vain();
    assert!(text.contains("the ledger is older than it was"), "{text}");
}

#[test]
fn rollback_a_missing_or_empty_ledger_is_no_first_start() {
    let mut stage = Stage::start();
    let serial = enrol(&stage, "CS001", "SN-0001");
    in_runtime(async {
        stage.operate(&["revoke", "--serial", &serial]).await.expect("revokes");
    });
    stop(&mut stage);
    fs::rename(ledger(&stage), stage.path("kept.sqlite")).expect("renames");
    let refused = |stage: &mut Stage| {
        let text = stage.launch_in_vain();
        assert!(text.contains("there is no ledger, or an empty one"), "{text}");
        assert!(text.contains("ocpp-csms restore"), "{text}");
    };
    refused(&mut stage);
    assert!(!ledger(&stage).exists(), "none is made");
    fs::write(ledger(&stage), "").expect("writes");
    refused(&mut stage);
    // The list alone detects it too.
    fs::remove_file(ledger(&stage)).expect("removes");
    fs::remove_file(stage.path("data/ledger.mark")).expect("removes");
    spoil_token_mark(&stage);
    let text = stage.launch_in_vain();
    assert!(text.contains("has number 2, and the last one on record has number 0"), "{text}");

    // Without a backup, the revocations on the list are kept.
    let error = stage.operator(&["restore", "--empty"]).expect_err("everything is lost");
    assert!(error.contains("--accept-loss"), "{error}");
    let restored = stage.operator(&["restore", "--empty", "--accept-loss"]).expect("restores");
    assert_eq!(restored["revocations"], json!([serial]), "{restored}");
    stage.launch();
    assert_eq!(verify(&stage)["revoked"], 1);
    in_runtime(async {
        assert_refused_by_tls(station(&stage, "CS001", profile_3(&stage, "SN-0001"), nothing()).await);
        let lists = stage.operate(&["crl"]).await.expect("signs");
        assert!(lists[0]["number"].as_u64() > Some(2), "{lists}");
    });
    // The former ledger is now a different one.
    stop(&mut stage);
    put_back(&stage, "kept.sqlite");
    let text = stage.launch_in_vain();
    assert!(text.contains("not the newest"), "{text}");
}

/// A chain in the ledger that was never signed, or that was signed for another station.
#[test]
fn rollback_a_row_that_was_edited_is_named_and_not_sent() {
    let mut stage = Stage::start();
    enrol(&stage, "CS002", "SN-0002");
    let csr = stage.request(SUBJECT, &[]);
    let arguments = ["--csr", csr, "--serial-number", "SN-0001", "--hang-up-after-sign"];
    stage.station_with_password("CS001", &arguments).step("sign certificate");
    stop(&mut stage);
    assert_eq!(verify(&stage)["findings"], json!([]));
    fs::copy(ledger(&stage), stage.path("whole.sqlite")).expect("copies");
    for (statement, found) in [
        (
            "UPDATE certificate SET chain = (SELECT chain FROM certificate WHERE station = 'CS002')
             WHERE station = 'CS001'",
            "its chain is not the one",
        ),
        ("UPDATE certificate SET chain = chain || chain WHERE station = 'CS001'", "its chain is not the one"),
        ("UPDATE certificate SET chain = '' WHERE station = 'CS001'", "its chain is not the one"),
        ("UPDATE certificate SET not_after = not_after + 1 WHERE station = 'CS001'", "not_after is"),
        (
            "UPDATE certificate SET state = 'Accepted' WHERE station = 'CS001'",
            "its state is Accepted, and on record it is Issued",
        ),
        (
            "UPDATE certificate SET state = 'Issued' WHERE station = 'CS002'",
            "its state is Issued, and on record it is Accepted",
        ),
        ("UPDATE certificate SET station = 'CS002' WHERE station = 'CS001'", "it was signed for the station"),
        (
            "UPDATE certificate SET spki_sha256 = replace(hex(zeroblob(32)), '00', 'ab') WHERE station = 'CS001'",
            "for another key",
        ),
        ("UPDATE certificate SET spki_sha256 = 'ab' WHERE station = 'CS001'", "cannot be read"),
        ("UPDATE certificate SET serial_number = 'ab' WHERE station = 'CS001'", "has the serial number"),
        ("DELETE FROM certificate WHERE station = 'CS001'", "its row is missing"),
        (
            "INSERT INTO certificate (serial_number, station, certificate_type, spki_sha256, chain, not_after,
             issued_at, state, answered_at, reason, request_id) SELECT 'ab', station, certificate_type, spki_sha256, 'x', not_after,
             issued_at, state, answered_at, reason, request_id FROM certificate WHERE station = 'CS001'",
            "nothing on record says that it was signed",
        ),
    ] {
        put_back(&stage, "whole.sqlite");
        tamper(&stage, &[statement]);
        let text = verify_in_vain(&stage);
        assert!(text.contains(found), "{statement}: {text}");
    }

    // The first of these cases: the service runs, reports the fault, and does not send the
    // certificate.
    put_back(&stage, "whole.sqlite");
    tamper(
        &stage,
        &["UPDATE certificate SET chain = (SELECT chain FROM certificate WHERE station = 'CS002')
           WHERE station = 'CS001'"],
    );
    stage.launch();
    let report = stage.station_with_password("CS001", &["--serial-number", "SN-0001"]);
    report.step("finished");
    assert!(report.all("certificate signed").is_empty());
    assert!(stage.log().contains("is not what was signed"), "{}", stage.log());
    let status = stage.status().expect("runs");
    assert_eq!(status["ledger"]["not_as_signed"].as_array().map(Vec::len), Some(1), "{status}");
    // A05.FR.07 does not apply to the station: it asks again, and receives its own certificate.
    let arguments = ["--serial-number", "SN-0001", "--csr", csr, "--chain-out", "chain.pem"];
    stage.station_with_password("CS001", &arguments).step("certificate signed");
    let subject = stage.openssl(&["x509", "-in", "chain.pem", "-noout", "-subject", "-nameopt", "RFC2253"]);
    assert!(subject.contains("CN=SN-0001"), "{subject}");
    let metrics: String =
        serde_json::from_slice(&stage.command(&["metrics"]).output().expect("starts").stdout).expect("text");
    assert!(metrics.contains("csms_certificates_not_as_signed_total"), "{metrics}");
}

#[test]
fn rollback_damaged_pages_are_found() {
    let mut stage = Stage::start();
    enrol(&stage, "CS001", "SN-0001");
    stop(&mut stage);
    fs::copy(ledger(&stage), stage.path("whole.sqlite")).expect("copies");
    for table in ["certificate_by_key", "certificate_by_station", "record_by_serial", "certificate", "record"]
    {
        put_back(&stage, "whole.sqlite");
        let page = root_page(&ledger(&stage), table);
        let mut bytes = fs::read(ledger(&stage)).expect("reads");
        // The content of the cells, which grows from the end of the page.
        let end = page * PAGE_BYTES;
        bytes[end - 40..end].iter_mut().for_each(|byte| *byte ^= 0x55);
        fs::write(ledger(&stage), bytes).expect("writes");
        let text = verify_in_vain(&stage);
        assert!(text.contains("ledger.sqlite"), "{table}: {text}");
    }
}

const PAGE_BYTES: usize = 4096;

fn root_page(ledger: &Path, name: &str) -> usize {
    let mut page = 0;
    in_runtime(async {
        let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", ledger.display())).await.expect("opens");
        let found: i64 = sqlx::query_scalar("SELECT rootpage FROM sqlite_master WHERE name = ?")
            .bind(name)
            .fetch_one(&pool)
            .await
            .expect("there");
        page = usize::try_from(found).expect("a page");
        pool.close().await;
    });
    page
}

/// Answers CertificateSigned, and passes the chains on.
fn taking() -> (Router, mpsc::Receiver<String>) {
    let (sender, chains) = mpsc::channel(64);
    let router = Router::new(Version::V201).handle(move |_: Peer, request: CertificateSignedRequest| {
        let sender = sender.clone();
        async move {
            sender.send(request.certificate_chain.to_string()).await.expect("the test waits");
            Ok::<_, CallError>(CertificateSignedResponse::new(CertificateSignedStatusEnumType::Accepted))
        }
    });
    (router, chains)
}

async fn ask(connection: &Connection, csr: &str) -> SignCertificateResponse {
    let request = SignCertificateRequest::new(csr.to_owned().try_into().expect("short enough"));
    let answer = timeout(Duration::from_secs(20), connection.peer().call(request)).await;
    answer.expect("in time").expect("an answer")
}

#[test]
fn rollback_a_backup_that_is_taken_while_certificates_are_issued_holds_what_was_delivered() {
    let mut stage = Stage::start();
    let csrs = |number: &str, count: usize| {
        let one = |_| fs::read_to_string(stage.path(stage.request(&format!("/O=Test CSO/CN={number}"), &[])));
        (0..count).map(|index| one(index).expect("reads")).collect::<Vec<_>>()
    };
    let requests = [("CS001", csrs("SN-0001", 18)), ("CS002", csrs("SN-0002", 18))];
    let delivered = Arc::new(Mutex::new(Vec::new()));
    in_runtime(async {
        let issuing = requests.iter().map(|(identity, csrs)| {
            let (stage, delivered) = (&stage, Arc::clone(&delivered));
            async move {
                let (router, mut chains) = taking();
                let profile = profile_2(stage, "root.pem");
                let connection = station(stage, identity, profile, router).await.expect("in");
                boot(connection.peer()).await;
                for csr in csrs {
                    assert_eq!(ask(&connection, csr).await.status, GenericStatusEnumType::Accepted);
                    let chain = timeout(Duration::from_secs(20), chains.recv()).await.expect("in time");
                    delivered.lock().expect("no panic").push(chain.expect("a chain"));
                }
            }
        });
        let mut issuing = issuing.collect::<Vec<_>>();
        let (second, first) = (issuing.pop().expect("two"), issuing.pop().expect("two"));
        let backup = async {
            while delivered.lock().expect("no panic").len() < 8 {
                tokio::task::yield_now().await;
            }
            let before = delivered.lock().expect("no panic").clone();
            let made = stage.operate(&["backup", "backup.sqlite"]).await.expect("a backup");
            (before, made)
        };
        let ((), (), (before, made)) = tokio::join!(first, second, backup);
        assert!(made["certificates"].as_u64() >= Some(before.len() as u64), "{made}");
        *delivered.lock().expect("no panic") = before;
    });
    let error = stage.operator(&["restore", "backup.sqlite"]).expect_err("the service runs");
    assert!(error.contains("another process uses the ledger"), "{error}");
    let error = stage.operator(&["backup", "backup.sqlite"]).expect_err("is not overwritten");
    assert!(error.contains("exists already"), "{error}");
    stage.kill();

    let issued = certificates(&ledger(&stage));
    let kept = certificates(&stage.path("backup.sqlite"));
    assert_eq!(issued.len(), 36);
    for chain in delivered.lock().expect("no panic").iter() {
        assert!(kept.iter().any(|(_, kept)| kept == chain), "a certificate that was delivered is not in it");
    }
    // Each lost certificate is named.
    let error = stage.operator(&["restore", "backup.sqlite"]).expect_err("is older");
    let lost = issued.iter().filter(|(serial, _)| kept.iter().all(|(other, _)| other != serial));
    for (serial, _) in lost {
        assert!(error.contains(serial.as_str()), "{serial}: {error}");
    }
    stage.operator(&["restore", "backup.sqlite", "--accept-loss"]).expect("restores");
    stage.launch();
    assert_eq!(stage.certificates().len(), kept.len());
    verify(&stage);
    stop(&mut stage);

    // A backup of the newest state loses nothing.
    stage.operator(&["backup", "newest.sqlite"]).expect("also while no service runs");
    fs::remove_file(ledger(&stage)).expect("removes");
    let restored = stage.operator(&["restore", "newest.sqlite"]).expect("nothing is lost");
    assert_eq!((&restored["lost"], &restored["lists"]), (&json!(0), &json!({})), "{restored}");
    stage.launch();
    assert_eq!(stage.certificates().len(), kept.len());
    let mode = fs::metadata(stage.path("newest.sqlite")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds the hashes of passwords");
}

/// Serial numbers and chains in a ledger's file.
fn certificates(file: &Path) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    in_runtime(async {
        let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", file.display())).await.expect("opens");
        let found = sqlx::query_as("SELECT serial_number, chain FROM certificate").fetch_all(&pool).await;
        rows = found.expect("reads");
        pool.close().await;
    });
    rows
}

#[test]
fn rollback_files_that_are_removed_or_replaced_under_the_service_end_it() {
    let mut stage = Stage::start();
    enrol(&stage, "CS001", "SN-0001");
    // The write-ahead log is removed. Its content is saved into the ledger's file.
    fs::remove_file(stage.path("data/ledger.sqlite-wal")).expect("removes");
    assert!(!stage.ended(), "{}", stage.log());
    assert!(stage.log().contains("ledger.sqlite-wal was removed while the service runs"), "{}", stage.log());
    let _ = fs::remove_file(stage.path("data/ledger.sqlite-shm"));
    stage.launch();
    assert_eq!(stage.certificates()[0]["state"], "Accepted");
    verify(&stage);

    // The file itself is replaced with another one.
    fs::copy(ledger(&stage), stage.path("other.sqlite")).expect("copies");
    fs::rename(stage.path("other.sqlite"), ledger(&stage)).expect("replaces");
    assert!(!stage.ended(), "{}", stage.log());
    let log = stage.log();
    assert!(log.contains("ledger.sqlite was replaced while the service runs"), "{log}");
    assert!(
        log.contains("start it again, and if it refuses the ledger then, use `ocpp-csms restore`"),
        "{log}"
    );
}

#[test]
fn rollback_a_second_service_is_refused() {
    let stage = Stage::start();
    fs::remove_file(stage.path("data/control.sock")).expect("removes");
    for arguments in [&["run"][..], &["restore", "--empty", "--accept-loss"]] {
        let output = stage.command(arguments).output().expect("starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains("another process uses the ledger"), "{text}");
    }
    // The first service continues to serve.
    stage.station_with_password("CS001", &["--serial-number", "SN-0001"]).step("finished");
    verify(&stage);
}

#[test]
fn rollback_others_may_not_read_the_ledger() {
    let mut stage = Stage::prepare();
    let mode = |stage: &Stage, name: &str| {
        fs::metadata(stage.path(name)).unwrap_or_else(|_| panic!("{name}")).permissions().mode() & 0o777
    };
    fs::create_dir(stage.path("data")).expect("makes");
    fs::set_permissions(stage.path("data"), fs::Permissions::from_mode(0o777)).expect("sets");
    stage.launch();
    assert_eq!(mode(&stage, "data"), 0o750);
    assert!(stage.log().contains("its mode was narrowed"), "{}", stage.log());
    for name in ["data/ledger.sqlite", "data/ledger.sqlite-wal", "data/ledger.mark", "data/control.sock"] {
        assert_eq!(mode(&stage, name), 0o600, "{name}");
    }
    stop(&mut stage);
    // The permissions that an earlier version has left.
    fs::set_permissions(ledger(&stage), fs::Permissions::from_mode(0o644)).expect("sets");
    stage.launch();
    assert_eq!(mode(&stage, "data/ledger.sqlite"), 0o640);
}

#[test]
fn rollback_audit_verify_reads_media_that_cannot_be_written() {
    let mut stage = Stage::start();
    enrol(&stage, "CS001", "SN-0001");
    let whole = verify(&stage)["entries"].as_u64().expect("a number");
    let read = |stage: &Stage| {
        let verify = stage.command(&["audit", "verify"]);
        let mut command = Command::new("unshare");
        command.current_dir(stage.path("")).args(["--map-root-user", "--mount", "sh", "-c"]);
        command.arg("mount --bind data data && mount -o remount,bind,ro data data && exec \"$@\"").arg("sh");
        command.arg(verify.get_program()).args(verify.get_args());
        let output = command.output().expect("unshare is missing; install the package util-linux");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(
            report["entries"].as_u64(),
            Some(whole),
            "what is in the write-ahead log counts: {report}"
        );
    };
    // Once with a write-ahead log that was not closed, and once without one.
    stage.kill();
    read(&stage);
    stage.launch();
    stop(&mut stage);
    read(&stage);
}

#[test]
fn rollback_no_more_certificates_than_the_limit_by_one_csr_that_is_replayed() {
    let mut stage = Stage::prepare();
    stage.launch();
    let csr = fs::read_to_string(stage.path(stage.request(SUBJECT, &[]))).expect("reads");
    let connect = async |stage: &Stage| {
        let (router, chains) = taking();
        let connection = station(stage, "CS001", profile_2(stage, "root.pem"), router).await.expect("in");
        boot(connection.peer()).await;
        (connection, chains)
    };
    let reason = |answer: &SignCertificateResponse| {
        answer.status_info.as_ref().map(|info| info.reason_code.to_string()).unwrap_or_default()
    };
    in_runtime(async {
        let (connection, mut chains) = connect(&stage).await;
        // A failure of the service does not count against the limit.
        stage.limit_files(Some(1));
        for _ in 0..25 {
            let answer = ask(&connection, &csr).await;
            assert_eq!(
                (answer.status, &*reason(&answer)),
                (GenericStatusEnumType::Rejected, "InternalError")
            );
        }
        stage.limit_files(None);
        for number in 0..LIMIT {
            let answer = ask(&connection, &csr).await;
            assert_eq!(answer.status, GenericStatusEnumType::Accepted, "{number}: {answer:?}");
            timeout(Duration::from_secs(20), chains.recv()).await.expect("in time").expect("a chain");
            // The answer is recorded before the next request.
            let states = ["Accepted"].repeat(number + 1);
            let all = async {
                loop {
                    let rows = stage.operate(&["certificates"]).await.expect("lists");
                    let rows = rows.as_array().expect("a list").iter().map(|row| row["state"].clone());
                    if rows.eq(states.iter().map(|state| json!(state))) {
                        return;
                    }
                }
            };
            timeout(Duration::from_secs(20), all).await.expect("in time");
        }
        for _ in 0..5 {
            let answer = ask(&connection, &csr).await;
            assert_eq!(answer.status, GenericStatusEnumType::Rejected, "{answer:?}");
        }
    });
    assert_eq!(stage.certificates().len(), LIMIT);
    // The ledger still contains it.
    stage.kill();
    stage.launch();
    in_runtime(async {
        let (connection, _chains) = connect(&stage).await;
        let answer = ask(&connection, &csr).await;
        assert_eq!(answer.status, GenericStatusEnumType::Rejected, "{answer:?}");
        let info = answer.status_info.expect("a reason").additional_info.expect("words").to_string();
        assert!(info.contains("more than 20 certificates"), "{info}");
    });
    assert_eq!(stage.certificates().len(), LIMIT);
}

/// The number of certificates of one station within an hour.
const LIMIT: usize = 20;

/// A folder in place of the list cannot be read by any user, and a file without permission can be
/// read by root.
#[test]
fn a_list_that_cannot_be_read_is_logged() {
    let mut stage = Stage::prepare();
    fs::create_dir_all(stage.path("data/crl/other.crl")).expect("made");
    stage.launch();
    let log = stage.log();
    let line = log.lines().find(|line| line.contains("cannot be read and are not compared with the ledger"));
    assert!(line.is_some_and(|line| line.contains("other.crl") && line.contains("ERROR")), "{log}");
}
