//! Records revocations, and reads the data for lists of revoked certificates.

use certificates::{SerialNumber, StationIdentity, UnixSeconds};
use signer_pkcs11::{AuditEvent, AuditIndex, ChainEnd, RevocationReason};

use crate::{
    ledger::{
        LedgerError,
        io::{
            record::{append, numbered},
            sqlite::{database::SqliteLedger, failure::failed},
        },
    },
    service::io::clock::unix_now,
};

impl SqliteLedger {
    /// The certificates that an operator selects: the one with this serial number, or those of a
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

    /// Records all of the revocations or none. A recorded revocation is not changed. Returns the
    /// new ones.
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

    /// The data for lists of revoked certificates: the revocations, the issuers of those
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
