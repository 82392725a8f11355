//! The record of what the authority signs, in the ledger's file.

use std::time::{Duration, SystemTime};

use certificates::{KeyHash, SerialNumber, StationIdentity, UnixSeconds};
use signer_pkcs11::{
    AuditChain, AuditEvent, AuditIndex, ChainEnd, EntryHash, IssuanceRecord, IssuedCertificate,
    PendingCertificate, RecordError, RecordFuture, RevocationReason,
};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use crate::{
    io::{
        ledger::{
            change::Change, database::SqliteLedger, failure::failed, marks::Reach, rows::insert_certificate,
        },
        unix_now,
    },
    ledger::{Delivery, LedgerEntry, LedgerError},
};

/// Entries are durable when these return. A certificate for a station is in the ledger by the same
/// transaction that puts its signature on record: nothing that was signed is lost.
impl IssuanceRecord for SqliteLedger {
    fn append<'a>(&'a self, event: &'a AuditEvent) -> RecordFuture<'a, u64> {
        Box::pin(async move {
            let number = self.append_all(std::slice::from_ref(event)).await.map_err(RecordError::new)?;
            // Before a list is signed, everything knows its number that is kept apart from the
            // ledger.
            if matches!(event, AuditEvent::CrlSigning { .. }) {
                self.advance_marks(Reach::Everywhere).await.map_err(RecordError::new)?;
            }
            Ok(number)
        })
    }

    fn signed<'a>(
        &'a self,
        entry: u64,
        certificate: &'a IssuedCertificate,
        pending: Option<&'a PendingCertificate>,
    ) -> RecordFuture<'a, u64> {
        let write = async move {
            let action = "record an issued certificate";
            let mut change = self.begin(action).await?;
            let number = append(&mut change, &AuditEvent::signed(entry, certificate)).await?;
            if let Some(pending) = pending {
                let mut entry = due(certificate, pending);
                // A request that was passed on is answered now, with the id of its newest
                // repetition (A02.FR.25).
                let request: Option<Option<i64>> = sqlx::query_scalar(
                    "DELETE FROM request WHERE station = ? AND spki_sha256 = ? AND certificate_type = ?
                     RETURNING request_id",
                )
                .bind(entry.station.as_str())
                .bind(entry.spki_sha256.to_string())
                .bind(entry.certificate_type.as_deref().unwrap_or_default())
                .fetch_optional(&mut *change)
                .await
                .map_err(change.failed())?;
                entry.request_id = request.unwrap_or(entry.request_id);
                insert_certificate(&mut change, &entry, unix_now()).await?;
            }
            change.commit().await?;
            Ok::<_, LedgerError>(number)
        };
        Box::pin(async move { write.await.map_err(RecordError::new) })
    }

    fn owner_of_key(&self, key: KeyHash) -> RecordFuture<'_, Option<StationIdentity>> {
        // The second part is of a ledger that is older than its record.
        let query = sqlx::query_scalar(
            "SELECT station FROM record WHERE spki_sha256 = ?1 AND kind = 'signing' AND station <> ''
             UNION ALL SELECT station FROM certificate WHERE spki_sha256 = ?1 LIMIT 1",
        );
        Box::pin(async move {
            let owner: Option<String> = query
                .bind(key.to_string())
                .fetch_optional(&self.pool)
                .await
                .map_err(failed("look a key up"))
                .map_err(RecordError::new)?;
            owner.map(|owner| owner.parse()).transpose().map_err(RecordError::new)
        })
    }

    fn certified_within<'a>(
        &'a self,
        station: &'a StationIdentity,
        window: Duration,
    ) -> RecordFuture<'a, u64> {
        let now = unix_now();
        // A certificate that was issued while the clock was far ahead does not count for ever.
        let query = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM certificate WHERE station = ?1 COLLATE NOCASE AND issued_at > ?2
             AND issued_at <= ?3) + (SELECT count(*) FROM request WHERE station = ?1 AND asked_at > ?2
             AND asked_at <= ?3)",
        )
        .bind(station.as_str())
        .bind(now.saturating_sub(window).as_i64())
        .bind(now.saturating_add(window).as_i64());
        Box::pin(async move {
            let count: Result<i64, _> = query.fetch_one(&self.pool).await;
            let count = count.map_err(failed("count certificates")).map_err(RecordError::new)?;
            Ok(u64::try_from(count).unwrap_or_default())
        })
    }
}

impl SqliteLedger {
    /// Appends entries, all of them or none, and returns the number of the last one.
    pub(crate) async fn append_all(&self, events: &[AuditEvent]) -> Result<u64, LedgerError> {
        let action = "write into its record";
        let mut change = self.begin(action).await?;
        let mut number = 0;
        for event in events {
            number = append(&mut change, event).await?;
        }
        change.commit().await?;
        Ok(number)
    }

