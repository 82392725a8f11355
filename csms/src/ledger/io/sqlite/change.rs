//! A transaction: all of its statements take effect, or none.

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

/// A transaction: all of its statements take effect, or none.
///
/// sqlx's own transaction is not used. SQLite rolls back by itself, for example on a full disk.
/// sqlx then counts the open transactions wrongly, and leaves a connection in the pool that cannot
/// begin another one.
#[derive(Debug)]
pub(crate) struct Change {
    connection: PoolConnection<Sqlite>,
    ledger: SqliteLedger,
    action: &'static str,
    committed: bool,
    /// The end of the record after this change, and the lists that were announced in it.
    pub(crate) reached: Option<ChainEnd>,
    lists: Vec<(String, u64)>,
}

impl SqliteLedger {
    /// Begins a change that holds the lock of the one writer from its beginning, so that the values
    /// that it reads stay valid.
    pub(crate) async fn begin(&self, action: &'static str) -> Result<Change, LedgerError> {
        let acquired = self.writable(action)?.acquire().await;
        let connection = acquired.map_err(self.write_failed(action))?;
        let (ledger, lists) = (self.clone(), Vec::new());
        let mut change = Change { connection, ledger, action, committed: false, reached: None, lists };
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *change).await.map_err(change.failed())?;
        Ok(change)
    }

    /// Makes a change of one statement.
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

    /// Notes a change that could not be written.
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
        // A change that was written into a removed file is not durable.
        self.ledger.writable(action)?;
        if let Some(end) = self.reached {
            self.ledger.note(end, &self.lists);
        }
        Ok(())
    }

    /// Converts what SQLite reports into an error. An operator sees it until the next change is
    /// complete. A change that is dropped by its caller is not an error.
    pub(crate) fn failed(&self) -> impl FnOnce(sqlx::Error) -> LedgerError + '_ {
        self.ledger.write_failed(self.action)
    }

    /// Notes an entry that belongs to this change.
    pub(crate) fn appended(&mut self, end: ChainEnd, event: &AuditEvent) {
        self.reached = Some(end);
        if let AuditEvent::CrlSigning { issuer_key_id, number, .. } = event {
            self.lists.push((issuer_key_id.clone(), *number));
        }
    }

    /// Checks that this end of the record is not older than what was written before. A file that
    /// was overwritten in place has the same inode, but another content.
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
        // The state of the transaction is not known. Closing the connection discards everything
        // that was not committed.
        if !self.committed {
            self.connection.close_on_drop();
        }
    }
}
