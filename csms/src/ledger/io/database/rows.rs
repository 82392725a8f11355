//! Certificates as rows of the ledger.

use std::{collections::HashMap, error::Error};

use certificates::{SerialNumber, UnixSeconds};
use program::causes;
use signer_pkcs11::{AuditEvent, ChainEnd};
use sqlx::{AnyConnection, Row as _, any::AnyRow};

use crate::ledger::{
    Delivery, ForwardedRequest, LedgerEntry, LedgerError, ListedCertificate, Revocation, SerialNumberTaken,
    io::database::{
        failure::{Within as _, failed},
        statement::Statement,
    },
};

/// Remembers certificates as due to their stations, also again where another authority issues the
/// same for a key. A request that was passed on is answered by it, with the id of its newest
/// repetition (A02.FR.25).
pub(crate) async fn insert_certificates(
    connection: &mut AnyConnection,
    certificates: &[(LedgerEntry, i64)],
) -> Result<(), LedgerError> {
    let action = "record an issued certificate";
    let mut delete =
        Statement::new("DELETE FROM request WHERE (station_key, spki_sha256, certificate_type) IN (VALUES ");
    delete.rows(certificates, |row, (entry, _)| {
        row.bind(entry.station.key())
            .bind(entry.spki_sha256.to_string())
            .bind(entry.certificate_type.clone().unwrap_or_default());
    });
    delete.push(") RETURNING station_key, spki_sha256, certificate_type, request_id");
    let mut answered = HashMap::new();
    for row in delete.query().fetch_all(&mut *connection).within(action).await? {
        let key: [String; 3] = [text(&row, 0)?, text(&row, 1)?, text(&row, 2)?];
        answered.insert(key, row.try_get::<Option<i64>, _>(3).map_err(failed(action))?);
    }
    let mut insert = Statement::new(
        "INSERT INTO certificate (serial_number, station, certificate_type, request_id, spki_sha256, chain,
         not_after, issued_at, state) VALUES ",
    );
    insert.rows(certificates, |row, (entry, issued_at)| {
        let kind = entry.certificate_type.clone();
        let request = [entry.station.key(), entry.spki_sha256.to_string(), kind.unwrap_or_default()];
        row.bind(entry.serial_number.to_string())
            .bind(entry.station.as_str())
            .bind(entry.certificate_type.clone())
            .bind(answered.get(&request).copied().unwrap_or(entry.request_id))
            .bind(entry.spki_sha256.to_string())
            .bind(entry.chain.as_str())
            .bind(entry.not_after.as_i64())
            .bind(*issued_at)
            .bind("Issued");
    });
    insert.push(
        " ON CONFLICT (serial_number) DO UPDATE SET state = 'Issued', reason = NULL, answered_at = NULL,
         attempts = 0, next_attempt = 0, request_id = excluded.request_id,
         certificate_type = excluded.certificate_type
         WHERE certificate.station_key = excluded.station_key
         AND certificate.spki_sha256 = excluded.spki_sha256",
    );
    let written = insert.query().execute(connection).within(action).await?.rows_affected();
    match certificates.first() {
        // Of several, each is tried again alone.
        Some((first, _)) if written < certificates.len() as u64 => {
            Err(LedgerError { action, source: Box::new(SerialNumberTaken(first.serial_number)) })
        }
        _ => Ok(()),
    }
}

pub(crate) fn columns(state: &Delivery) -> (&'static str, Option<String>) {
    match state {
        Delivery::Issued => ("Issued", None),
        Delivery::Accepted => ("Accepted", None),
        Delivery::Rejected { reason } => ("Rejected", reason.as_deref().map(storable)),
    }
}

/// A text of a peer without NUL, which PostgreSQL cannot store.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

pub(crate) fn entry(row: &AnyRow) -> Result<LedgerEntry, LedgerError> {
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

/// A row that can be read. Another one does not hold up what else is due to its station.
pub(crate) fn readable(row: &AnyRow) -> Option<LedgerEntry> {
    let entry = entry(row);
    if let Err(error) = &entry {
        tracing::error!(error = %causes(error), "a certificate in the ledger is not sent; run `ocpp-csms audit verify`");
    }
    entry.ok()
}

pub(crate) fn forwarded(row: &AnyRow) -> Result<ForwardedRequest, LedgerError> {
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

pub(crate) fn listed(row: &AnyRow) -> Result<ListedCertificate, LedgerError> {
    let read = || -> Result<ListedCertificate, sqlx::Error> {
        Ok(ListedCertificate {
            number: row.try_get("number")?,
            serial_number: meant(row, "serial_number", SerialNumber::from_hex)?,
            station: meant(row, "station", str::parse)?,
            not_after: time(row, "not_after")?,
            state: delivery(row)?,
            attempts: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
            problem: row.try_get::<Option<String>, _>("reason")?,
            revoked: revoked(row)?,
        })
    };
    read().map_err(unreadable(row))
}

fn text(row: &AnyRow, column: usize) -> Result<String, LedgerError> {
    row.try_get(column).map_err(failed("record an issued certificate"))
}

/// What the text of a column means. This program writes no text without a meaning.
pub(crate) fn meant<T, E: Error + Send + Sync + 'static>(
    row: &AnyRow,
    column: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, sqlx::Error> {
    let text: String = row.try_get(column)?;
    parse(&text)
        .map_err(|source| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(source) })
}

pub(crate) fn time(row: &AnyRow, column: &str) -> Result<UnixSeconds, sqlx::Error> {
    row.try_get(column).map(UnixSeconds::new)
}

/// Names the row that cannot be read.
fn unreadable(row: &AnyRow) -> impl FnOnce(sqlx::Error) -> LedgerError + use<> {
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

/// The table's CHECK allows these three.
fn delivery(row: &AnyRow) -> Result<Delivery, sqlx::Error> {
    Ok(match row.try_get::<String, _>("state")?.as_str() {
        "Issued" => Delivery::Issued,
        "Accepted" => Delivery::Accepted,
        _ => Delivery::Rejected { reason: row.try_get("reason")? },
    })
}

/// Read out of the record's entry that is joined to the row, if there is one.
fn revoked(row: &AnyRow) -> Result<Option<Revocation>, sqlx::Error> {
    let Some(line) = row.try_get::<Option<String>, _>("revocation")? else { return Ok(None) };
    let number = row.try_get::<i64, _>("revocation_number")?.unsigned_abs();
    Ok(match ChainEnd::at(&line, number) {
        Ok((_, AuditEvent::Revoked { at, reason, .. })) => {
            Some(Revocation { at, reason: reason.as_str().to_owned() })
        }
        _ => None,
    })
}
