//! No statement of a station's path reads a whole table, however long the service has run.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex},
};

use certificates::{KeyHash, SerialNumber, StationIdentity, UnixSeconds};
use signer_pkcs11::{AuditEvent, IssuanceRecord as _, RevocationReason};
use sqlx::Row as _;
use tracing::{Event, Subscriber, field::Visit};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

use crate::{
    ledger::{
        CertificateFilter, CertificateState, Delivery, ForwardedRequest, LedgerEntry, PasswordAnswer,
        io::test_database::TestDatabase,
    },
    stations::registry::{Learnt, StationFields, StationFilter},
};

/// Collects the text of each statement, as sqlx logs it.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<BTreeSet<String>>>);

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut found = Found::default();
        event.record(&mut found);
        let text = if found.whole.is_empty() { found.summary } else { found.whole };
        if !text.is_empty() {
            self.0.lock().expect("no test panics with it").insert(text);
        }
    }
}

#[derive(Default)]
struct Found {
    summary: String,
    whole: String,
}

impl Visit for Found {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        match field.name() {
            "summary" => self.summary = value.to_owned(),
            "db.statement" => self.whole = value.trim().to_owned(),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &tracing::field::Field, _: &dyn fmt::Debug) {}
}

#[tokio::test]
async fn statements_use_indexes() {
    let statements = Statements::default();
    let database = TestDatabase::sqlite();
    let subscriber = tracing_subscriber::registry().with(statements.clone());
    // SQLite runs on threads of its own, and they log.
    tracing::subscriber::set_global_default(subscriber).expect("a process of its own");
    let ledger = database.open().await;
    everything(&ledger).await;
    let texts = std::mem::take(&mut *statements.0.lock().expect("no test panics with it"));
    let mut explained = 0;
    for text in texts {
        let verb = text.split_whitespace().next().unwrap_or_default();
        if !["SELECT", "UPDATE", "DELETE"].contains(&verb)
            || text.contains("sqlite_master")
            || text.contains("_sqlx_migrations")
        {
            continue;
        }
        let explain = format!("EXPLAIN QUERY PLAN {text}");
        let plan = sqlx::query(sqlx::AssertSqlSafe(explain)).fetch_all(&ledger.pool).await.expect("a plan");
        for step in plan {
            let step: String = step.try_get("detail").expect("a step");
            let scans = step.starts_with("SCAN") && !step.contains("USING") && !step.contains("CONSTANT");
            assert!(!scans || WHOLE_TABLES.iter().any(|part| text.contains(part)), "{step}: {text}");
        }
        explained += 1;
    }
    assert!(explained > 30, "only {explained} statements were seen");
}

