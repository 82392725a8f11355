//! The record of what the authority signs, in the ledger's database.

mod issuance;
mod revocations;

use signer_pkcs11::{AuditChain, AuditEvent, ChainEnd, EntryHash};
use sqlx::{AnyConnection, AnyPool, Row as _, any::AnyRow};

use crate::ledger::{
    LedgerError,
    io::database::{failure::failed, ledger::Ledger},
};

impl Ledger {
    /// Appends entries, all of them or none, and returns the number of the last one.
    pub(crate) async fn append_all(&self, events: &[AuditEvent]) -> Result<u64, LedgerError> {
        self.change("write into its record", events.to_vec(), |events, change| {
            Box::pin(async move {
                let mut number = 0;
                for event in events {
                    number = change.append(event)?;
                }
                Ok(number)
            })
        })
        .await
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
        lines(&mut connection, 0, async |_, line| take(line).await).await
    }
}

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
            .await
            .map_err(failed("read its record"))?;
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
        .await
        .map_err(failed("read its record"))?;
    Ok(match last {
        Some(row) => entry(&row)?.0,
        None => ChainEnd::default(),
    })
}

/// The last restoration, or the decision of an operator that followed it.
pub(crate) async fn last_of_restorations(pool: &AnyPool) -> Result<Option<AuditEvent>, LedgerError> {
    let row = sqlx::query(
        "SELECT number, line FROM record WHERE kind IN ('ledger', 'restored', 'passwords-accepted')
         AND kind <> 'ledger' ORDER BY number DESC LIMIT 1",
    )
    .fetch_optional(pool)
    .await
    .map_err(failed("read what was restored"))?;
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

#[cfg(test)]
mod tests;
