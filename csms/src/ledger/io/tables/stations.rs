//! What the service has learnt of its stations: the security profile and the registration.

use certificates::{StationIdentity, UnixSeconds};
use signer_pkcs11::{AuditEvent, StationChange};
use sqlx::Row as _;

use crate::{
    ledger::{
        LedgerError,
        io::{
            database::{
                change::Change,
                failure::{Within as _, failed},
                ledger::Ledger,
            },
            tables::registry::note_boot,
        },
    },
    stations::registry::Learnt,
};

impl Ledger {
    /// The highest security profile that a station has connected with.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn security_profile(&self, station: &StationIdentity) -> Result<Option<u8>, LedgerError> {
        Ok(self.profiles(station).await?.1)
    }

    /// The security profile of a station's row, and the one that counts.
    async fn profiles(&self, station: &StationIdentity) -> Result<(Option<u8>, Option<u8>), LedgerError> {
        let action = "read a security profile";
        let row = sqlx::query("SELECT security_profile, trusted FROM station_state WHERE station_key = $1")
            .bind(station.key())
            .fetch_optional(&self.pool)
            .within(action)
            .await?;
        let (mut profile, mut trusted) = (None, !self.distrusts_passwords());
        if let Some(row) = row {
            let found: i64 = row.try_get("security_profile").map_err(failed(action))?;
            profile = u8::try_from(found).ok().filter(|profile| *profile > 0);
            trusted |= row.try_get::<i64, _>("trusted").map_err(failed(action))? != 0;
        }
        Ok((profile, if trusted { profile } else { profile.max(Some(3)) }))
    }

    /// Raises it to `profile` if it is lower, and returns it. The station is refused on any lower
    /// profile from then on (A05.FR.07).
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// The profile may be raised all the same.
    pub async fn raise_security_profile(
        &self,
        station: &StationIdentity,
        profile: u8,
    ) -> Result<u8, LedgerError> {
        let (row, known) = self.profiles(station).await?;
        // Mostly it is recorded already, and a write costs a sync of the disk.
        if let Some(known) = known.filter(|known| *known > profile || row == Some(profile)) {
            return Ok(known);
        }
        self.change("raise a security profile", (station.clone(), profile), |(station, profile), change| {
            Box::pin(async move {
                let raised: i64 = sqlx::query_scalar(
                    "INSERT INTO station_state (station, security_profile) VALUES ($1, $2)
                     ON CONFLICT (station_key) DO UPDATE SET security_profile =
                     CASE WHEN station_state.security_profile < $2 THEN $2 ELSE station_state.security_profile END
                     RETURNING security_profile",
                )
                .bind(station.as_str())
                .bind(i64::from(*profile))
                .fetch_one(change.connection().await?)
                .within("raise a security profile")
                .await?;
                // On record, so that a ledger from before it is noticed: the password would be
                // accepted again (A05.FR.07).
                if *profile >= 3 {
                    let (station, change_of) = (station.clone(), StationChange::CertificateUsed);
                    change.append(&AuditEvent::StationChanged { station, change: change_of })?;
                }
                Ok(u8::try_from(raised).unwrap_or(u8::MAX))
            })
        })
        .await
    }

    /// Whether a BootNotification of a station was ever accepted.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn registered(&self, station: &StationIdentity) -> Result<bool, LedgerError> {
        let row: Option<Option<i64>> =
            sqlx::query_scalar("SELECT accepted_at FROM station_state WHERE station_key = $1")
                .bind(station.key())
                .fetch_optional(&self.pool)
                .within("read a registration")
                .await?;
        Ok(row.flatten().is_some())
    }

    /// Records that a station's BootNotification is accepted, before the station learns of it.
    ///
    /// # Errors
    /// [`LedgerError`], also where the station was released while it was connected: it has to be
    /// admitted again first.
    ///
    /// # Cancel safety
    /// The registration may be recorded all the same.
    pub async fn register(&self, station: &StationIdentity, now: UnixSeconds) -> Result<(), LedgerError> {
        // Mostly it is recorded already, and a write costs a sync of the disk.
        if self.registered(station).await? {
            return Ok(());
        }
        self.change("record a registration", (station.clone(), now), |(station, now), change| {
            Box::pin(accept(change, station, *now))
        })
        .await
    }

    /// Records that the BootNotification of a station of the ledger is accepted, and what it has
    /// reported, before the station learns of it.
    ///
    /// # Errors
    /// As [`Ledger::register`].
    ///
    /// # Cancel safety
    /// The registration may be recorded all the same.
    pub(crate) async fn register_boot(
        &self,
        station: &StationIdentity,
        now: UnixSeconds,
        learnt: Learnt,
    ) -> Result<(), LedgerError> {
        let is_new = !self.registered(station).await?;
        let data = (station.clone(), now, learnt, is_new);
        self.change("record a registration", data, |(station, now, learnt, is_new), change| {
            Box::pin(async move {
                if *is_new {
                    accept(change, station, *now).await?;
                }
                note_boot(change, station, *now, learnt).await
            })
        })
        .await
    }

    /// Forgets a station's profile, its registration and its changed passwords, on an operator's
    /// word: a replaced station enrols again.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// The station is released all the same.
    pub async fn release(&self, station: &StationIdentity) -> Result<(), LedgerError> {
        let trusted = i64::from(self.distrusts_passwords());
        self.change("release a station", (station.clone(), trusted), |(station, trusted), change| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO station_state (station, trusted) VALUES ($1, $2)
                     ON CONFLICT (station_key) DO UPDATE SET security_profile = 0, accepted_at = NULL,
                     trusted = excluded.trusted, password_taken = NULL, password_offered = NULL",
                )
                .bind(station.as_str())
                .bind(*trusted)
                .execute(change.connection().await?)
                .within("release a station")
                .await?;
                let (station, change_of) = (station.clone(), StationChange::Released);
                change.append(&AuditEvent::StationChanged { station, change: change_of })?;
                Ok(())
            })
        })
        .await
    }
}

/// Records that a station's BootNotification is accepted. A station that was released has to be
/// admitted again first.
async fn accept(change: &mut Change, station: &StationIdentity, now: UnixSeconds) -> Result<(), LedgerError> {
    let action = "record a registration";
    let done = sqlx::query(
        "UPDATE station_state SET accepted_at = $1 WHERE station_key = $2 AND security_profile > 0",
    )
    .bind(now.as_i64())
    .bind(station.key())
    .execute(change.connection().await?)
    .within(action)
    .await?;
    match done.rows_affected() {
        0 => Err(failed(action)(sqlx::Error::RowNotFound)),
        _ => Ok(()),
    }
}
