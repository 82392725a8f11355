//! Deliveries: what is due to a station, attempts without an answer, and what a connection proves.

use certificates::{SerialNumber, StationIdentity, UnixSeconds};
use program::causes;
use signer_pkcs11::AuditEvent;

use crate::ledger::{
    Delivery, LedgerEntry, LedgerError, MAX_ATTEMPTS,
    io::database::{
        failure::Within as _,
        ledger::Ledger,
        rows::{columns, meant, readable, storable},
    },
    wait_after,
};

impl Ledger {
    /// The certificates that a station has not answered for, oldest first, without expired and
    /// revoked ones.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn undelivered(
        &self,
        station: &StationIdentity,
        now: UnixSeconds,
    ) -> Result<Vec<LedgerEntry>, LedgerError> {
        let rows = sqlx::query(
            "SELECT * FROM certificate WHERE station_key = $1 AND state = 'Issued' AND not_after > $2
             AND NOT EXISTS (SELECT 1 FROM record WHERE serial = serial_number AND kind = 'revoked')
             ORDER BY issued_at, number",
        )
        .bind(station.key())
        .bind(now.as_i64())
        .fetch_all(&self.pool)
        .within("read undelivered certificates")
        .await?;
        Ok(rows.iter().filter_map(readable).collect())
    }

    /// Those of them that may be sent now. A certificate that was sent without an answer waits
    /// longer each time, and after `MAX_ATTEMPTS` for a new request.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn due(
        &self,
        station: &StationIdentity,
        now: UnixSeconds,
    ) -> Result<Vec<LedgerEntry>, LedgerError> {
        let rows = sqlx::query(
            "SELECT * FROM certificate WHERE station_key = $1 AND state = 'Issued' AND not_after > $2
             AND attempts < $3 AND next_attempt <= $2
             AND NOT EXISTS (SELECT 1 FROM record WHERE serial = serial_number AND kind = 'revoked')
             ORDER BY issued_at, number",
        )
        .bind(station.key())
        .bind(now.as_i64())
        .bind(i64::from(MAX_ATTEMPTS))
        .fetch_all(&self.pool)
        .within("read undelivered certificates")
        .await?;
        Ok(rows.iter().filter_map(readable).collect())
    }

    /// The stations with a certificate that was sent without an answer and may be sent again.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn due_again(&self, now: UnixSeconds) -> Result<Vec<StationIdentity>, LedgerError> {
        let rows = sqlx::query(
            "SELECT DISTINCT station FROM certificate WHERE state = 'Issued' AND attempts > 0 AND attempts < $1
             AND next_attempt <= $2 AND not_after > $2",
        )
        .bind(i64::from(MAX_ATTEMPTS))
        .bind(now.as_i64())
        .fetch_all(&self.pool)
        .within("read undelivered certificates")
        .await?;
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

    /// Records that a certificate was sent, and what came instead of an answer. Returns how often
    /// that has happened.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// The attempt is recorded all the same.
    pub async fn not_answered(
        &self,
        serial_number: SerialNumber,
        reason: &str,
        now: UnixSeconds,
    ) -> Result<u32, LedgerError> {
        let data = (serial_number, storable(reason), now);
        self.change("record an attempt to deliver", data, |(serial_number, reason, now), change| {
            Box::pin(async move {
                let attempts: Option<i64> = sqlx::query_scalar(
                    "UPDATE certificate SET attempts = attempts + 1, reason = $1
                     WHERE serial_number = $2 AND state = 'Issued' RETURNING attempts",
                )
                .bind(reason.as_str())
                .bind(serial_number.to_string())
                .fetch_optional(change.connection().await?)
                .within("record an attempt to deliver")
                .await?;
                // None: it was answered meanwhile, and is not sent again.
                let attempts = u32::try_from(attempts.unwrap_or_default()).unwrap_or(u32::MAX);
                let wait = i64::try_from(wait_after(attempts).as_secs()).unwrap_or(i64::MAX);
                sqlx::query(
                    "UPDATE certificate SET next_attempt = $1 WHERE serial_number = $2 AND state = 'Issued'",
                )
                .bind(now.as_i64().saturating_add(wait))
                .bind(serial_number.to_string())
                .execute(change.connection().await?)
                .within("record an attempt to deliver")
                .await?;
                Ok(attempts)
            })
        })
        .await
    }

    /// Records the station's answer to CertificateSigned.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// The answer is recorded all the same.
    pub async fn answered(
        &self,
        serial_number: SerialNumber,
        state: &Delivery,
        now: UnixSeconds,
    ) -> Result<(), LedgerError> {
        self.change("record a station's answer", (serial_number, state.clone(), now), |data, change| {
            Box::pin(async move {
                let (serial_number, delivery, now) = data;
                let (state, reason) = columns(delivery);
                let written = sqlx::query(
                    // A connection may have proved it meanwhile.
                    "UPDATE certificate SET state = $1, reason = $2, answered_at = $3
                     WHERE serial_number = $4 AND state <> 'Accepted'",
                )
                .bind(state)
                .bind(reason)
                .bind(now.as_i64())
                .bind(serial_number.to_string())
                .execute(change.connection().await?)
                .within("record a station's answer")
                .await?;
                let accepted = match delivery {
                    Delivery::Issued => None,
                    Delivery::Accepted => Some(true),
                    Delivery::Rejected { .. } => Some(false),
                };
                if let (Some(accepted), 1..) = (accepted, written.rows_affected()) {
                    change.append(&AuditEvent::Answered { serial: *serial_number, accepted })?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Records that a station has connected with a certificate. That proves its delivery, whatever
    /// the station has answered (A02.FR.08, A02.FR.10). Returns whether that was not known.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// The delivery may be recorded all the same.
    pub async fn proved(
        &self,
        station: &StationIdentity,
        serial_number: SerialNumber,
        now: UnixSeconds,
    ) -> Result<bool, LedgerError> {
        let action = "record a delivery that a connection proves";
        // Mostly it is recorded already, and a write costs a sync of the disk.
        let known: Option<String> =
            sqlx::query_scalar("SELECT state FROM certificate WHERE serial_number = $1 AND station_key = $2")
                .bind(serial_number.to_string())
                .bind(station.key())
                .fetch_optional(&self.pool)
                .within(action)
                .await?;
        if known.is_none_or(|state| state == "Accepted") {
            return Ok(false);
        }
        self.change(action, (serial_number, now), |(serial_number, now), change| {
            Box::pin(async move {
                let written = sqlx::query(
                    "UPDATE certificate SET state = 'Accepted', reason = NULL, answered_at = $1
                     WHERE serial_number = $2 AND state <> 'Accepted'",
                )
                .bind(now.as_i64())
                .bind(serial_number.to_string())
                .execute(change.connection().await?)
                .within("record a delivery that a connection proves")
                .await?;
                if written.rows_affected() > 0 {
                    change.append(&AuditEvent::Answered { serial: *serial_number, accepted: true })?;
                }
                Ok(written.rows_affected() > 0)
            })
        })
        .await
    }

    /// The number of certificates that are not sent again, after `MAX_ATTEMPTS`.
    pub(crate) async fn given_up(&self, now: UnixSeconds) -> Result<u64, LedgerError> {
        let given_up: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM certificate WHERE state = 'Issued' AND attempts > 0 AND attempts >= $1
             AND not_after > $2 AND NOT EXISTS (SELECT 1 FROM record WHERE serial = serial_number AND kind = 'revoked')",
        )
        .bind(i64::from(MAX_ATTEMPTS))
        .bind(now.as_i64())
        .fetch_one(&self.pool)
        .within("count undelivered certificates")
        .await?;
        Ok(given_up.unsigned_abs())
    }
}
