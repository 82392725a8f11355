//! The record of what the authority signs, in the ledger's file.

mod issuance;
mod revocations;

use std::time::SystemTime;

use signer_pkcs11::{AuditChain, AuditEvent, ChainEnd, EntryHash};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use crate::ledger::{
    LedgerError,
    io::sqlite::{change::Change, database::SqliteLedger, failure::failed},
};

impl SqliteLedger {
    /// Appends all of the entries or none, and returns the number of the last one.
    pub(crate) async fn append_all(&self, events: &[AuditEvent]) -> Result<u64, LedgerError> {
        let action = "write into its record";
        let mut change = self.begin(action).await?;
        let mut number = 0;
        for event in events {
            number = append(&mut change, event).await?;
        }
        change.commit().await?;
        Ok(number)
    }

    /// Reads the whole record.
    ///
    /// `kept` is the hash of an entry that was kept elsewhere. The record has to contain this
    /// entry.
    ///
    /// # Errors
    /// [`LedgerError`] whose source names the first entry that was changed.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn verify_record(&self, kept: Option<EntryHash>) -> Result<AuditChain, LedgerError> {
        let action = "verify its record";
        let broken = |source| LedgerError { action, source: Box::new(source) };
        let mut chain = AuditChain::new();
        let mut found = kept.is_none();
        self.lines(async |line| {
            chain.read_line(&line).map_err(broken)?;
            found |= kept == Some(chain.head());
            Ok(())
        })
        .await?;
        match kept {
            Some(kept) if !found => Err(broken(signer_pkcs11::AuditError::HeadMissing(kept))),
            _ => Ok(chain),
        }
    }

    /// Passes the lines of the record to `take` in order, without their line ends. Together they
    /// are the text that `hsm audit verify` reads.
    ///
    /// # Errors
    /// [`LedgerError`] if they cannot be read, and the errors of `take`.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn lines(
        &self,
        mut take: impl AsyncFnMut(String) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let mut connection = self.pool.acquire().await.map_err(failed("read its record"))?;
        lines(&mut connection, async |_, line| take(line).await).await
    }
}

/// Reads the lines of the record in order, with their numbers.
pub(crate) async fn lines(
    connection: &mut SqliteConnection,
    mut take: impl AsyncFnMut(u64, String) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    let mut last = 0_i64;
    loop {
        let rows = sqlx::query("SELECT number, line FROM record WHERE number > ? ORDER BY number LIMIT ?")
            .bind(last)
            .bind(LINES_AT_ONCE)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed("read its record"))?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let (number, line) = numbered(&row)?;
            last = number;
            take(u64::try_from(number).unwrap_or_default(), line).await?;
        }
    }
}

/// Appends an entry. The transaction holds the lock of the one writer, so that no other entry is
/// appended to the same end.
pub(crate) async fn append(change: &mut Change, event: &AuditEvent) -> Result<u64, LedgerError> {
    let action = "write into its record";
    let broken = |source| LedgerError { action, source: Box::new(source) };
    let last = sqlx::query("SELECT number, line FROM record ORDER BY number DESC LIMIT 1")
        .fetch_optional(&mut **change)
        .await
        .map_err(change.failed())?;
    let mut end = match last {
        Some(row) => {
            let (number, line) = numbered(&row)?;
            ChainEnd::at(&line, u64::try_from(number).unwrap_or_default()).map_err(broken)?.0
        }
        None => ChainEnd::default(),
    };
    if change.reached.is_none() {
        change.check_end(&end)?;
    }
    let line = end.append(event, SystemTime::now()).map_err(broken)?;
    sqlx::query("INSERT INTO record (number, line) VALUES (?, ?)")
        .bind(i64::try_from(end.entries()).unwrap_or(i64::MAX))
        .bind(line.trim_end_matches('\n'))
        .execute(&mut **change)
        .await
        .map_err(change.failed())?;
    change.appended(end, event);
    Ok(end.entries())
}

pub(crate) fn numbered(row: &SqliteRow) -> Result<(i64, String), LedgerError> {
    let read = || Ok((row.try_get("number")?, row.try_get("line")?));
    read().map_err(failed("read its record"))
}

/// The number of lines in memory while a record is read, about half a kilobyte each.
const LINES_AT_ONCE: i64 = 1000;

#[cfg(test)]
mod tests;