    /// Reads the whole record.
    ///
    /// `kept`: the hash of an entry that was kept elsewhere, which has to be there.
    ///
    /// # Errors
    /// [`LedgerError`] whose source tells the first entry that is not as it was written.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn verify_record(&self, kept: Option<EntryHash>) -> Result<AuditChain, LedgerError> {
        let action = "verify its record";
        let broken = |source| LedgerError { action, source: Box::new(source) };
        let mut chain = AuditChain::new();
        let mut found = kept.is_none();
        self.lines(async |line| {
            chain.read_line(&line).map_err(broken)?;
            found |= kept == Some(chain.head());
            Ok(())
        })
        .await?;
        match kept {
            Some(kept) if !found => Err(broken(signer_pkcs11::AuditError::HeadMissing(kept))),
            _ => Ok(chain),
        }
    }

    /// Gives the lines of the record out in order, without their ends: together the text that `hsm
    /// audit verify` reads.
    ///
    /// # Errors
    /// [`LedgerError`] if they cannot be read, and what `take` returns.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn lines(
        &self,
        mut take: impl AsyncFnMut(String) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let mut connection = self.pool.acquire().await.map_err(failed("read its record"))?;
        lines(&mut connection, async |_, line| take(line).await).await
    }

    /// The certificates that an operator means: the one with this serial number, or those of a
    /// station that are valid and not revoked.
    pub(crate) async fn revocable(
        &self,
        serial: Option<SerialNumber>,
        station: Option<&StationIdentity>,
        now: UnixSeconds,
    ) -> Result<Vec<SerialNumber>, LedgerError> {
        let action = "look certificates up";
        let query = match (serial, station) {
            (Some(serial), _) => sqlx::query_scalar(
                "SELECT serial_number FROM certificate WHERE serial_number = ?1
                 UNION SELECT serial FROM record WHERE serial = ?1 AND kind = 'signing' AND ?2 IS NOT NULL",
            )
            .bind(serial.to_string())
            .bind(now.as_i64()),
            (None, station) => sqlx::query_scalar(
                "SELECT serial_number FROM certificate WHERE station = ?1 COLLATE NOCASE AND not_after > ?2 AND NOT EXISTS
                 (SELECT 1 FROM record WHERE serial = serial_number AND kind = 'revoked') ORDER BY issued_at, rowid",
            )
            .bind(station.map(StationIdentity::as_str).unwrap_or_default().to_owned())
            .bind(now.as_i64()),
        };
        let found: Vec<String> = query.fetch_all(&self.pool).await.map_err(failed(action))?;
        let found: Result<_, _> = found.iter().map(|serial| SerialNumber::from_hex(serial)).collect();
        found.map_err(|source| LedgerError { action, source: Box::new(source) })
    }

    /// Puts revocations on record, all of them or none. One that is on record already stays as it
    /// is. Returns those that are new.
    pub(crate) async fn revoke(
        &self,
        serials: &[SerialNumber],
        reason: RevocationReason,
    ) -> Result<Vec<SerialNumber>, LedgerError> {
        let action = "record a revocation";
        let at = unix_now();
        let mut change = self.begin(action).await?;
        let mut new = Vec::new();
        for &serial in serials {
            let known: Option<i64> =
                sqlx::query_scalar("SELECT number FROM record WHERE serial = ? AND kind = 'revoked'")
                    .bind(serial.to_string())
                    .fetch_optional(&mut *change)
                    .await
                    .map_err(change.failed())?;
            if known.is_none() {
                append(&mut change, &AuditEvent::Revoked { serial, at, reason }).await?;
                new.push(serial);
            }
        }
        change.commit().await?;
        Ok(new)
    }

    /// What lists of revoked certificates are made from: the revocations, who issued those
    /// certificates, and the numbers of the last lists.
    pub(crate) async fn revocations(&self) -> Result<AuditIndex, LedgerError> {
        let action = "read revocations";
        let rows = sqlx::query(
            "SELECT number, line FROM record WHERE kind = 'revoked'
             UNION ALL SELECT number, line FROM record WHERE kind = 'signing' AND serial IN
                 (SELECT serial FROM record WHERE kind = 'revoked')
             UNION ALL SELECT number, line FROM record WHERE kind = 'crl-signing' AND number IN
                 (SELECT max(number) FROM record WHERE kind = 'crl-signing' GROUP BY issuer_key_id)
             UNION ALL SELECT number, line FROM record WHERE kind = 'restored'
             AND kind IN ('ledger', 'restored', 'passwords-accepted')
             ORDER BY number",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed(action))?;
        let mut index = AuditIndex::default();
        for row in &rows {
            let (number, line) = numbered(row)?;
            let number = u64::try_from(number).unwrap_or_default();
            let (_, event) = ChainEnd::at(&line, number)
                .map_err(|source| LedgerError { action, source: Box::new(source) })?;
            index.add(number, &event);
        }
        Ok(index)
    }
}

