//! Records what the authority signs, and stores the certificate in the ledger with it.

use std::time::Duration;

use certificates::{KeyHash, StationIdentity};
use signer_pkcs11::{
    AuditEvent, IssuanceRecord, IssuedCertificate, PendingCertificate, RecordError, RecordFuture,
};

use crate::{
    ledger::{
        Delivery, LedgerEntry,
        io::{
            database::{failure::Within as _, ledger::Ledger},
            marks::Reach,
        },
    },
    service::io::clock::unix_now,
};

/// Entries are durable when these return. A certificate for a station is in the ledger by the same
/// transaction that puts its signature on record: nothing that was signed is lost.
impl IssuanceRecord for Ledger {
    fn append<'a>(&'a self, event: &'a AuditEvent) -> RecordFuture<'a, u64> {
        Box::pin(async move {
            let number = self.append_all(std::slice::from_ref(event)).await.map_err(RecordError::new)?;
            // Before a list is signed, the marks in the file and in the token are raised to its
            // number.
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
        let event = AuditEvent::signed(entry, certificate);
        let due = pending.map(|pending| due(certificate, pending));
        Box::pin(async move {
            let written =
                self.change("record an issued certificate", (event, due), |(event, due), change| {
                    Box::pin(async move {
                        let number = change.append(event)?;
                        if let Some(due) = due {
                            change.insert(due.clone(), unix_now().as_i64());
                        }
                        Ok(number)
                    })
                });
            written.await.map_err(RecordError::new)
        })
    }

    fn owner_of_key(&self, key: KeyHash) -> RecordFuture<'_, Option<StationIdentity>> {
        // The second part is for a ledger that is older than its record.
        let query = sqlx::query_scalar(
            "SELECT station FROM record WHERE spki_sha256 = $1 AND kind = 'signing' AND station <> ''
             UNION ALL SELECT station FROM certificate WHERE spki_sha256 = $1 LIMIT 1",
        );
        Box::pin(async move {
            let owner: Option<String> = query
                .bind(key.to_string())
                .fetch_optional(&self.pool)
                .within("look a key up")
                .await
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
        // A certificate that was issued while the clock was far ahead must not count forever.
        let query = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM certificate WHERE station_key = $1 AND issued_at > $2
             AND issued_at <= $3) + (SELECT count(*) FROM request WHERE station_key = $1 AND asked_at > $2
             AND asked_at <= $3)",
        )
        .bind(station.key())
        .bind(now.saturating_sub(window).as_i64())
        .bind(now.saturating_add(window).as_i64());
        Box::pin(async move {
            let count: i64 =
                query.fetch_one(&self.pool).within("count certificates").await.map_err(RecordError::new)?;
            Ok(u64::try_from(count).unwrap_or_default())
        })
    }
}

/// A certificate as the ledger stores it until its station has it.
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
