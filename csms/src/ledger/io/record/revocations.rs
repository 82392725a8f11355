//! Records revocations, and reads the data for lists of revoked certificates.

use certificates::{SerialNumber, StationIdentity, UnixSeconds};
use signer_pkcs11::{AuditEvent, AuditIndex, RevocationReason};

use crate::{
    ledger::{
        LedgerError,
        io::{
            database::{failure::Within as _, ledger::Ledger},
            record::entries::entry,
        },
    },
    service::io::clock::unix_now,
};

impl Ledger {
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
                "SELECT serial_number FROM certificate WHERE serial_number = $1
                 UNION SELECT serial FROM record WHERE serial = $1 AND kind = 'signing'",
            )
            .bind(serial.to_string()),
            (None, station) => sqlx::query_scalar(
                "SELECT serial_number FROM certificate WHERE station_key = $1 AND not_after > $2 AND NOT EXISTS
                 (SELECT 1 FROM record WHERE serial = serial_number AND kind = 'revoked') ORDER BY issued_at, number",
            )
            .bind(station.map(StationIdentity::key).unwrap_or_default())
            .bind(now.as_i64()),
        };
        let found: Vec<String> = query.fetch_all(&self.pool).within(action).await?;
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
        let data = (serials.to_vec(), reason, unix_now());
        self.change("record a revocation", data, |(serials, reason, at), change| {
            Box::pin(async move {
                let mut new = Vec::new();
                for &serial in serials {
                    let known: Option<i64> = sqlx::query_scalar(
                        "SELECT number FROM record WHERE serial = $1 AND kind = 'revoked'",
                    )
                    .bind(serial.to_string())
                    .fetch_optional(change.connection().await?)
                    .within("record a revocation")
                    .await?;
                    if known.is_none() {
                        change.append(&AuditEvent::Revoked { serial, at: *at, reason: *reason })?;
                        new.push(serial);
                    }
                }
                Ok(new)
            })
        })
        .await
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
        .within(action)
        .await?;
        let mut index = AuditIndex::default();
        for row in &rows {
            let (end, event) = entry(row)?;
            index.add(end.entries(), &event);
        }
        Ok(index)
    }
}
