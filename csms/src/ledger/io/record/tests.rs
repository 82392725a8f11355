use certificates::{KeyHash, SerialNumber, StationIdentity, UnixSeconds};
use signer_pkcs11::{AuditChain, AuditError, AuditEvent, EntryHash, IssuanceRecord as _, RevocationReason};

use crate::ledger::{
    Delivery, Ledger, LedgerEntry, Mark,
    io::test_database::{TestDatabase, on_both},
};

fn serial(text: &str) -> SerialNumber {
    text.parse().expect("a serial number")
}

fn signing(station: &str, serial: &str, key: &str) -> AuditEvent {
    let intent = serde_json::json!({
        "station": station, "subject": "CN=x", "profile": "combined", "serial": serial, "not_after": 2_000,
        "spki_sha256": KeyHash::of_spki(key.as_bytes()), "csr_sha256": "", "issuer_key_id": "aa"
    });
    AuditEvent::Signing(serde_json::from_value(intent).expect("an intent"))
}

async fn text(ledger: &Ledger) -> String {
    let mut text = String::new();
    let take = async |line: String| {
        text += &(line + "\n");
        Ok(())
    };
    ledger.lines(take).await.expect("reads");
    text
}

async fn what_is_written_is_a_chain_that_others_verify(database: &TestDatabase) {
    let ledger = database.open().await;
    assert_eq!(ledger.verify_record(None).await.expect("empty").entries(), 0);
    assert_eq!(ledger.append(&signing("CS001", "40", "k1")).await.expect("writes"), 1);
    assert_eq!(ledger.append(&signing("CS002", "41", "k2")).await.expect("writes"), 2);
    let first = ledger.verify_record(None).await.expect("whole").head();
    let crl = AuditEvent::CrlSigning { issuer_key_id: "aa".into(), number: 7, revoked: 0 };
    assert_eq!(ledger.append(&crl).await.expect("writes"), 3);
    ledger.verify_record(Some(first)).await.expect("the head that was kept is there");
    let other = EntryHash::default();
    let error = ledger.verify_record(Some(other)).await.expect_err("not there");
    assert!(matches!(error.source.downcast_ref(), Some(AuditError::HeadMissing(_))), "{error:?}");

    let chain = AuditChain::read(&text(&ledger).await).expect("the same format as a file's");
    assert_eq!(chain.entries(), 3);
    assert_eq!(chain.head(), ledger.verify_record(None).await.expect("whole").head());
    assert_eq!(ledger.owner_of_key(KeyHash::of_spki(b"k2")).await.expect("reads"), "CS002".parse().ok());
    assert_eq!(ledger.owner_of_key(KeyHash::of_spki(b"k3")).await.expect("reads"), None);
    assert_eq!(ledger.revocations().await.expect("reads").crl_number("aa"), 7);
}

async fn sixteen_writers_make_one_chain(database: &TestDatabase) {
    let ledger = database.open().await;
    let second = database.open().await;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..16 {
        let ledger = if number % 2 == 0 { ledger.clone() } else { second.clone() };
        writers.spawn(async move {
            ledger.append(&signing("CS001", &format!("{number:02x}"), "k")).await.expect("writes")
        });
    }
    let mut numbers = writers.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=16).collect::<Vec<_>>());
    assert_eq!(ledger.verify_record(None).await.expect("whole").entries(), 16);
}

#[tokio::test]
async fn sqlite_refuses_to_change_what_is_on_record() {
    let database = TestDatabase::sqlite();
    let ledger = database.open().await;
    for serial in ["40", "41"] {
        ledger.append(&signing("CS001", serial, "k")).await.expect("writes");
    }
    for (statement, reason) in [
        ("UPDATE record SET line = line WHERE number = 1", "is not changed"),
        ("UPDATE record SET number = 9 WHERE number = 1", "is not changed"),
        ("DELETE FROM record WHERE number = 2", "is not taken away"),
        ("DELETE FROM record", "is not taken away"),
        (
            "INSERT OR REPLACE INTO record (number, line) SELECT 1, line FROM record WHERE number = 2",
            "follows",
        ),
        ("INSERT INTO record (number, line) SELECT 9, line FROM record WHERE number = 2", "follows"),
        ("INSERT INTO record (number, line) VALUES (3, 'no JSON')", "JSON"),
    ] {
        let error = sqlx::query(statement).execute(&ledger.pool).await.expect_err(statement).to_string();
        assert!(error.contains(reason), "{statement}: {error}");
    }
    assert_eq!(ledger.verify_record(None).await.expect("whole").entries(), 2);
}

