//! The ledger in one SQLite file.

use std::{
    ops::{Deref, DerefMut},
    path::Path,
    time::Duration,
};

use signer_pkcs11::AuditEvent;
use sqlx::{
    Row as _, Sqlite, SqliteConnection, SqlitePool,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};

use crate::ledger::{
    ChangedPasswords, Delivery, ForwardedRequest, Ledger, LedgerEntry, LedgerError, PasswordAnswer, Revoked,
    SerialNumberTaken,
};

/// The ledger in one SQLite file, durable after each call (write-ahead log, synced at every commit).
#[derive(Clone, Debug)]
pub struct SqliteLedger {
    pub(crate) pool: SqlitePool,
}

impl SqliteLedger {
    /// Opens the ledger, making the file and its tables where they are missing.
    ///
    /// # Errors
    /// [`LedgerError`] where the file cannot be opened or is no ledger of this version or an older one.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let ledger = Self::connect(options).await?;
        MIGRATIONS
            .run(&ledger.pool)
            .await
            .map_err(|source| LedgerError { action: "migrate", source: source.into() })?;
        Ok(ledger)
    }

    /// Opens a ledger that is there, and changes nothing of it.
    ///
    /// # Errors
    /// [`LedgerError`] where the file cannot be opened.
    pub async fn open_to_read(path: &Path) -> Result<Self, LedgerError> {
        Self::connect(SqliteConnectOptions::new().filename(path).read_only(true)).await
    }

    async fn connect(options: SqliteConnectOptions) -> Result<Self, LedgerError> {
        let pool = SqlitePoolOptions::new()
            .max_connections(MOST_CONNECTIONS)
            .acquire_timeout(BUSY_TIMEOUT)
            .connect_with(options.busy_timeout(BUSY_TIMEOUT))
            .await
            .map_err(failed("open"))?;
        Ok(Self { pool })
    }

    /// A change that holds the lock of the one writer from its beginning, so that what it reads stays true.
    pub(crate) async fn begin(&self, action: &'static str) -> Result<Change, LedgerError> {
        let connection = self.pool.acquire().await.map_err(failed(action))?;
        let mut change = Change { connection, action, committed: false };
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *change).await.map_err(failed(action))?;
        Ok(change)
    }
}

/// Statements of which all count, or none.
///
/// It is not sqlx's own change, which loses count where SQLite has rolled back by itself, as it does on a full disk,
/// and leaves a connection in the pool that begins no other.
#[derive(Debug)]
pub(crate) struct Change {
    connection: PoolConnection<Sqlite>,
    action: &'static str,
    committed: bool,
}

impl Change {
    pub(crate) async fn commit(mut self) -> Result<(), LedgerError> {
        let action = self.action;
        sqlx::query("COMMIT").execute(&mut *self).await.map_err(failed(action))?;
        self.committed = true;
        Ok(())
    }
}

impl Deref for Change {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        // Where it stands is not known, and with the connection everything ends that was not committed.
        if !self.committed {
            self.connection.close_on_drop();
        }
    }
}

impl Ledger for SqliteLedger {
    async fn asked_again(&self, serial_number: &str, request_id: Option<i64>) -> Result<(), LedgerError> {
        sqlx::query("UPDATE certificate SET request_id = ? WHERE serial_number = ?")
            .bind(request_id)
            .bind(serial_number)
            .execute(&self.pool)
            .await
            .map_err(failed("record a repeated request"))?;
        Ok(())
    }

    async fn answered(&self, serial_number: &str, state: &Delivery, now: i64) -> Result<(), LedgerError> {
        let (state, reason) = columns(state);
        sqlx::query("UPDATE certificate SET state = ?, reason = ?, answered_at = ? WHERE serial_number = ?")
            .bind(state)
            .bind(reason)
            .bind(now)
            .bind(serial_number)
            .execute(&self.pool)
            .await
            .map_err(failed("record a station's answer"))?;
        Ok(())
    }

