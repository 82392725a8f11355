//! The ledger in one SQLite file.

use certificates::{KeyHash, SerialNumber, StationIdentity, UnixSeconds};
use signer_pkcs11::{AuditEvent, StationChange};
use sqlx::QueryBuilder;

use crate::ledger::{
    CertificateFilter, CertificateState, ChangedPasswords, Delivery, Finding, ForwardedRequest, Ledger,
    LedgerEntry, LedgerError, ListedCertificate, Mismatch, PasswordAnswer,
    io::{
        record::append,
        sqlite::{
            database::SqliteLedger,
            failure::failed,
            rows::{columns, forwarded, listed, readable},
        },
    },
};

impl SqliteLedger {
    /// The security profile in a station's row, and the profile that applies.
    async fn profiles(&self, station: &StationIdentity) -> Result<(Option<u8>, Option<u8>), LedgerError> {
        let row: Option<(u8, bool)> =
            sqlx::query_as("SELECT security_profile, trusted FROM station WHERE identity = ?")
                .bind(station.as_str())
                .fetch_optional(&self.pool)
                .await
                .map_err(failed("read a security profile"))?;
        let profile = row.map(|(profile, _)| profile);
        let trusted = row.is_some_and(|(_, trusted)| trusted) || !self.distrusts_passwords();
        Ok((profile, if trusted { profile } else { profile.max(Some(3)) }))
    }

    /// Accepts again the passwords of stations that are not known to have used a certificate, after
    /// a restoration that lost entries.
    pub(crate) async fn accept_passwords(&self) -> Result<(), LedgerError> {
        self.append_all(&[AuditEvent::PasswordsAccepted]).await?;
        self.trust_passwords();
        Ok(())
    }
}

type Entries = Result<Vec<LedgerEntry>, LedgerError>;

impl Ledger for SqliteLedger {
    async fn asked_again(
        &self,
        serial_number: SerialNumber,
        request_id: Option<i64>,
    ) -> Result<(), LedgerError> {
        let action = "record a repeated request";
        let statement = sqlx::query(
            "UPDATE certificate SET request_id = ?, attempts = 0, next_attempt = 0 WHERE serial_number = ?",
        )
        .bind(request_id)
        .bind(serial_number.to_string());
        self.write(action, statement).await?;
        Ok(())
    }

    async fn answered(
        &self,
        serial_number: SerialNumber,
        state: &Delivery,
        now: UnixSeconds,
    ) -> Result<(), LedgerError> {
        let action = "record a station's answer";
        let accepted = match state {
            Delivery::Issued => None,
            Delivery::Accepted => Some(true),
            Delivery::Rejected { .. } => Some(false),
        };
        let (state, reason) = columns(state);
        let mut change = self.begin(action).await?;
        let written = sqlx::query(
            // A connection may have proved the delivery meanwhile.
            "UPDATE certificate SET state = ?, reason = ?, answered_at = ? WHERE serial_number = ? AND state <> 'Accepted'",
        )
        .bind(state)
        .bind(reason)
        .bind(now.as_i64())
        .bind(serial_number.to_string())
        .execute(&mut *change)
        .await
        .map_err(change.failed())?;
        if let (Some(accepted), 1..) = (accepted, written.rows_affected()) {
            append(&mut change, &AuditEvent::Answered { serial: serial_number, accepted }).await?;
        }
        change.commit().await
    }

    async fn undelivered(&self, station: &StationIdentity, now: UnixSeconds) -> Entries {
        let rows = sqlx::query(
            "SELECT * FROM certificate WHERE station = ? COLLATE NOCASE AND state = 'Issued' AND not_after > ?
             AND NOT EXISTS (SELECT 1 FROM record WHERE serial = serial_number AND kind = 'revoked')
             ORDER BY issued_at, rowid",
        )
        .bind(station.as_str())
        .bind(now.as_i64())
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read undelivered certificates"))?;
        Ok(rows.iter().filter_map(readable).collect())
    }

    async fn due(&self, station: &StationIdentity, now: UnixSeconds) -> Entries {
        self.due_now(station, now).await
    }

    async fn not_answered(
        &self,
        serial_number: SerialNumber,
        reason: &str,
        now: UnixSeconds,
    ) -> Result<u32, LedgerError> {
        self.count_attempt(serial_number, reason, now).await
    }

    async fn proved(
        &self,
        station: &StationIdentity,
        serial_number: SerialNumber,
        now: UnixSeconds,
    ) -> Result<bool, LedgerError> {
        self.note_proof(station, serial_number, now).await
    }

    async fn due_again(&self, now: UnixSeconds) -> Result<Vec<StationIdentity>, LedgerError> {
        self.stations_due_again(now).await
    }

    async fn check_signed(&self, entry: &LedgerEntry) -> Result<Option<Mismatch>, LedgerError> {
        let mismatch = self.signature_mismatch(entry).await?;
        if let Some(mismatch) = &mismatch {
            self.find(Finding {
                serial_number: Some(entry.serial_number),
                station: Some(entry.station.clone()),
                mismatch: mismatch.clone(),
            });
        }
        Ok(mismatch)
    }