/// Reads the lines of the record in order, with their numbers.
pub(crate) async fn lines(
    connection: &mut SqliteConnection,
    mut take: impl AsyncFnMut(u64, String) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    let mut last = 0_i64;
    loop {
        let rows = sqlx::query("SELECT number, line FROM record WHERE number > ? ORDER BY number LIMIT ?")
            .bind(last)
            .bind(LINES_AT_ONCE)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("read its record"))?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let (number, line) = numbered(&row)?;
            last = number;
            take(u64::try_from(number).unwrap_or_default(), line).await?;
        }
    }
}

/// Appends an entry. The transaction holds the lock of the one writer, so nobody else appends to
/// the same end.
pub(crate) async fn append(change: &mut Change, event: &AuditEvent) -> Result<u64, LedgerError> {
    let action = "write into its record";
    let broken = |source| LedgerError { action, source: Box::new(source) };
    let last = sqlx::query("SELECT number, line FROM record ORDER BY number DESC LIMIT 1")
        .fetch_optional(&mut **change)
        .await
        .map_err(change.failed())?;
    let mut end = match last {
        Some(row) => {
            let (number, line) = numbered(&row)?;
            ChainEnd::at(&line, u64::try_from(number).unwrap_or_default()).map_err(broken)?.0
        }
        None => ChainEnd::default(),
    };
    if change.reached.is_none() {
        change.check_end(&end)?;
    }
    let line = end.append(event, SystemTime::now()).map_err(broken)?;
    sqlx::query("INSERT INTO record (number, line) VALUES (?, ?)")
        .bind(i64::try_from(end.entries()).unwrap_or(i64::MAX))
        .bind(line.trim_end_matches('\n'))
        .execute(&mut **change)
        .await
        .map_err(change.failed())?;
    change.appended(end, event);
    Ok(end.entries())
}

/// A certificate as the ledger keeps it until its station has it.
fn due(certificate: &IssuedCertificate, pending: &PendingCertificate) -> LedgerEntry {
    LedgerEntry {
        serial_number: certificate.serial,
        station: pending.station().identity.clone(),
        certificate_type: pending.certificate_type().map(|kind| kind.as_str().to_owned()),
        request_id: pending.request_id(),
        spki_sha256: pending.csr().public_key().hash(),
        chain: certificate.chain_pem.clone(),
        not_after: certificate.not_after.into(),
        state: Delivery::Issued,
    }
}

pub(crate) fn numbered(row: &SqliteRow) -> Result<(i64, String), LedgerError> {
    let read = || Ok((row.try_get("number")?, row.try_get("line")?));
    read().map_err(failed("read its record"))
}

/// Lines that are in memory at once while a record is read, about half a kilobyte each.
const LINES_AT_ONCE: i64 = 1000;

#[cfg(test)]
mod tests {
    use signer_pkcs11::AuditError;

    use super::*;
    use crate::ledger::Ledger as _;

    async fn ledger() -> (tempfile::TempDir, SqliteLedger) {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = SqliteLedger::open(&folder.path().join("ledger.sqlite")).await.expect("opens");
        (folder, ledger)
    }

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

    async fn text(ledger: &SqliteLedger) -> String {
        let mut text = String::new();
        let take = async |line: String| {
            text += &(line + "\n");
            Ok(())
        };
        ledger.lines(take).await.expect("reads");
        text
    }

    #[tokio::test]
    async fn what_is_written_is_a_chain_that_others_verify() {
        let (_folder, ledger) = ledger().await;
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

    #[tokio::test]
    async fn sixteen_writers_make_one_chain() {
        let (folder, ledger) = ledger().await;
        let second = SqliteLedger::open(&folder.path().join("ledger.sqlite")).await.expect("opens");
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
        let (_folder, ledger) = ledger().await;
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
            let (_folder, ledger) = ledger().await;
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
        let (_folder, ledger) = ledger().await;
        let synchronous: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&ledger.pool).await.expect("reads");
        let mode: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&ledger.pool).await.expect("reads");
        // FULL
        assert_eq!((synchronous, &*mode), (2, "wal"));
    }

    #[tokio::test]
    async fn a_key_is_looked_up_by_an_index() {
        let (_folder, ledger) = ledger().await;
        for column in ["spki_sha256 = 'k' AND kind = 'signing'", "serial = 's' AND kind = 'revoked'"] {
            let query = format!("EXPLAIN QUERY PLAN SELECT station FROM record WHERE {column}");
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(sqlx::AssertSqlSafe(query)).fetch_all(&ledger.pool).await.expect("plans");
            assert!(plan.iter().all(|step| step.3.contains("USING INDEX record_by_")), "{plan:?}");
        }
    }

    #[tokio::test]
    async fn what_is_revoked_is_not_delivered() {
        let (_folder, ledger) = ledger().await;
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
            let mut change = ledger.begin("insert").await.expect("begins");
            insert_certificate(&mut change, &entry, at(1_000)).await.expect("inserts");
            change.commit().await.expect("commits");
        }
        let revocable =
            async |seconds| ledger.revocable(None, Some(&cs001), at(seconds)).await.expect("reads");
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

    #[tokio::test]
    async fn a_revocation_is_on_record_once() {
        let (_folder, ledger) = ledger().await;
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
}