    async fn undelivered(&self, station: &str, now: i64) -> Result<Vec<LedgerEntry>, LedgerError> {
        let rows = sqlx::query(
            "SELECT *, NULL AS revocation FROM certificate WHERE station = ? COLLATE NOCASE AND state = 'Issued' AND not_after > ?
             AND NOT EXISTS (SELECT 1 FROM record WHERE serial = serial_number AND kind = 'revoked')
             ORDER BY issued_at, rowid",
        )
        .bind(station)
        .bind(now)
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read undelivered certificates"))?;
        rows.iter().map(entry).collect()
    }

    async fn certificates(&self, limit: u32) -> Result<Vec<LedgerEntry>, LedgerError> {
        let rows = sqlx::query(
            "SELECT *, (SELECT line ->> '$.entry.event' FROM record WHERE serial = serial_number AND kind = 'revoked'
             ORDER BY number LIMIT 1) AS revocation FROM certificate ORDER BY issued_at DESC, rowid DESC LIMIT ?",
        )
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read certificates"))?;
        rows.iter().map(entry).collect()
    }

    async fn is_revoked(&self, station: &str, serial_number: &str) -> Result<bool, LedgerError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM certificate WHERE serial_number = ?1 AND station = ?2 COLLATE NOCASE
             AND EXISTS (SELECT 1 FROM record WHERE serial = ?1 AND kind = 'revoked')",
        )
        .bind(serial_number)
        .bind(station)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed("look a revocation up"))?;
        Ok(found.is_some())
    }

    async fn ask(&self, request: &ForwardedRequest) -> Result<(), LedgerError> {
        sqlx::query(
            "INSERT INTO request (station, spki_sha256, certificate_type, request_id, csr, asked_at)
             VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (station, spki_sha256, certificate_type) DO UPDATE SET
             request_id = excluded.request_id, csr = excluded.csr, asked_at = excluded.asked_at, failure = NULL",
        )
        .bind(&request.station)
        .bind(&request.spki_sha256)
        .bind(request.certificate_type.as_deref().unwrap_or_default())
        .bind(request.request_id)
        .bind(&request.csr)
        .bind(request.asked_at)
        .execute(&self.pool)
        .await
        .map_err(failed("record a request"))?;
        Ok(())
    }

    async fn waiting(&self) -> Result<Vec<ForwardedRequest>, LedgerError> {
        let rows = sqlx::query("SELECT * FROM request WHERE failure IS NULL ORDER BY asked_at, id")
            .fetch_all(&self.pool)
            .await
            .map_err(failed("read requests"))?;
        rows.iter().map(forwarded).collect()
    }

    async fn requests(&self, limit: u32) -> Result<Vec<ForwardedRequest>, LedgerError> {
        let rows = sqlx::query("SELECT * FROM request ORDER BY asked_at DESC, id DESC LIMIT ?")
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(failed("read requests"))?;
        rows.iter().map(forwarded).collect()
    }

    async fn request_failed(&self, id: i64, reason: &str) -> Result<(), LedgerError> {
        sqlx::query("UPDATE request SET failure = ? WHERE id = ?")
            .bind(reason)
            .bind(id)
            .execute(&self.pool)
            .await
            .map_err(failed("record a request's failure"))?;
        Ok(())
    }

    async fn is_compromised(&self, spki_sha256: &str) -> Result<bool, LedgerError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM certificate WHERE spki_sha256 = ? AND EXISTS (SELECT 1 FROM record WHERE
             serial = serial_number AND kind = 'revoked' AND line ->> '$.entry.event.reason' = 'key-compromise')",
        )
        .bind(spki_sha256)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed("look a key up"))?;
        Ok(found.is_some())
    }

    async fn security_profile(&self, station: &str) -> Result<Option<u8>, LedgerError> {
        sqlx::query_scalar("SELECT security_profile FROM station WHERE identity = ?")
            .bind(station)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("read a security profile"))
    }

    async fn raise_security_profile(&self, station: &str, profile: u8) -> Result<u8, LedgerError> {
        // Mostly it is recorded already, and a write costs a sync of the disk.
        if let Some(recorded) = self.security_profile(station).await?.filter(|recorded| *recorded >= profile)
        {
            return Ok(recorded);
        }
        sqlx::query_scalar(
            "INSERT INTO station (identity, security_profile) VALUES (?1, ?2)
             ON CONFLICT (identity) DO UPDATE SET security_profile = max(security_profile, ?2)
             RETURNING security_profile",
        )
        .bind(station)
        .bind(profile)
        .fetch_one(&self.pool)
        .await
        .map_err(failed("raise a security profile"))
    }

    async fn registered(&self, station: &str) -> Result<bool, LedgerError> {
        let row: Option<Option<i64>> =
            sqlx::query_scalar("SELECT accepted_at FROM station WHERE identity = ?")
                .bind(station)
                .fetch_optional(&self.pool)
                .await
                .map_err(failed("read a registration"))?;
        Ok(row.flatten().is_some())
    }

    async fn register(&self, station: &str, now: i64) -> Result<(), LedgerError> {
        // Mostly it is recorded already, and a write costs a sync of the disk.
        if self.registered(station).await? {
            return Ok(());
        }
        let action = "record a registration";
        let done = sqlx::query("UPDATE station SET accepted_at = ? WHERE identity = ?")
            .bind(now)
            .bind(station)
            .execute(&self.pool)
            .await
            .map_err(failed(action))?;
        // It was released while it was connected, and has to be admitted again first.
        match done.rows_affected() {
            0 => Err(failed(action)(sqlx::Error::RowNotFound)),
            _ => Ok(()),
        }
    }

    async fn passwords(&self, station: &str) -> Result<ChangedPasswords, LedgerError> {
        let row = sqlx::query_as("SELECT taken, offered FROM password WHERE identity = ?")
            .bind(station)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("read a station's passwords"))?;
        let (taken, offered) = row.unwrap_or_default();
        Ok(ChangedPasswords { taken, offered })
    }

    async fn offer_password(&self, station: &str, hash: &str) -> Result<(), LedgerError> {
        sqlx::query(
            "INSERT INTO password (identity, offered) VALUES (?1, ?2)
             ON CONFLICT (identity) DO UPDATE SET offered = ?2",
        )
        .bind(station)
        .bind(hash)
        .execute(&self.pool)
        .await
        .map_err(failed("record a password"))?;
        Ok(())
    }

    async fn settle_password(&self, station: &str, answer: PasswordAnswer) -> Result<(), LedgerError> {
        let statement = match answer {
            PasswordAnswer::Taken => {
                "UPDATE password SET taken = offered, offered = NULL WHERE identity = ? AND offered IS NOT NULL"
            }
            PasswordAnswer::Refused => "UPDATE password SET offered = NULL WHERE identity = ?",
        };
        sqlx::query(statement)
            .bind(station)
            .execute(&self.pool)
            .await
            .map_err(failed("record a station's password"))?;
        Ok(())
    }

    async fn release(&self, station: &str) -> Result<(), LedgerError> {
        let action = "release a station";
        let mut change = self.begin(action).await?;
        for statement in ["DELETE FROM station WHERE identity = ?", "DELETE FROM password WHERE identity = ?"]
        {
            sqlx::query(statement).bind(station).execute(&mut *change).await.map_err(failed(action))?;
        }
        change.commit().await
    }
}

