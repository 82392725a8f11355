//! Certificates as rows of the ledger.

use std::error::Error;

use certificates::{SerialNumber, UnixSeconds};
use program::causes;
use signer_pkcs11::AuditEvent;
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::ledger::{
    Delivery, ForwardedRequest, LedgerEntry, LedgerError, ListedCertificate, Revocation, SerialNumberTaken,
    io::sqlite::{change::Change, failure::failed},
};

/// Stores a certificate as due to its station. Another authority may issue the same certificate
/// again for a key; it is then due again.
pub(crate) async fn insert_certificate(
    change: &mut Change,
    entry: &LedgerEntry,
    now: UnixSeconds,
) -> Result<(), LedgerError> {
    let action = "record an issued certificate";
    let written = sqlx::query(
        "INSERT INTO certificate (serial_number, station, certificate_type, request_id, spki_sha256, chain, not_after, issued_at, state)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'Issued') ON CONFLICT (serial_number) DO UPDATE SET state = 'Issued', reason = NULL,
         answered_at = NULL, attempts = 0, next_attempt = 0, request_id = excluded.request_id, certificate_type = excluded.certificate_type
         WHERE station = excluded.station AND spki_sha256 = excluded.spki_sha256",
    )
    .bind(entry.serial_number.to_string())
    .bind(entry.station.as_str())
    .bind(&entry.certificate_type)
    .bind(entry.request_id)
    .bind(entry.spki_sha256.to_string())
    .bind(&entry.chain)
    .bind(entry.not_after.as_i64())
    .bind(now.as_i64())
    .execute(&mut **change)
    .await
    .map_err(change.failed())?;
    match written.rows_affected() {
        0 => Err(LedgerError { action, source: Box::new(SerialNumberTaken(entry.serial_number)) }),
        _ => Ok(()),
    }
}

pub(crate) fn columns(state: &Delivery) -> (&'static str, Option<&str>) {
    match state {
        Delivery::Issued => ("Issued", None),
        Delivery::Accepted => ("Accepted", None),
        Delivery::Rejected { reason } => ("Rejected", reason.as_deref()),
    }
}

pub(crate) fn entry(row: &SqliteRow) -> Result<LedgerEntry, LedgerError> {
    let read = || -> Result<LedgerEntry, sqlx::Error> {
        Ok(LedgerEntry {
            serial_number: meant(row, "serial_number", SerialNumber::from_hex)?,
            station: meant(row, "station", str::parse)?,
            certificate_type: row.try_get("certificate_type")?,
            request_id: row.try_get("request_id")?,
            spki_sha256: meant(row, "spki_sha256", str::parse)?,
            chain: row.try_get("chain")?,
            not_after: time(row, "not_after")?,
            state: delivery(row)?,
        })
    };
    read().map_err(unreadable(row))
}

/// A row that can be read. A row that cannot be read does not delay the other certificates of its
/// station.
pub(crate) fn readable(row: &SqliteRow) -> Option<LedgerEntry> {
    let entry = entry(row);
    if let Err(error) = &entry {
        tracing::error!(error = %causes(error), "a certificate in the ledger is not sent; run `ocpp-csms audit verify`");
    }
    entry.ok()
}

pub(crate) fn forwarded(row: &SqliteRow) -> Result<ForwardedRequest, LedgerError> {
    let read = || -> Result<ForwardedRequest, sqlx::Error> {
        Ok(ForwardedRequest {
            id: row.try_get("id")?,
            station: meant(row, "station", str::parse)?,
            spki_sha256: meant(row, "spki_sha256", str::parse)?,
            certificate_type: Some(row.try_get("certificate_type")?).filter(|text: &String| !text.is_empty()),
            request_id: row.try_get("request_id")?,
            csr: row.try_get("csr")?,
            asked_at: time(row, "asked_at")?,
            failure: row.try_get("failure")?,
        })
    };
    read().map_err(failed("read a request"))
}

pub(crate) fn listed(row: &SqliteRow) -> Result<ListedCertificate, LedgerError> {
    let read = || -> Result<ListedCertificate, sqlx::Error> {
        Ok(ListedCertificate {
            number: row.try_get("number")?,
            serial_number: meant(row, "serial_number", SerialNumber::from_hex)?,
            station: meant(row, "station", str::parse)?,
            not_after: time(row, "not_after")?,
            state: delivery(row)?,
            attempts: row.try_get("attempts")?,
            problem: row.try_get::<Option<String>, _>("reason")?,
            revoked: row.try_get::<Option<String>, _>("revocation")?.and_then(|event| revoked(&event)),
        })
    };
    read().map_err(unreadable(row))
}

/// Parses the text of a column. This program writes no text that cannot be parsed.
pub(crate) fn meant<T, E: Error + Send + Sync + 'static>(
    row: &SqliteRow,
    column: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, sqlx::Error> {
    let text: String = row.try_get(column)?;
    parse(&text)
        .map_err(|source| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(source) })
}

pub(crate) fn time(row: &SqliteRow, column: &str) -> Result<UnixSeconds, sqlx::Error> {
    row.try_get(column).map(UnixSeconds::new)
}

/// Adds the name of the row that cannot be read.
fn unreadable(row: &SqliteRow) -> impl FnOnce(sqlx::Error) -> LedgerError {
    let serial_number = row.try_get("serial_number").unwrap_or_default();
    move |source| {
        let source = Box::new(UnreadableCertificate { serial_number, source });
        LedgerError { action: "read a certificate", source }
    }
}

/// The row of a certificate that another program has changed.
#[derive(Debug, thiserror::Error)]
#[error("the row of the certificate {serial_number:?} cannot be read")]
struct UnreadableCertificate {
    serial_number: String,
    source: sqlx::Error,
}

/// The CHECK constraint of the table allows these three states.
fn delivery(row: &SqliteRow) -> Result<Delivery, sqlx::Error> {
    Ok(match row.try_get::<String, _>("state")?.as_str() {
        "Issued" => Delivery::Issued,
        "Accepted" => Delivery::Accepted,
        _ => Delivery::Rejected { reason: row.try_get("reason")? },
    })
}

fn revoked(event: &str) -> Option<Revocation> {
    match serde_json::from_str(event) {
        Ok(AuditEvent::Revoked { at, reason, .. }) => {
            Some(Revocation { at, reason: reason.as_str().to_owned() })
        }
        _ => None,
    }
}
