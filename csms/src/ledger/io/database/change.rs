//! One commit of the ledger: changes of which all count, or none.

use signer_pkcs11::{AuditEvent, ChainEnd};
use sqlx::{Any, AnyConnection, AnyPool, pool::PoolConnection};

use crate::ledger::{
    LedgerEntry, LedgerError,
    io::{
        database::{
            connect::Kind,
            failure::{Within as _, failed},
            rows::insert_certificates,
            state::State,
            statement::Statement,
        },
        record::entries::{entry_at, last_entry},
        sqlite::guard::LedgerLost,
    },
};

/// Changes of which all count, or none. It holds the lock of the one writer from its beginning, so
/// that what it reads stays true; on PostgreSQL, writers of all nodes take turns.
///
/// Entries of the record and certificates are collected, and written by one statement each.
///
/// It is not sqlx's own transaction, which loses count where SQLite has rolled back by itself, as
/// it does on a full disk, and leaves a connection in the pool that begins no other.
#[derive(Debug)]
pub(crate) struct Change {
    connection: PoolConnection<Any>,
    kind: Kind,
    committed: bool,
    /// The end of the record, with what was appended.
    end: ChainEnd,
    /// Entries that are appended and not written.
    lines: Vec<(u64, String)>,
    /// Certificates that are issued and not written, and when.
    certificates: Vec<(LedgerEntry, i64)>,
    /// The revocation lists that were announced.
    pub(crate) lists: Vec<(String, u64)>,
}

impl Change {
    pub(crate) async fn begin(pool: &AnyPool, state: &State) -> Result<Self, LedgerError> {
        let action = "begin a change";
        state.check(action)?;
        let connection = pool.acquire().await.map_err(failed(action))?;
        let mut change = Self {
            connection,
            kind: state.kind,
            committed: false,
            end: ChainEnd::default(),
            lines: Vec::new(),
            certificates: Vec::new(),
            lists: Vec::new(),
        };
        match state.kind {
            Kind::Sqlite => execute(&mut change.connection, "BEGIN IMMEDIATE").await?,
            Kind::Postgres => {
                execute(&mut change.connection, BEGIN).await?;
                execute(&mut change.connection, TAKE_TURN).await?;
            }
        }
        change.end = last_entry(&mut change.connection).await?;
        change.check_end(action, state).await?;
        Ok(change)
    }

    /// Checks that the record has the entry that was the last one. A file that was overwritten in
    /// its place has the same inode, and another content; a standby that was promoted may lack
    /// entries, and have others.
    async fn check_end(&mut self, action: &'static str, state: &State) -> Result<(), LedgerError> {
        let (mark, end) = (state.reached(), self.end);
        if end.entries() < mark.entries {
            let lost = LedgerLost::WentBack { reached: mark.entries, entries: end.entries() };
            return Err(state.lost(action, lost));
        }
        if mark.head.is_empty() {
            return Ok(());
        }
        let there = match end.entries() == mark.entries {
            true => Some(end),
            false => entry_at(&mut self.connection, mark.entries).await?,
        };
        match there.is_some_and(|there| there.head().to_string() == mark.head) {
            true => Ok(()),
            false => Err(state.lost(action, LedgerLost::Forked { entry: mark.entries })),
        }
    }

    /// Appends an entry to the record and returns its number.
    pub(crate) fn append(&mut self, event: &AuditEvent) -> Result<u64, LedgerError> {
        let broken = |source| LedgerError { action: "write into its record", source: Box::new(source) };
        let line = self.end.append(event, std::time::SystemTime::now()).map_err(broken)?;
        self.lines.push((self.end.entries(), line.trim_end_matches('\n').to_owned()));
        if let AuditEvent::CrlSigning { issuer_key_id, number, .. } = event {
            self.lists.push((issuer_key_id.clone(), *number));
        }
        Ok(self.end.entries())
    }

    /// Remembers a certificate as due to its station. A request that waited for it is over.
    pub(crate) fn insert(&mut self, entry: LedgerEntry, issued_at: i64) {
        self.certificates.push((entry, issued_at));
    }

    /// The end of the record, with what was appended.
    pub(crate) fn end(&self) -> ChainEnd {
        self.end
    }

    /// The connection, for statements that see all that was changed before.
    pub(crate) async fn connection(&mut self) -> Result<&mut AnyConnection, LedgerError> {
        self.write_collected().await?;
        Ok(&mut self.connection)
    }

    /// Makes everything durable.
    pub(crate) async fn commit(&mut self) -> Result<(), LedgerError> {
        self.write_collected().await?;
        match self.kind {
            // A disk that is slow is waited for: whether the change lasts is known then.
            Kind::Sqlite => {
                let committed = sqlx::query("COMMIT").execute(&mut *self.connection).await;
                committed.map_err(failed("commit a change"))?;
            }
            Kind::Postgres => execute(&mut self.connection, "COMMIT").await?,
        }
        self.committed = true;
        Ok(())
    }

    async fn write_collected(&mut self) -> Result<(), LedgerError> {
        for lines in self.lines.chunks(MAX_ROWS_PER_STATEMENT) {
            let mut insert = Statement::new("INSERT INTO record (number, line) VALUES ");
            insert.rows(lines, |row, (number, line)| {
                row.bind(i64::try_from(*number).unwrap_or(i64::MAX)).bind(line.as_str());
            });
            insert.query().execute(&mut *self.connection).within("write into its record").await?;
        }
        self.lines.clear();
        for certificates in self.certificates.chunks(MAX_ROWS_PER_STATEMENT) {
            insert_certificates(&mut self.connection, certificates).await?;
        }
        self.certificates.clear();
        Ok(())
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

async fn execute(connection: &mut AnyConnection, statement: &'static str) -> Result<(), LedgerError> {
    sqlx::query(statement).execute(connection).within("commit a change").await.map(drop)
}

/// Whatever the database's default is: another level would read the end of the record as it was
/// before the wait for the lock.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// Writers of all nodes append to one record. The lock ends with the transaction.
const TAKE_TURN: &str = "SELECT count(*) FROM pg_advisory_xact_lock(7301870402)";

/// SQLite takes 32,766 values in a statement, PostgreSQL 65,535.
const MAX_ROWS_PER_STATEMENT: usize = 256;