/// Remembers a certificate as due to its station, also again where another authority issues the same for a key.
pub(crate) async fn insert_certificate(
    connection: &mut SqliteConnection,
    entry: &LedgerEntry,
    now: i64,
) -> Result<(), LedgerError> {
    let action = "record an issued certificate";
    let written = sqlx::query(
        "INSERT INTO certificate (serial_number, station, certificate_type, request_id, spki_sha256, chain, not_after, issued_at, state)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'Issued') ON CONFLICT (serial_number) DO UPDATE SET state = 'Issued', reason = NULL,
         answered_at = NULL, request_id = excluded.request_id, certificate_type = excluded.certificate_type
         WHERE station = excluded.station AND spki_sha256 = excluded.spki_sha256",
    )
    .bind(&entry.serial_number)
    .bind(&entry.station)
    .bind(&entry.certificate_type)
    .bind(entry.request_id)
    .bind(&entry.spki_sha256)
    .bind(&entry.chain)
    .bind(entry.not_after)
    .bind(now)
    .execute(connection)
    .await
    .map_err(failed(action))?;
    match written.rows_affected() {
        0 => Err(LedgerError { action, source: Box::new(SerialNumberTaken(entry.serial_number.clone())) }),
        _ => Ok(()),
    }
}

fn columns(state: &Delivery) -> (&'static str, Option<&str>) {
    match state {
        Delivery::Issued => ("Issued", None),
        Delivery::Accepted => ("Accepted", None),
        Delivery::Rejected { reason } => ("Rejected", reason.as_deref()),
    }
}