    async fn certificates(
        &self,
        filter: &CertificateFilter,
        before: i64,
        limit: u32,
    ) -> Result<Vec<ListedCertificate>, LedgerError> {
        const REVOKED: &str =
            "EXISTS (SELECT 1 FROM record WHERE serial = serial_number AND kind = 'revoked')";
        // The chain, which is most of a row, is left out.
        let mut query = QueryBuilder::new(
            "SELECT rowid AS number, serial_number, station, not_after, state, reason, attempts,
             (SELECT line ->> '$.entry.event' FROM record WHERE serial = serial_number AND kind = 'revoked'
             ORDER BY number LIMIT 1) AS revocation FROM certificate WHERE rowid < ",
        );
        query.push_bind(before);
        if let Some(station) = &filter.station {
            query.push(" AND station = ").push_bind(station.as_str()).push(" COLLATE NOCASE");
        }
        if let Some(end) = filter.expiring_before {
            query.push(" AND not_after < ").push_bind(end.as_i64());
        }
        let delivery = match filter.state {
            None => None,
            Some(CertificateState::Issued) => Some("Issued"),
            Some(CertificateState::Accepted) => Some("Accepted"),
            Some(CertificateState::Rejected) => Some("Rejected"),
            Some(CertificateState::Revoked) => {
                query.push(" AND ").push(REVOKED);
                None
            }
        };
        if let Some(delivery) = delivery {
            query.push(" AND state = ").push_bind(delivery).push(" AND NOT ").push(REVOKED);
        }
        query.push(" ORDER BY rowid DESC LIMIT ").push_bind(limit);
        let rows = query.build().fetch_all(&self.pool).await.map_err(failed("read certificates"))?;
        rows.iter().map(listed).collect()
    }