/// Makes every call that a station's path makes, or an operator's.
async fn everything(ledger: &crate::Ledger) {
    let station: StationIdentity = "CS001".parse().expect("an identity");
    let serial: SerialNumber = "40".parse().expect("a serial number");
    let (key, at) = (KeyHash::from([7; 32]), UnixSeconds::new);
    let entry = LedgerEntry {
        serial_number: serial,
        station: station.clone(),
        certificate_type: None,
        request_id: None,
        spki_sha256: key,
        chain: String::new(),
        not_after: at(2_000),
        state: Delivery::Issued,
    };
    let insert = ledger.change("insert", entry.clone(), |entry, change| {
        Box::pin(async move {
            change.insert(entry.clone(), 1_000);
            Ok(())
        })
    });
    insert.await.expect("inserts");
    ledger.raise_security_profile(&station, 2).await.expect("raises");
    ledger.security_profile(&station).await.expect("reads");
    ledger.register(&station, at(1)).await.expect("registers");
    ledger.undelivered(&station, at(1)).await.expect("reads");
    ledger.due(&station, at(1)).await.expect("reads");
    ledger.due_again(at(1)).await.expect("reads");
    ledger.given_up(at(1)).await.expect("reads");
    ledger.asked_again(serial, None).await.expect("writes");
    ledger.not_answered(serial, "no", at(1)).await.expect("writes");
    ledger.check_signed(&entry).await.expect("reads");
    ledger.answered(serial, &Delivery::Rejected { reason: None }, at(1)).await.expect("writes");
    ledger.proved(&station, serial, at(1)).await.expect("writes");
    for state in [CertificateState::Issued, CertificateState::Revoked] {
        let filter = CertificateFilter {
            station: Some(station.clone()),
            state: Some(state),
            expiring_before: Some(at(9)),
        };
        ledger.certificates(&filter, i64::MAX, 10).await.expect("reads");
    }
    ledger.certificates(&CertificateFilter::default(), i64::MAX, 10).await.expect("reads");
    ledger.is_revoked(&station, serial).await.expect("reads");
    ledger.is_compromised(key).await.expect("reads");
    ledger.owner_of_key(key).await.expect("reads");
    ledger.certified_within(&station, std::time::Duration::from_secs(9)).await.expect("reads");
    ledger.issued_after(std::time::SystemTime::now(), 9).await.expect("reads");
    ledger.offer_password(&station, "hash").await.expect("writes");
    ledger.settle_password(&station, PasswordAnswer::Taken).await.expect("writes");
    ledger.passwords(&station).await.expect("reads");
    let request = ForwardedRequest {
        id: 0,
        station: station.clone(),
        spki_sha256: key,
        certificate_type: None,
        request_id: None,
        csr: String::new(),
        asked_at: at(1),
        failure: None,
    };
    ledger.ask(&request).await.expect("writes");
    ledger.waiting().await.expect("reads");
    ledger.requests(i64::MAX, 9).await.expect("reads");
    ledger.request_failed(&ForwardedRequest { id: 1, ..request.clone() }, "no").await.expect("writes");
    let found = ledger.revocable(None, Some(&station), at(1)).await.expect("reads");
    ledger.revoke(&found, RevocationReason::Superseded).await.expect("writes");
    ledger.revocable(Some(serial), None, at(1)).await.expect("reads");
    ledger.revocations().await.expect("reads");
    ledger.append_all(&[AuditEvent::PasswordsAccepted]).await.expect("writes");
    ledger.entry(1).await.expect("reads");
    ledger.entry_hash(1).await.expect("reads");
    ledger.read_reached(&[]).await.expect("reads");
    ledger.release(&station).await.expect("writes");
    stations(ledger, &station).await;
}

/// The calls about registered stations.
async fn stations(ledger: &crate::Ledger, identity: &StationIdentity) {
    let fields = StationFields {
        identity: identity.to_string(),
        serial_number: "SN-0001".to_owned(),
        ..StationFields::default()
    };
    let station = fields.check().expect("no rule is broken");
    let event = || AuditEvent::StationEdited {
        station: identity.clone(),
        by: "test".to_owned(),
        change: String::new(),
    };
    ledger.add_stations(vec![station.clone()], event()).await.expect("writes");
    ledger.set_station(station.clone(), event()).await.expect("writes");
    ledger.taken(std::slice::from_ref(&station)).await.expect("reads");
    ledger.registered_station(identity).await.expect("reads");
    ledger.raise_security_profile(identity, 2).await.expect("raises");
    ledger.register_boot(identity, UnixSeconds::new(1), Learnt::default()).await.expect("writes");
    for group in [None, Some("north".to_owned())] {
        for not_seen_since in [None, Some(UnixSeconds::new(9))] {
            let filter = StationFilter { group: group.clone(), label: None, not_seen_since };
            ledger.registered_stations(&filter, "", 9).await.expect("reads");
        }
    }
    ledger.remove_station(identity, event()).await.expect("writes");
}

/// Statements that SQLite calls scans: they stop at the first row, or the rows are few.
const WHOLE_TABLES: &[&str] =
    &["FROM record ORDER BY number DESC LIMIT 1", "FROM request WHERE failure IS NULL"];
