//! Statements of which all count, or none.

use std::{
    ops::{Deref, DerefMut},
    sync::PoisonError,
};

use signer_pkcs11::{AuditEvent, ChainEnd};
use sqlx::{
    Execute, Executor as _, Sqlite, SqliteConnection, pool::PoolConnection, sqlite::SqliteQueryResult,
};

use crate::ledger::{
    LedgerError,
    io::sqlite::{database::SqliteLedger, failure::failed},
};

/// Statements of which all count, or none.
///
/// It is not sqlx's own change, which loses count where SQLite has rolled back by itself, as it
/// does on a full disk, and leaves a connection in the pool that begins no other.
#[derive(Debug)]
pub(crate) struct Change {
    connection: PoolConnection<Sqlite>,
    ledger: SqliteLedger,
    action: &'static str,
    committed: bool,
    /// The end of the record after this change, and the lists that were announced.
    pub(crate) reached: Option<ChainEnd>,
    lists: Vec<(String, u64)>,
}

impl SqliteLedger {
    /// A change that holds the lock of the one writer from its beginning, so that what it reads
    /// stays true.
    pub(crate) async fn begin(&self, action: &'static str) -> Result<Change, LedgerError> {
        let acquired = self.writable(action)?.acquire().await;
        let connection = acquired.map_err(self.write_failed(action))?;
        let (ledger, lists) = (self.clone(), Vec::new());
        let mut change = Change { connection, ledger, action, committed: false, reached: None, lists };
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *change).await.map_err(change.failed())?;
        Ok(change)
    }

    /// A change of one statement.
    pub(crate) async fn write<'q>(
        &self,
        action: &'static str,
        statement: impl Execute<'q, Sqlite> + 'q,
    ) -> Result<SqliteQueryResult, LedgerError> {
        let mut change = self.begin(action).await?;
        let written = change.execute(statement).await.map_err(change.failed())?;
        change.commit().await?;
        Ok(written)
    }

    /// Takes note of what could not be written.
    fn write_failed(&self, action: &'static str) -> impl FnOnce(sqlx::Error) -> LedgerError + '_ {
        move |source| {
            self.note_change(Some(action));
            failed(action)(source)
        }
    }
}

impl Change {
    pub(crate) async fn commit(mut self) -> Result<(), LedgerError> {
        let action = self.action;
        sqlx::query("COMMIT").execute(&mut *self).await.map_err(self.failed())?;
        self.committed = true;
        self.ledger.note_change(None);
        // What was written into a file that was removed meanwhile is not durable.
        self.ledger.writable(action)?;
        if let Some(end) = self.reached {
            self.ledger.note(end, &self.lists);
        }
        Ok(())
    }

    /// Turns what SQLite reports into an error, which an operator sees until the next change is
    /// complete. A change whose caller goes away is no error.
    pub(crate) fn failed(&self) -> impl FnOnce(sqlx::Error) -> LedgerError + '_ {
        self.ledger.write_failed(self.action)
    }

    /// Takes note of an entry that belongs to this change.
    pub(crate) fn appended(&mut self, end: ChainEnd, event: &AuditEvent) {
        self.reached = Some(end);
        if let AuditEvent::CrlSigning { issuer_key_id, number, .. } = event {
            self.lists.push((issuer_key_id.clone(), *number));
        }
    }

    /// Whether this end of the record is not older than what was written before. A file that was
    /// overwritten in its place has the same inode, and another content.
    pub(crate) fn check_end(&self, end: &ChainEnd) -> Result<(), LedgerError> {
        let reached = self.ledger.shared.reached.lock().unwrap_or_else(PoisonError::into_inner).entries;
        let entries = end.entries();
        if entries >= reached {
            return Ok(());
        }
        Err(self.ledger.went_back(self.action, reached, entries))
    }
}

impl Deref for Change {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        // Where it stands is not known, and with the connection everything ends that was not
        // committed.
        if !self.committed {
            self.connection.close_on_drop();
        }
    }
}
