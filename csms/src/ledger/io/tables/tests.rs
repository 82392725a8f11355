use std::path::Path;

use certificates::{KeyHash, SerialNumber, StationIdentity, UnixSeconds};
use signer_pkcs11::IssuanceRecord as _;

use crate::ledger::{
    CertificateFilter, ChangedPasswords, Delivery, Ledger, LedgerEntry, LedgerError, PasswordAnswer,
    SerialNumberTaken,
    io::{
        database::failure::Within as _,
        test_database::{TestDatabase, on_both},
    },
};

fn cs001() -> StationIdentity {
    station("CS001")
}

fn station(identity: &str) -> StationIdentity {
    identity.parse().expect("an identity")
}

fn serial(text: &str) -> SerialNumber {
    text.parse().expect("a serial number")
}

fn at(seconds: i64) -> UnixSeconds {
    UnixSeconds::new(seconds)
}

fn issued(serial_number: &str) -> LedgerEntry {
    LedgerEntry {
        serial_number: serial(serial_number),
        station: cs001(),
        certificate_type: Some("ChargingStationCertificate".to_owned()),
        request_id: None,
        spki_sha256: KeyHash::from([0xab; 32]),
        chain: "-----BEGIN CERTIFICATE-----".to_owned(),
        not_after: at(2_000),
        state: Delivery::Issued,
    }
}

impl Ledger {
    async fn issued(&self, entry: &LedgerEntry, now: i64) -> Result<(), LedgerError> {
        self.change("begin", (entry.clone(), now), |(entry, now), change| {
            Box::pin(async move {
                change.insert(entry.clone(), *now);
                Ok(())
            })
        })
        .await
    }
}

async fn what_was_issued_and_not_answered_is_there_after_a_restart(database: &TestDatabase) {
    let ledger = database.open().await;
    for serial_number in ["a1", "a2", "a3"] {
        ledger.issued(&issued(serial_number), 1_000).await.expect("records");
    }
    ledger.answered(serial("a1"), &Delivery::Accepted, at(1_001)).await.expect("records");
    let rejected = Delivery::Rejected { reason: Some("InvalidCertificate".to_owned()) };
    ledger.answered(serial("a2"), &rejected, at(1_001)).await.expect("records");
    drop(ledger);

    let ledger = database.open().await;
    assert_eq!(ledger.undelivered(&cs001(), at(1_500)).await.expect("reads"), [issued("a3")]);
    assert_eq!(ledger.undelivered(&cs001(), at(2_000)).await.expect("reads"), [], "expired");
    assert_eq!(ledger.undelivered(&station("CS002"), at(1_500)).await.expect("reads"), []);
    let states = ledger
        .certificates(&CertificateFilter::default(), i64::MAX, 10)
        .await
        .expect("reads")
        .into_iter()
        .map(|entry| entry.state);
    assert_eq!(states.collect::<Vec<_>>(), [Delivery::Issued, rejected, Delivery::Accepted]);
    assert_eq!(ledger.owner_of_key([0xab; 32].into()).await.expect("reads"), "CS001".parse().ok());
}

async fn a_certificate_that_is_issued_again_is_due_again(database: &TestDatabase) {
    let ledger = database.open().await;
    ledger.issued(&issued("a1"), 1_000).await.expect("records");
    ledger.answered(serial("a1"), &Delivery::Accepted, at(1_001)).await.expect("records");
    let again = LedgerEntry { request_id: Some(7), ..issued("a1") };
    ledger.issued(&again, 1_002).await.expect("records");
    for other in [
        LedgerEntry { station: station("CS002"), ..issued("a1") },
        LedgerEntry { spki_sha256: KeyHash::from([0xcd; 32]), ..issued("a1") },
    ] {
        let error = ledger.issued(&other, 1_003).await.expect_err("another certificate");
        assert!(error.source.is::<SerialNumberTaken>(), "{error:?}");
    }
    assert_eq!(
        ledger.undelivered(&cs001(), at(1_500)).await.expect("reads"),
        [again],
        "nothing else was changed"
    );
}

async fn a02_fr_25_the_id_of_the_newest_request_counts(database: &TestDatabase) {
    let ledger = database.open().await;
    ledger.issued(&LedgerEntry { request_id: Some(7), ..issued("a1") }, 1_000).await.expect("records");
    ledger.issued(&issued("a2"), 1_000).await.expect("records");
    ledger.asked_again(serial("a1"), Some(i64::MIN)).await.expect("records");
    let due = ledger.undelivered(&cs001(), at(1_500)).await.expect("reads");
    assert_eq!(due.iter().map(|entry| entry.request_id).collect::<Vec<_>>(), [Some(i64::MIN), None]);
}

async fn a05_fr_07_profile_only_rises_until_it_is_released(database: &TestDatabase) {
    let ledger = database.open().await;
    assert_eq!(ledger.security_profile(&cs001()).await.expect("reads"), None);
    assert_eq!(ledger.raise_security_profile(&cs001(), 2).await.expect("raises"), 2);
    assert_eq!(ledger.raise_security_profile(&cs001(), 3).await.expect("raises"), 3);
    assert_eq!(ledger.raise_security_profile(&cs001(), 2).await.expect("keeps"), 3);
    assert_eq!(ledger.security_profile(&cs001()).await.expect("reads"), Some(3));
    ledger.release(&cs001()).await.expect("releases");
    assert_eq!(ledger.security_profile(&cs001()).await.expect("reads"), None);
}