fn entry(row: &SqliteRow) -> Result<LedgerEntry, LedgerError> {
    let read = || -> Result<LedgerEntry, sqlx::Error> {
        Ok(LedgerEntry {
            serial_number: row.try_get("serial_number")?,
            station: row.try_get("station")?,
            certificate_type: row.try_get("certificate_type")?,
            request_id: row.try_get("request_id")?,
            spki_sha256: row.try_get("spki_sha256")?,
            chain: row.try_get("chain")?,
            not_after: row.try_get("not_after")?,
            // The table's CHECK allows these three.
            state: match row.try_get::<String, _>("state")?.as_str() {
                "Issued" => Delivery::Issued,
                "Accepted" => Delivery::Accepted,
                _ => Delivery::Rejected { reason: row.try_get("reason")? },
            },
            revoked: row.try_get::<Option<String>, _>("revocation")?.and_then(|event| revoked(&event)),
        })
    };
    read().map_err(failed("read a certificate"))
}

fn forwarded(row: &SqliteRow) -> Result<ForwardedRequest, LedgerError> {
    let read = || -> Result<ForwardedRequest, sqlx::Error> {
        Ok(ForwardedRequest {
            id: row.try_get("id")?,
            station: row.try_get("station")?,
            spki_sha256: row.try_get("spki_sha256")?,
            certificate_type: Some(row.try_get("certificate_type")?).filter(|text: &String| !text.is_empty()),
            request_id: row.try_get("request_id")?,
            csr: row.try_get("csr")?,
            asked_at: row.try_get("asked_at")?,
            failure: row.try_get("failure")?,
        })
    };
    read().map_err(failed("read a request"))
}

fn revoked(event: &str) -> Option<Revoked> {
    match serde_json::from_str(event) {
        Ok(AuditEvent::Revoked { at, reason, .. }) => {
            Some(Revoked { at: i64::try_from(at).ok()?, reason: reason.as_str().to_owned() })
        }
        _ => None,
    }
}

pub(crate) fn failed(action: &'static str) -> impl FnOnce(sqlx::Error) -> LedgerError {
    move |source| LedgerError { action, source: Box::new(source) }
}

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// SQLite writes one at a time; more connections only help readers.
const MOST_CONNECTIONS: u32 = 4;

