//! The entries of the record, as the database has them.

use signer_pkcs11::{AuditEvent, ChainEnd};
use sqlx::{AnyConnection, AnyPool, Row as _, any::AnyRow};

use crate::ledger::{
    LedgerError,
    io::database::failure::{Within as _, failed},
};

/// Reads the lines of the record after the entry `after` in order, with their numbers.
pub(crate) async fn lines(
    connection: &mut AnyConnection,
    after: u64,
    mut take: impl AsyncFnMut(u64, String) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    let mut last = i64::try_from(after).unwrap_or(i64::MAX);
    loop {
        let rows = sqlx::query("SELECT number, line FROM record WHERE number > $1 ORDER BY number LIMIT $2")
            .bind(last)
            .bind(LINES_AT_ONCE)
            .fetch_all(&mut *connection)
            .within("read its record")
            .await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let (number, line) = numbered(&row)?;
            last = i64::try_from(number).unwrap_or(i64::MAX);
            take(number, line).await?;
        }
    }
}

/// The end of the record. The entries before the last one are not checked.
pub(crate) async fn last_entry(connection: &mut AnyConnection) -> Result<ChainEnd, LedgerError> {
    let last = sqlx::query("SELECT number, line FROM record ORDER BY number DESC LIMIT 1")
        .fetch_optional(connection)
        .within("read its record")
        .await?;
    Ok(match last {
        Some(row) => entry(&row)?.0,
        None => ChainEnd::default(),
    })
}

/// The end of the record after an entry, if there is this entry.
pub(crate) async fn entry_at(
    connection: &mut AnyConnection,
    number: u64,
) -> Result<Option<ChainEnd>, LedgerError> {
    let row = sqlx::query("SELECT number, line FROM record WHERE number = $1")
        .bind(i64::try_from(number).unwrap_or(i64::MAX))
        .fetch_optional(connection)
        .within("read its record")
        .await?;
    Ok(row.map(|row| entry(&row)).transpose()?.map(|(end, _)| end))
}

/// The last restoration, or the decision of an operator that followed it.
pub(crate) async fn last_of_restorations(pool: &AnyPool) -> Result<Option<AuditEvent>, LedgerError> {
    let row = sqlx::query(
        "SELECT number, line FROM record WHERE kind IN ('ledger', 'restored', 'passwords-accepted')
         AND kind <> 'ledger' ORDER BY number DESC LIMIT 1",
    )
    .fetch_optional(pool)
    .within("read what was restored")
    .await?;
    Ok(row.map(|row| entry(&row)).transpose()?.map(|(_, event)| event))
}

/// The entry in a row, and the end of a record that ends with it.
pub(crate) fn entry(row: &AnyRow) -> Result<(ChainEnd, AuditEvent), LedgerError> {
    let (number, line) = numbered(row)?;
    ChainEnd::at(&line, number)
        .map_err(|source| LedgerError { action: "read its record", source: Box::new(source) })
}

fn numbered(row: &AnyRow) -> Result<(u64, String), LedgerError> {
    let read = || Ok((row.try_get::<i64, _>("number")?.unsigned_abs(), row.try_get("line")?));
    read().map_err(failed("read its record"))
}

/// The number of lines in memory while a record is read, about half a kilobyte each.
const LINES_AT_ONCE: i64 = 1000;