async fn what_is_known_of_a_station_counts_for_each_spelling_of_its_identity(database: &TestDatabase) {
    let ledger = database.open().await;
    ledger.issued(&issued("a1"), 1_000).await.expect("records");
    ledger.raise_security_profile(&cs001(), 3).await.expect("raises");
    ledger.register(&station("cs001"), at(1_000)).await.expect("records");
    ledger.offer_password(&cs001(), "first").await.expect("records");
    // Another spelling is used after a change of the configuration.
    assert_eq!(ledger.undelivered(&station("cs001"), at(1_500)).await.expect("reads"), [issued("a1")]);
    assert_eq!(ledger.raise_security_profile(&station("cs001"), 2).await.expect("keeps"), 3, "A05.FR.07");
    assert!(ledger.registered(&cs001()).await.expect("reads"));
    ledger.settle_password(&station("cs001"), PasswordAnswer::Taken).await.expect("records");
    assert_eq!(ledger.passwords(&station("Cs001")).await.expect("reads").taken.as_deref(), Some("first"));
    assert!(!ledger.is_revoked(&station("cs001"), serial("a1")).await.expect("reads"));
    let reason = signer_pkcs11::RevocationReason::KeyCompromise;
    let found = ledger.revocable(None, Some(&station("Cs001")), at(1_500)).await.expect("reads");
    ledger.revoke(&found, reason).await.expect("revokes");
    assert!(ledger.is_revoked(&station("cs001"), serial("a1")).await.expect("reads"), "A00.FR.705");
    ledger.release(&station("cs001")).await.expect("releases");
    assert_eq!(ledger.security_profile(&cs001()).await.expect("reads"), None);
    ledger.register(&cs001(), at(1_000)).await.expect_err("it was not admitted since");
}

async fn b01_fr_08_a_registration_is_remembered_until_it_is_released(database: &TestDatabase) {
    let ledger = database.open().await;
    assert!(!ledger.registered(&cs001()).await.expect("reads"));
    ledger.raise_security_profile(&cs001(), 2).await.expect("raises");
    assert!(!ledger.registered(&cs001()).await.expect("reads"));
    ledger.register(&cs001(), at(1_000)).await.expect("records");
    drop(ledger);
    let ledger = database.open().await;
    assert!(ledger.registered(&cs001()).await.expect("reads"));
    ledger.release(&cs001()).await.expect("releases");
    assert!(!ledger.registered(&cs001()).await.expect("reads"));
}

async fn a01_fr_03_a01_fr_04_a_password_counts_as_the_station_has_answered(database: &TestDatabase) {
    let ledger = database.open().await;
    let known = async || {
        let ChangedPasswords { taken, offered } = ledger.passwords(&cs001()).await.expect("reads");
        (taken.unwrap_or_default(), offered.unwrap_or_default())
    };
    let pair = |taken: &str, offered: &str| (taken.to_owned(), offered.to_owned());
    assert_eq!(known().await, pair("", ""));
    ledger.offer_password(&cs001(), "first").await.expect("records");
    assert_eq!(known().await, pair("", "first"));
    ledger.settle_password(&cs001(), PasswordAnswer::Taken).await.expect("records");
    assert_eq!(known().await, pair("first", ""));
    ledger.offer_password(&cs001(), "second").await.expect("records");
    ledger.settle_password(&cs001(), PasswordAnswer::Refused).await.expect("records");
    assert_eq!(known().await, pair("first", ""));
    // It is recorded twice if the station connects with the new password before its answer is
    // recorded.
    for _ in 0..2 {
        ledger.settle_password(&cs001(), PasswordAnswer::Taken).await.expect("records");
        assert_eq!(known().await, pair("first", ""));
    }
    ledger.release(&cs001()).await.expect("releases");
    assert_eq!(known().await, pair("", ""));
}

async fn a_text_of_a_station_fails_no_change_of_others(database: &TestDatabase) {
    let ledger = database.open().await;
    for serial_number in ["a1", "a2"] {
        ledger.issued(&issued(serial_number), 1_000).await.expect("records");
    }
    let rejected = Delivery::Rejected { reason: Some("a\0b".to_owned()) };
    // Both wait at once, so that one commit has them.
    let (one, other, wrong) = tokio::join!(
        ledger.answered(serial("a1"), &rejected, at(1_001)),
        ledger.not_answered(serial("a2"), "c\0d", at(1_001)),
        ledger.change("break a rule", (), |(), change| {
            Box::pin(async move {
                sqlx::query("UPDATE certificate SET state = 'Unknown'")
                    .execute(change.connection().await?)
                    .within("break a rule")
                    .await
                    .map(drop)
            })
        }),
    );
    one.expect("records");
    other.expect("records");
    wrong.expect_err("the table's CHECK");
    let states = ledger.certificates(&CertificateFilter::default(), i64::MAX, 10).await.expect("reads");
    let reasons = states.into_iter().map(|entry| entry.problem.unwrap_or_default()).collect::<Vec<_>>();
    assert_eq!(reasons, ["c\u{fffd}d", "a\u{fffd}b"]);
}

#[tokio::test]
async fn a_folder_that_is_missing_is_a_clear_error() {
    let error = Ledger::open_file(Path::new("/nonexistent/ledger.sqlite")).await.expect_err("no folder");
    assert_eq!(error.to_string(), "the ledger failed to open");
}

on_both!(
    a_text_of_a_station_fails_no_change_of_others,
    what_was_issued_and_not_answered_is_there_after_a_restart,
    a_certificate_that_is_issued_again_is_due_again,
    a02_fr_25_the_id_of_the_newest_request_counts,
    a05_fr_07_profile_only_rises_until_it_is_released,
    what_is_known_of_a_station_counts_for_each_spelling_of_its_identity,
    b01_fr_08_a_registration_is_remembered_until_it_is_released,
    a01_fr_03_a01_fr_04_a_password_counts_as_the_station_has_answered,
);