/// How long one writer waits for another before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use signer_pkcs11::IssuanceRecord as _;

    use super::*;

    fn issued(serial_number: &str) -> LedgerEntry {
        LedgerEntry {
            serial_number: serial_number.to_owned(),
            station: "CS001".to_owned(),
            certificate_type: Some("ChargingStationCertificate".to_owned()),
            request_id: None,
            spki_sha256: "ab".repeat(32),
            chain: "-----BEGIN CERTIFICATE-----".to_owned(),
            not_after: 2_000,
            state: Delivery::Issued,
            revoked: None,
        }
    }

    impl SqliteLedger {
        async fn issued(&self, entry: &LedgerEntry, now: i64) -> Result<(), LedgerError> {
            let mut change = self.begin("begin").await?;
            insert_certificate(&mut change, entry, now).await?;
            change.commit().await
        }
    }

    #[tokio::test]
    async fn what_was_issued_and_not_answered_is_there_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.sqlite");
        let ledger = SqliteLedger::open(&path).await.expect("opens");
        for serial_number in ["a1", "a2", "a3"] {
            ledger.issued(&issued(serial_number), 1_000).await.expect("records");
        }
        ledger.answered("a1", &Delivery::Accepted, 1_001).await.expect("records");
        let rejected = Delivery::Rejected { reason: Some("InvalidCertificate".to_owned()) };
        ledger.answered("a2", &rejected, 1_001).await.expect("records");
        drop(ledger);

        let ledger = SqliteLedger::open(&path).await.expect("opens again");
        assert_eq!(ledger.undelivered("CS001", 1_500).await.expect("reads"), [issued("a3")]);
        assert_eq!(ledger.undelivered("CS001", 2_000).await.expect("reads"), [], "expired");
        assert_eq!(ledger.undelivered("CS002", 1_500).await.expect("reads"), []);
        let states = ledger.certificates(10).await.expect("reads").into_iter().map(|entry| entry.state);
        assert_eq!(states.collect::<Vec<_>>(), [Delivery::Issued, rejected, Delivery::Accepted]);
        assert_eq!(ledger.owner_of_key(&"ab".repeat(32)).await.expect("reads").as_deref(), Some("CS001"));
    }

    #[tokio::test]
    async fn a_certificate_that_is_issued_again_is_due_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = SqliteLedger::open(&folder.path().join("ledger.sqlite")).await.expect("opens");
        ledger.issued(&issued("a1"), 1_000).await.expect("records");
        ledger.answered("a1", &Delivery::Accepted, 1_001).await.expect("records");
        let again = LedgerEntry { request_id: Some(7), ..issued("a1") };
        ledger.issued(&again, 1_002).await.expect("records");
        for other in [
            LedgerEntry { station: "CS002".to_owned(), ..issued("a1") },
            LedgerEntry { spki_sha256: "cd".repeat(32), ..issued("a1") },
        ] {
            let error = ledger.issued(&other, 1_003).await.expect_err("another certificate");
            assert!(error.source.is::<SerialNumberTaken>(), "{error:?}");
        }
        assert_eq!(ledger.certificates(10).await.expect("reads"), [again], "nothing else was changed");
    }

    #[tokio::test]
    async fn a02_fr_25_the_id_of_the_newest_request_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = SqliteLedger::open(&folder.path().join("ledger.sqlite")).await.expect("opens");
        ledger.issued(&LedgerEntry { request_id: Some(7), ..issued("a1") }, 1_000).await.expect("records");
        ledger.issued(&issued("a2"), 1_000).await.expect("records");
        ledger.asked_again("a1", Some(i64::MIN)).await.expect("records");
        let due = ledger.undelivered("CS001", 1_500).await.expect("reads");
        assert_eq!(due.iter().map(|entry| entry.request_id).collect::<Vec<_>>(), [Some(i64::MIN), None]);
    }

    #[tokio::test]
    async fn a05_fr_07_profile_only_rises_until_it_is_released() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = SqliteLedger::open(&folder.path().join("ledger.sqlite")).await.expect("opens");
        assert_eq!(ledger.security_profile("CS001").await.expect("reads"), None);
        assert_eq!(ledger.raise_security_profile("CS001", 2).await.expect("raises"), 2);
        assert_eq!(ledger.raise_security_profile("CS001", 3).await.expect("raises"), 3);
        assert_eq!(ledger.raise_security_profile("CS001", 2).await.expect("keeps"), 3);
        assert_eq!(ledger.security_profile("CS001").await.expect("reads"), Some(3));
        ledger.release("CS001").await.expect("releases");
        assert_eq!(ledger.security_profile("CS001").await.expect("reads"), None);
    }

    #[tokio::test]
    async fn what_is_known_of_a_station_counts_for_each_spelling_of_its_identity() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = SqliteLedger::open(&folder.path().join("ledger.sqlite")).await.expect("opens");
        ledger.issued(&issued("a1"), 1_000).await.expect("records");
        ledger.raise_security_profile("CS001", 3).await.expect("raises");
        ledger.register("cs001", 1_000).await.expect("records");
        ledger.offer_password("CS001", "first").await.expect("records");
        // As after the configuration has got another spelling.
        assert_eq!(ledger.undelivered("cs001", 1_500).await.expect("reads"), [issued("a1")]);
        assert_eq!(ledger.raise_security_profile("cs001", 2).await.expect("keeps"), 3, "A05.FR.07");
        assert!(ledger.registered("CS001").await.expect("reads"));
        ledger.settle_password("cs001", PasswordAnswer::Taken).await.expect("records");
        assert_eq!(ledger.passwords("Cs001").await.expect("reads").taken.as_deref(), Some("first"));
        assert!(!ledger.is_revoked("cs001", "a1").await.expect("reads"));
        let reason = signer_pkcs11::RevocationReason::KeyCompromise;
        let found = ledger.revocable(None, Some("Cs001"), 1_500).await.expect("reads");
        ledger.revoke(&found, reason).await.expect("revokes");
        assert!(ledger.is_revoked("cs001", "a1").await.expect("reads"), "A00.FR.705");
        ledger.release("cs001").await.expect("releases");
        assert_eq!(ledger.security_profile("CS001").await.expect("reads"), None);
        ledger.register("CS001", 1_000).await.expect_err("it was not admitted since");
    }

    #[tokio::test]
    async fn b01_fr_08_a_registration_is_remembered_until_it_is_released() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.sqlite");
        let ledger = SqliteLedger::open(&path).await.expect("opens");
        assert!(!ledger.registered("CS001").await.expect("reads"));
        ledger.raise_security_profile("CS001", 2).await.expect("raises");
        assert!(!ledger.registered("CS001").await.expect("reads"));
        ledger.register("CS001", 1_000).await.expect("records");
        drop(ledger);
        let ledger = SqliteLedger::open(&path).await.expect("opens again");
        assert!(ledger.registered("CS001").await.expect("reads"));
        ledger.release("CS001").await.expect("releases");
        assert!(!ledger.registered("CS001").await.expect("reads"));
    }

    #[tokio::test]
    async fn a01_fr_03_a01_fr_04_a_password_counts_as_the_station_has_answered() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = SqliteLedger::open(&folder.path().join("ledger.sqlite")).await.expect("opens");
        let known = async || {
            let ChangedPasswords { taken, offered } = ledger.passwords("CS001").await.expect("reads");
            (taken.unwrap_or_default(), offered.unwrap_or_default())
        };
        let pair = |taken: &str, offered: &str| (taken.to_owned(), offered.to_owned());
        assert_eq!(known().await, pair("", ""));
        ledger.offer_password("CS001", "first").await.expect("records");
        assert_eq!(known().await, pair("", "first"));
        ledger.settle_password("CS001", PasswordAnswer::Taken).await.expect("records");
        assert_eq!(known().await, pair("first", ""));
        ledger.offer_password("CS001", "second").await.expect("records");
        ledger.settle_password("CS001", PasswordAnswer::Refused).await.expect("records");
        assert_eq!(known().await, pair("first", ""));
        // Twice, as when the station connects with it before its answer is recorded.
        for _ in 0..2 {
            ledger.settle_password("CS001", PasswordAnswer::Taken).await.expect("records");
            assert_eq!(known().await, pair("first", ""));
        }
        ledger.release("CS001").await.expect("releases");
        assert_eq!(known().await, pair("", ""));
    }

    #[tokio::test]
    async fn a_folder_that_is_missing_is_a_clear_error() {
        let error = SqliteLedger::open(Path::new("/nonexistent/ledger.sqlite")).await.expect_err("no folder");
        assert_eq!(error.to_string(), "the ledger failed to open");
    }
}