#[tokio::test]
async fn who_takes_the_triggers_away_is_noticed() {
    for (statement, expected) in [
        ("UPDATE record SET line = replace(line, 'CS001', 'CS009') WHERE number = 1", 1),
        ("DELETE FROM record WHERE number = 2", 2),
        ("UPDATE record SET line = (SELECT line FROM record WHERE number = 2) WHERE number = 1", 1),
    ] {
        let database = TestDatabase::sqlite();
        let ledger = database.open().await;
        for serial in ["40", "41", "42"] {
            ledger.append(&signing("CS001", serial, "k")).await.expect("writes");
        }
        for trigger in ["DROP TRIGGER record_is_not_changed", "DROP TRIGGER record_is_not_shortened"] {
            sqlx::query(trigger).execute(&ledger.pool).await.expect("drops");
        }
        sqlx::query(statement).execute(&ledger.pool).await.expect("changes");
        let error = ledger.verify_record(None).await.expect_err(statement);
        match error.source.downcast_ref() {
            Some(AuditError::Changed { line } | AuditError::Broken { line }) => {
                assert_eq!(*line, expected, "{statement}");
            }
            _ => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn every_commit_is_synced() {
    let database = TestDatabase::sqlite();
    let ledger = database.open().await;
    let synchronous: i64 =
        sqlx::query_scalar("PRAGMA synchronous").fetch_one(&ledger.pool).await.expect("reads");
    let mode: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&ledger.pool).await.expect("reads");
    // FULL
    assert_eq!((synchronous, &*mode), (2, "wal"));
}

#[tokio::test]
async fn a_key_is_looked_up_by_an_index() {
    let database = TestDatabase::sqlite();
    let ledger = database.open().await;
    for column in ["spki_sha256 = 'k' AND kind = 'signing'", "serial = 's' AND kind = 'revoked'"] {
        let query = format!("EXPLAIN QUERY PLAN SELECT station FROM record WHERE {column}");
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(query)).fetch_all(&ledger.pool).await.expect("plans");
        assert!(plan.iter().all(|step| step.3.contains("USING INDEX record_by_")), "{plan:?}");
    }
}

async fn what_is_revoked_is_not_delivered(database: &TestDatabase) {
    let ledger = database.open().await;
    let station = |identity: &str| identity.parse::<StationIdentity>().expect("an identity");
    let (cs001, at) = (station("CS001"), UnixSeconds::new);
    for (serial, key) in [("40", [0x40; 32]), ("41", [0x41; 32])] {
        let entry = LedgerEntry {
            serial_number: self::serial(serial),
            station: cs001.clone(),
            certificate_type: None,
            request_id: None,
            spki_sha256: key.into(),
            chain: "-----BEGIN CERTIFICATE-----".to_owned(),
            not_after: at(2_000),
            state: Delivery::Issued,
        };
        let inserted = ledger.change("insert", entry, |entry, change| {
            Box::pin(async move {
                change.insert(entry.clone(), 1_000);
                Ok(())
            })
        });
        inserted.await.expect("inserts");
    }
    let revocable = async |seconds| ledger.revocable(None, Some(&cs001), at(seconds)).await.expect("reads");
    assert_eq!(revocable(1_500).await, [serial("40"), serial("41")]);
    ledger.revoke(&[serial("40")], RevocationReason::KeyCompromise).await.expect("revokes");
    let due = ledger.undelivered(&cs001, at(1_500)).await.expect("reads");
    assert_eq!(due.iter().map(|entry| entry.serial_number).collect::<Vec<_>>(), [serial("41")]);
    assert_eq!(revocable(1_500).await, [serial("41")]);
    assert_eq!(revocable(2_000).await, [], "expired");
    let found = ledger.revocable(Some(serial("40")), None, at(1_500)).await.expect("reads");
    assert_eq!(found, [serial("40")]);
    for (key, identity, number, compromised) in
        [(0x40, "CS001", "40", true), (0x41, "CS001", "41", false), (0x40, "CS002", "42", true)]
    {
        assert_eq!(ledger.is_compromised([key; 32].into()).await.expect("reads"), compromised);
        let revoked = ledger.is_revoked(&station(identity), serial(number)).await.expect("reads");
        assert_eq!(revoked, (identity, number) == ("CS001", "40"));
    }
}

async fn a_revocation_is_on_record_once(database: &TestDatabase) {
    let ledger = database.open().await;
    ledger.append(&signing("CS001", "40", "k")).await.expect("writes");
    let serials = [serial("40"), serial("50")];
    let reason = RevocationReason::KeyCompromise;
    assert_eq!(ledger.revoke(&serials, reason).await.expect("writes"), serials);
    assert_eq!(ledger.revoke(&serials, RevocationReason::Superseded).await.expect("reads"), []);
    let index = ledger.revocations().await.expect("reads");
    assert_eq!(index.revoked().iter().map(|one| one.reason).collect::<Vec<_>>(), [reason, reason]);
    let serials_of = |issuer: &str| {
        index
            .revoked_by(issuer)
            .into_iter()
            .map(|revocation| revocation.serial.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(serials_of("aa"), ["40", "50"]);
    assert_eq!(serials_of("bb"), ["50"], "what is not on record may be anybody's");
}

/// As after an older copy was put in its place, or a standby promoted, and entries were appended.
async fn rollback_a_record_with_other_entries_is_refused(database: &TestDatabase) {
    let ledger = database.open().await;
    let append = || ledger.append(&AuditEvent::PasswordsAccepted);
    append().await.expect("writes");
    let first = ledger.state.reached();
    append().await.expect("writes");
    let second = ledger.state.reached();
    let reach = |mark| *ledger.state.reached.lock().expect("not poisoned") = mark;
    // Another node has appended the second entry.
    reach(first.clone());
    append().await.expect("writes");
    reach(Mark { head: second.head, ..first });
    let error = program::causes(&append().await.expect_err("another first entry")).to_string();
    assert!(error.contains("entry 1 of the ledger is not the one that was written"), "{error}");
    append().await.expect_err("final");
    assert_eq!(ledger.verify_record(None).await.expect("whole").entries(), 3);
}

on_both!(
    rollback_a_record_with_other_entries_is_refused,
    what_is_written_is_a_chain_that_others_verify,
    sixteen_writers_make_one_chain,
    what_is_revoked_is_not_delivered,
    a_revocation_is_on_record_once,
);