    async fn is_revoked(
        &self,
        station: &StationIdentity,
        serial_number: SerialNumber,
    ) -> Result<bool, LedgerError> {
        let found: Option<i64> = sqlx::query_scalar(
            // A restored ledger may contain only the revocation. Another authority may have given
            // the same number to the certificate of another station.
            "SELECT 1 FROM record WHERE serial = ?1 AND kind = 'revoked' AND NOT EXISTS
             (SELECT 1 FROM certificate WHERE serial_number = ?1 AND station <> ?2 COLLATE NOCASE)",
        )
        .bind(serial_number.to_string())
        .bind(station.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(failed("look a revocation up"))?;
        Ok(found.is_some())
    }

    async fn ask(&self, request: &ForwardedRequest) -> Result<(), LedgerError> {
        let action = "record a request";
        let statement = sqlx::query(
            "INSERT INTO request (station, spki_sha256, certificate_type, request_id, csr, asked_at)
             VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (station, spki_sha256, certificate_type) DO UPDATE SET
             request_id = excluded.request_id, csr = excluded.csr, asked_at = excluded.asked_at, failure = NULL",
        )
        .bind(request.station.as_str())
        .bind(request.spki_sha256.to_string())
        .bind(request.certificate_type.as_deref().unwrap_or_default())
        .bind(request.request_id)
        .bind(&request.csr)
        .bind(request.asked_at.as_i64());
        self.write(action, statement).await?;
        Ok(())
    }

    async fn waiting(&self) -> Result<Vec<ForwardedRequest>, LedgerError> {
        let rows = sqlx::query("SELECT * FROM request WHERE failure IS NULL ORDER BY asked_at, id")
            .fetch_all(&self.pool)
            .await
            .map_err(failed("read requests"))?;
        rows.iter().map(forwarded).collect()
    }

    async fn requests(&self, before: i64, limit: u32) -> Result<Vec<ForwardedRequest>, LedgerError> {
        let rows = sqlx::query("SELECT * FROM request WHERE id < ? ORDER BY id DESC LIMIT ?")
            .bind(before)
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(failed("read requests"))?;
        rows.iter().map(forwarded).collect()
    }

    async fn request_failed(&self, id: i64, reason: &str) -> Result<(), LedgerError> {
        let action = "record a request's failure";
        let statement = sqlx::query("UPDATE request SET failure = ? WHERE id = ?").bind(reason).bind(id);
        self.write(action, statement).await?;
        Ok(())
    }

    async fn is_compromised(&self, key: KeyHash) -> Result<bool, LedgerError> {
        let found: Option<i64> = sqlx::query_scalar(
            // The number of another authority's certificate is in the ledger only.
            "SELECT 1 FROM record WHERE kind = 'revoked' AND line ->> '$.entry.event.reason' = 'key-compromise'
             AND serial IN (SELECT serial FROM record WHERE spki_sha256 = ?1 AND kind = 'signing'
             UNION ALL SELECT serial_number FROM certificate WHERE spki_sha256 = ?1)",
        )
        .bind(key.to_string())
        .fetch_optional(&self.pool)
        .await
        .map_err(failed("look a key up"))?;
        Ok(found.is_some())
    }

    async fn security_profile(&self, station: &StationIdentity) -> Result<Option<u8>, LedgerError> {
        Ok(self.profiles(station).await?.1)
    }

    async fn raise_security_profile(
        &self,
        station: &StationIdentity,
        profile: u8,
    ) -> Result<u8, LedgerError> {
        let action = "raise a security profile";
        let (row, known) = self.profiles(station).await?;
        // It is usually recorded already, and a write costs a sync of the disk.
        if let Some(known) = known.filter(|known| *known > profile || row == Some(profile)) {
            return Ok(known);
        }
        let mut change = self.begin(action).await?;
        let raised: u8 = sqlx::query_scalar(
            "INSERT INTO station (identity, security_profile) VALUES (?1, ?2)
             ON CONFLICT (identity) DO UPDATE SET security_profile = max(security_profile, ?2)
             RETURNING security_profile",
        )
        .bind(station.as_str())
        .bind(profile)
        .fetch_one(&mut *change)
        .await
        .map_err(change.failed())?;
        // This is recorded, so that an older ledger is detected. With an older ledger the password
        // would be accepted again (A05.FR.07).
        if profile >= 3 {
            let (station, change_of) = (station.clone(), StationChange::CertificateUsed);
            append(&mut change, &AuditEvent::StationChanged { station, change: change_of }).await?;
        }
        change.commit().await?;
        Ok(raised)
    }

    async fn registered(&self, station: &StationIdentity) -> Result<bool, LedgerError> {
        let row: Option<Option<i64>> =
            sqlx::query_scalar("SELECT accepted_at FROM station WHERE identity = ?")
                .bind(station.as_str())
                .fetch_optional(&self.pool)
                .await
                .map_err(failed("read a registration"))?;
        Ok(row.flatten().is_some())
    }

    async fn register(&self, station: &StationIdentity, now: UnixSeconds) -> Result<(), LedgerError> {
        // It is usually recorded already, and a write costs a sync of the disk.
        if self.registered(station).await? {
            return Ok(());
        }
        let action = "record a registration";
        let statement =
            sqlx::query("UPDATE station SET accepted_at = ? WHERE identity = ? AND security_profile > 0")
                .bind(now.as_i64())
                .bind(station.as_str());
        let done = self.write(action, statement).await?;
        // The station was released while it was connected. It has to be admitted again first.
        match done.rows_affected() {
            0 => Err(failed(action)(sqlx::Error::RowNotFound)),
            _ => Ok(()),
        }
    }

    async fn passwords(&self, station: &StationIdentity) -> Result<ChangedPasswords, LedgerError> {
        let row = sqlx::query_as("SELECT taken, offered FROM password WHERE identity = ?")
            .bind(station.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("read a station's passwords"))?;
        let (taken, offered) = row.unwrap_or_default();
        Ok(ChangedPasswords { taken, offered })
    }

    async fn offer_password(&self, station: &StationIdentity, hash: &str) -> Result<(), LedgerError> {
        let action = "record a password";
        let statement = sqlx::query(
            "INSERT INTO password (identity, offered) VALUES (?1, ?2)
             ON CONFLICT (identity) DO UPDATE SET offered = ?2",
        )
        .bind(station.as_str())
        .bind(hash);
        self.write(action, statement).await?;
        Ok(())
    }

    async fn settle_password(
        &self,
        station: &StationIdentity,
        answer: PasswordAnswer,
    ) -> Result<(), LedgerError> {
        let action = "record a station's password";
        let statement = match answer {
            PasswordAnswer::Taken => {
                "UPDATE password SET taken = offered, offered = NULL WHERE identity = ? AND offered IS NOT NULL"
            }
            PasswordAnswer::Refused => "UPDATE password SET offered = NULL WHERE identity = ?",
        };
        let mut change = self.begin(action).await?;
        let written = sqlx::query(statement)
            .bind(station.as_str())
            .execute(&mut *change)
            .await
            .map_err(change.failed())?;
        // This is recorded, so that an older ledger is detected. With an older ledger the former
        // password would be accepted again.
        if answer == PasswordAnswer::Taken && written.rows_affected() > 0 {
            let (station, change_of) = (station.clone(), StationChange::PasswordChanged);
            append(&mut change, &AuditEvent::StationChanged { station, change: change_of }).await?;
        }
        change.commit().await
    }

    async fn release(&self, station: &StationIdentity) -> Result<(), LedgerError> {
        let action = "release a station";
        let mut change = self.begin(action).await?;
        for statement in ["DELETE FROM station WHERE identity = ?", "DELETE FROM password WHERE identity = ?"]
        {
            sqlx::query(statement)
                .bind(station.as_str())
                .execute(&mut *change)
                .await
                .map_err(change.failed())?;
        }
        if self.distrusts_passwords() {
            // Profile 0: the station has not connected since.
            sqlx::query("INSERT INTO station (identity, security_profile, trusted) VALUES (?, 0, 1)")
                .bind(station.as_str())
                .execute(&mut *change)
                .await
                .map_err(change.failed())?;
        }
        let (station, change_of) = (station.clone(), StationChange::Released);
        append(&mut change, &AuditEvent::StationChanged { station, change: change_of }).await?;
        change.commit().await
    }
}
