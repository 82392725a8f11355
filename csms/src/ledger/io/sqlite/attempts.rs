//! Deliveries without an answer, and deliveries that a connection proves.

use certificates::{SerialNumber, StationIdentity, UnixSeconds};
use program::causes;
use signer_pkcs11::AuditEvent;
use sqlx::Row as _;

use crate::ledger::{
    LedgerEntry, LedgerError, MAX_ATTEMPTS,
    io::{
        record::append,
        sqlite::{
            database::SqliteLedger,
            failure::failed,
            rows::{meant, readable},
        },
    },
    wait_after,
};

impl SqliteLedger {
    /// See [`Ledger::due`](crate::ledger::Ledger::due).
    pub(crate) async fn due_now(
        &self,
        station: &StationIdentity,
        now: UnixSeconds,
    ) -> Result<Vec<LedgerEntry>, LedgerError> {
        let rows = sqlx::query(
            "SELECT * FROM certificate WHERE station = ?1 COLLATE NOCASE AND state = 'Issued' AND not_after > ?2
             AND attempts < ?3 AND next_attempt <= ?2
             AND NOT EXISTS (SELECT 1 FROM record WHERE serial = serial_number AND kind = 'revoked')
             ORDER BY issued_at, rowid",
        )
        .bind(station.as_str())
        .bind(now.as_i64())
        .bind(MAX_ATTEMPTS)
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read undelivered certificates"))?;
        Ok(rows.iter().filter_map(readable).collect())
    }

    /// See [`Ledger::not_answered`](crate::ledger::Ledger::not_answered).
    pub(crate) async fn count_attempt(
        &self,
        serial_number: SerialNumber,
        reason: &str,
        now: UnixSeconds,
    ) -> Result<u32, LedgerError> {
        let action = "record an attempt to deliver";
        let mut change = self.begin(action).await?;
        let attempts: Option<u32> = sqlx::query_scalar(
            "UPDATE certificate SET attempts = attempts + 1, reason = ? WHERE serial_number = ? AND state = 'Issued'
             RETURNING attempts",
        )
        .bind(reason)
        .bind(serial_number.to_string())
        .fetch_optional(&mut *change)
        .await
        .map_err(change.failed())?;
        // `None`: the station has answered meanwhile, and the certificate is not sent again.
        let attempts = attempts.unwrap_or_default();
        let wait = i64::try_from(wait_after(attempts).as_secs()).unwrap_or(i64::MAX);
        sqlx::query("UPDATE certificate SET next_attempt = ? WHERE serial_number = ? AND state = 'Issued'")
            .bind(now.as_i64().saturating_add(wait))
            .bind(serial_number.to_string())
            .execute(&mut *change)
            .await
            .map_err(change.failed())?;
        change.commit().await?;
        Ok(attempts)
    }

    /// See [`Ledger::proved`](crate::ledger::Ledger::proved).
    pub(crate) async fn note_proof(
        &self,
        station: &StationIdentity,
        serial_number: SerialNumber,
        now: UnixSeconds,
    ) -> Result<bool, LedgerError> {
        let action = "record a delivery that a connection proves";
        let text = serial_number.to_string();
        // It is usually recorded already, and a write costs a sync of the disk.
        let known: Option<String> = sqlx::query_scalar(
            "SELECT state FROM certificate WHERE serial_number = ? AND station = ? COLLATE NOCASE",
        )
        .bind(&text)
        .bind(station.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(failed(action))?;
        if known.is_none_or(|state| state == "Accepted") {
            return Ok(false);
        }
        let mut change = self.begin(action).await?;
        let written = sqlx::query(
            "UPDATE certificate SET state = 'Accepted', reason = NULL, answered_at = ? WHERE serial_number = ?
             AND state <> 'Accepted'",
        )
        .bind(now.as_i64())
        .bind(&text)
        .execute(&mut *change)
        .await
        .map_err(change.failed())?;
        if written.rows_affected() > 0 {
            append(&mut change, &AuditEvent::Answered { serial: serial_number, accepted: true }).await?;
        }
        change.commit().await?;
        Ok(written.rows_affected() > 0)
    }

    /// See [`Ledger::due_again`](crate::ledger::Ledger::due_again).
    pub(crate) async fn stations_due_again(
        &self,
        now: UnixSeconds,
    ) -> Result<Vec<StationIdentity>, LedgerError> {
        let rows = sqlx::query(
            "SELECT DISTINCT station FROM certificate WHERE state = 'Issued' AND attempts > 0 AND attempts < ?1
             AND next_attempt <= ?2 AND not_after > ?2",
        )
        .bind(MAX_ATTEMPTS)
        .bind(now.as_i64())
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read undelivered certificates"))?;
        // A row that cannot be read does not delay the others.
        let station = |row| match meant(row, "station", str::parse) {
            Ok(station) => Some(station),
            Err(error) => {
                tracing::error!(error = %causes(&error), "a certificate in the ledger is not sent again; run `ocpp-csms audit verify`");
                None
            }
        };
        Ok(rows.iter().filter_map(station).collect())
    }

    /// The number of certificates that are no longer sent, because all attempts had no answer.
    pub(crate) async fn given_up(&self, now: UnixSeconds) -> Result<u64, LedgerError> {
        let row = sqlx::query(
            "SELECT count(*) AS given_up FROM certificate WHERE state = 'Issued' AND attempts > 0 AND attempts >= ?
             AND not_after > ? AND NOT EXISTS (SELECT 1 FROM record WHERE serial = serial_number AND kind = 'revoked')",
        )
        .bind(MAX_ATTEMPTS)
        .bind(now.as_i64())
        .fetch_one(&self.pool)
        .await
        .map_err(failed("count undelivered certificates"))?;
        Ok(row
            .try_get::<i64, _>("given_up")
            .map_err(failed("count undelivered certificates"))?
            .unsigned_abs())
    }
}
