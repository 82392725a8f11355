//! The hashes of stations' passwords that were changed over a connection (A01).

use std::sync::atomic::Ordering;

use certificates::StationIdentity;
use signer_pkcs11::{AuditEvent, StationChange};

use crate::ledger::{
    ChangedPasswords, LedgerError, PasswordAnswer,
    io::database::{failure::Within as _, ledger::Ledger},
};

impl Ledger {
    /// The hashes of a station's passwords that were changed over a connection.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn passwords(&self, station: &StationIdentity) -> Result<ChangedPasswords, LedgerError> {
        let row: Option<(Option<String>, Option<String>)> = sqlx::query_as(
            "SELECT password_taken, password_offered FROM station_state WHERE station_key = $1",
        )
        .bind(station.key())
        .fetch_optional(&self.pool)
        .within("read a station's passwords")
        .await?;
        let (taken, offered) = row.unwrap_or_default();
        Ok(ChangedPasswords { taken, offered })
    }

    /// Records a password before the station learns of it.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// The password is recorded all the same.
    pub async fn offer_password(&self, station: &StationIdentity, hash: &str) -> Result<(), LedgerError> {
        self.change("record a password", (station.clone(), hash.to_owned()), |(station, hash), change| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO station_state (station, password_offered) VALUES ($1, $2)
                     ON CONFLICT (station_key) DO UPDATE SET password_offered = excluded.password_offered",
                )
                .bind(station.as_str())
                .bind(hash.as_str())
                .execute(change.connection().await?)
                .within("record a password")
                .await
                .map(drop)
            })
        })
        .await
    }

    /// Records whether the station has the password that it was offered.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// The answer is recorded all the same.
    pub async fn settle_password(
        &self,
        station: &StationIdentity,
        answer: PasswordAnswer,
    ) -> Result<(), LedgerError> {
        self.change("record a station's password", (station.clone(), answer), |(station, answer), change| {
            Box::pin(async move {
                let written = sqlx::query(match answer {
                    PasswordAnswer::Taken => {
                        "UPDATE station_state SET password_taken = password_offered, password_offered = NULL
                         WHERE station_key = $1 AND password_offered IS NOT NULL"
                    }
                    PasswordAnswer::Refused => {
                        "UPDATE station_state SET password_offered = NULL WHERE station_key = $1"
                    }
                })
                .bind(station.key())
                .execute(change.connection().await?)
                .within("record a station's password")
                .await?;
                // On record, so that a ledger from before it is noticed: the former password would
                // be accepted again.
                if *answer == PasswordAnswer::Taken && written.rows_affected() > 0 {
                    let (station, change_of) = (station.clone(), StationChange::PasswordChanged);
                    change.append(&AuditEvent::StationChanged { station, change: change_of })?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Accepts passwords again of stations that are not known to have used a certificate, after a
    /// restoration that lost entries.
    pub(crate) async fn accept_passwords(&self) -> Result<(), LedgerError> {
        self.append_all(&[AuditEvent::PasswordsAccepted]).await?;
        self.state.distrusts_passwords.store(false, Ordering::Release);
        Ok(())
    }
}
