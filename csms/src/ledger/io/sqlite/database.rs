//! The open file of the ledger, which all clones of the ledger share.

use std::{
    convert::Infallible,
    fs,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use metrics::gauge;
use program::causes;
use signer_pkcs11::ChainEnd;
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    ledger::{
        Finding, LedgerError, Mark,
        io::{
            marks::{Marks, Reach},
            sqlite::{
                failure::failed,
                guard::{Guard, LedgerLost},
                paths::{create_private, ledger_files},
            },
        },
    },
    service::io::metrics as names,
    service::{control::LedgerStatus, io::server_error::ServerError},
};

/// The ledger in one SQLite file, durable after each call (write-ahead log, synced at each commit).
#[derive(Clone, Debug)]
pub struct SqliteLedger {
    pub(crate) pool: SqlitePool,
    pub(crate) shared: Arc<Shared>,
}

/// The state that the clones of a ledger share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// `None` if the ledger is only read.
    guard: Option<Guard>,
    /// The durable end of the ledger.
    pub(crate) reached: Mutex<Mark>,
    /// The places of the marks; empty if a library or a test opened the ledger.
    pub(crate) marks: OnceLock<Marks>,
    /// Entries were lost. Stations that are not known to have used a certificate may have used one.
    distrusts_passwords: AtomicBool,
    /// Certificates that differ from what was signed, as far as this process has noticed; at most
    /// [`MAX_FINDINGS`].
    pub(crate) findings: Mutex<Vec<Finding>>,
    /// The action of the last change, if it was not completed.
    incomplete: Mutex<Option<&'static str>>,
    /// The copy that is read instead of a ledger on read-only media.
    _copy: Option<tempfile::TempDir>,
}

impl SqliteLedger {
    /// Opens the ledger. The file and its tables are created if they are missing. Only the owner
    /// may read the file.
    ///
    /// # Errors
    /// [`LedgerError`] if the file cannot be opened, or is not a ledger of this version or an older
    /// one.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        let action = "open";
        create_private(path).map_err(|source| LedgerError { action, source: source.into() })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = connect(options.clone()).await?;
        MIGRATIONS
            .run(&pool)
            .await
            .map_err(|source| LedgerError { action: "migrate", source: source.into() })?;
        let guard = Some(Guard::new(path, &options).await?);
        let ledger = Self { pool, shared: Arc::new(Shared { guard, ..Shared::default() }) };
        ledger.read_restorations().await?;
        Ok(ledger)
    }

    /// Opens an existing ledger, and changes nothing in it. On read-only media a copy is read if
    /// the ledger has a write-ahead log.
    ///
    /// # Errors
    /// [`LedgerError`] if the file cannot be opened.
    pub async fn open_to_read(path: &Path) -> Result<Self, LedgerError> {
        let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_TIMEOUT);
        let (pool, copy) = read_only(path, options).await?;
        Ok(Self { pool, shared: Arc::new(Shared { _copy: copy, ..Shared::default() }) })
    }

    /// The pool, for a change. Fails after the ledger's files were lost, because no change would be
    /// durable.
    pub(crate) fn writable(&self, action: &'static str) -> Result<&SqlitePool, LedgerError> {
        if let Some(guard) = &self.shared.guard {
            guard.check().map_err(|lost| LedgerError { action, source: Box::new(lost) })?;
        }
        Ok(&self.pool)
    }

    /// Checks the ledger's files. An error is final.
    pub(crate) fn check_files(&self) -> Result<(), LedgerLost> {
        self.shared.guard.as_ref().map_or(Ok(()), Guard::check)
    }

    /// Raises the marks to the end, and writes everything into the one file, so that it can be
    /// copied.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn finish(&self) -> Result<(), ServerError> {
        if let Some(guard) = &self.shared.guard
            && !guard.checkpoint().await
        {
            tracing::warn!("the ledger's write-ahead log stays: copy it together with the ledger");
        }
        self.advance_marks(Reach::Everywhere).await
    }

    /// See [`Guard::rescue`].
    pub(crate) async fn rescue(&self) -> bool {
        match &self.shared.guard {
            Some(guard) => guard.rescue().await,
            None => false,
        }
    }

    /// Closes the last connection, if this is the last clone.
    pub(crate) async fn release_files(self) -> Result<(), LedgerError> {
        match Arc::into_inner(self.shared).and_then(|shared| shared.guard) {
            Some(guard) => guard.close().await,
            None => Ok(()),
        }
    }

    /// Notes that the record ends earlier than it did: the ledger is lost.
    pub(crate) fn went_back(&self, action: &'static str, reached: u64, entries: u64) -> LedgerError {
        let lost = LedgerLost::WentBack { reached, entries };
        let lost = match &self.shared.guard {
            Some(guard) => guard.lose(lost),
            None => lost,
        };
        LedgerError { action, source: Box::new(lost) }
    }

    /// Sets the durable end at the opening, and the places of the marks.
    pub(crate) fn begin_at(&self, reached: Mark, marks: Marks) {
        *self.shared.reached.lock().unwrap_or_else(PoisonError::into_inner) = reached;
        // It is set once, when the service opens the ledger.
        let _ = self.shared.marks.set(marks);
    }

    /// Notes what is durable.
    pub(crate) fn note(&self, end: ChainEnd, lists: &[(String, u64)]) {
        let mut reached = self.shared.reached.lock().unwrap_or_else(PoisonError::into_inner);
        if end.entries() > reached.entries {
            reached.entries = end.entries();
            reached.head = end.head().to_string();
        }
        for (issuer, number) in lists {
            let known = reached.lists.entry(issuer.clone()).or_default();
            *known = (*known).max(*number);
        }
    }

    /// Notes how the last change ended: `None` if it was completed, otherwise its action.
    pub(crate) fn note_change(&self, incomplete: Option<&'static str>) {
        *self.shared.incomplete.lock().unwrap_or_else(PoisonError::into_inner) = incomplete;
        gauge!(names::LEDGER_WRITABLE).set(if incomplete.is_none() { 1 } else { 0 });
    }

    /// The problem that an operator has to look at, if the last change was not completed.
    pub(crate) fn problem(&self) -> Option<String> {
        let incomplete = *self.shared.incomplete.lock().unwrap_or_else(PoisonError::into_inner);
        incomplete.map(|action| {
            format!("cannot {action} in the ledger; the log names the reason; if the disk is full, make room")
        })
    }

    /// Notes a certificate that differs from what was signed, once.
    pub(crate) fn find(&self, finding: Finding) {
        let mut findings = self.shared.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if findings.len() < MAX_FINDINGS && !findings.contains(&finding) {
            findings.push(finding);
        }
    }

    /// After a restoration that lost entries, any station may have used a certificate (A05.FR.07).
    async fn read_restorations(&self) -> Result<(), LedgerError> {
        let distrusts: bool = sqlx::query_scalar(
            "SELECT coalesce((SELECT kind = 'restored' AND NOT line ->> '$.entry.event.keep_passwords' FROM record
             WHERE kind IN ('ledger', 'restored', 'passwords-accepted') AND kind <> 'ledger'
             ORDER BY number DESC LIMIT 1), FALSE)",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(failed("read what was restored"))?;
        self.shared.distrusts_passwords.store(distrusts, Ordering::Release);
        Ok(())
    }

    /// Whether any station may have used a certificate because entries were lost.
    pub(crate) fn distrusts_passwords(&self) -> bool {
        self.shared.distrusts_passwords.load(Ordering::Acquire)
    }

    /// Ends the state that [`Self::distrusts_passwords`] reports.
    pub(crate) fn trust_passwords(&self) {
        self.shared.distrusts_passwords.store(false, Ordering::Release);
    }
}

/// Connects. The caller sets the busy time-out.
pub(crate) async fn connect(options: SqliteConnectOptions) -> Result<SqlitePool, LedgerError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(BUSY_TIMEOUT)
        .connect_with(options)
        .await
        .map_err(failed("open"))?;
    check_schema(&pool).await?;
    Ok(pool)
}

/// Checks the names of columns before a statement that returns them is prepared. sqlx panics if a
/// name is not UTF-8, as in a damaged file.
async fn check_schema(pool: &SqlitePool) -> Result<(), LedgerError> {
    let action = "open";
    let statements: Vec<Option<Vec<u8>>> =
        sqlx::query_scalar("SELECT CAST(sql AS BLOB) AS statement FROM sqlite_master")
            .fetch_all(pool)
            .await
            .map_err(failed(action))?;
    if statements.iter().flatten().all(|statement| std::str::from_utf8(statement).is_ok()) {
        return Ok(());
    }
    Err(LedgerError { action, source: Box::new(SchemaDamaged) })
}

/// The ledger's schema was changed.
#[derive(Debug, thiserror::Error)]
#[error("database disk image is malformed: its schema is not UTF-8")]
struct SchemaDamaged;

impl SqliteLedger {
    /// The mark of the ledger.
    pub(crate) fn reached(&self) -> Mark {
        self.shared.reached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The status of the ledger, for an operator.
    pub(crate) fn status(&self) -> LedgerStatus {
        let (mark_in_file, mark_in_token) = self.shared.marks.get().map_or((None, None), Marks::entries);
        let findings = self.shared.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let not_as_signed = findings.iter().map(ToString::to_string).collect();
        LedgerStatus { entries: self.reached().entries, mark_in_file, mark_in_token, not_as_signed }
    }

    /// Raises the marks to what is durable now. A token that cannot keep a mark is not an error.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the write.
    pub(crate) async fn advance_marks(&self, reach: Reach) -> Result<(), ServerError> {
        let ledger = self.clone();
        let write = move || {
            let Some(marks) = ledger.shared.marks.get() else { return Ok(()) };
            marks.write_file(|| ledger.reached())?;
            if reach == Reach::Everywhere {
                marks.write_token(|| ledger.reached());
            }
            Ok(())
        };
        spawn_blocking(write).await?
    }

    /// Raises the marks after the ledger, until the future is dropped.
    ///
    /// # Cancel safety
    /// A mark is unchanged or higher.
    pub(crate) async fn keep_marks(&self) -> Infallible {
        let mut token_written = Instant::now();
        loop {
            sleep(FILE_INTERVAL).await;
            gauge!("csms_ledger_entries").set(self.reached().entries as f64);
            let reach = match token_written.elapsed() >= TOKEN_INTERVAL {
                true => Reach::Everywhere,
                false => Reach::File,
            };
            if reach == Reach::Everywhere {
                token_written = Instant::now();
            }
            // A failure is logged once.
            if let Err(error) = self.advance_marks(reach).await {
                tracing::debug!(error = %causes(&error), "the high-water mark was not advanced");
            }
        }
    }
}

/// Opens a ledger only to read it. If no file can be created beside it, as on read-only media,
/// SQLite opens it as an immutable file. SQLite then ignores the write-ahead log. If there is one,
/// the ledger and its log are copied and the copy is read.
pub(crate) async fn read_only(
    path: &Path,
    options: SqliteConnectOptions,
) -> Result<(SqlitePool, Option<tempfile::TempDir>), LedgerError> {
    let action = "open";
    let io_failed = |source: std::io::Error| LedgerError { action, source: source.into() };
    let first = match connect(options.clone()).await {
        Ok(pool) => return Ok((pool, None)),
        Err(error) if !path.exists() => return Err(error),
        Err(error) => error,
    };
    let log = &ledger_files(path)[1];
    if fs::metadata(log).map_or(0, |found| found.len()) == 0 {
        return Ok((connect(options.immutable(true)).await.map_err(|_| first)?, None));
    }
    let folder = tempfile::tempdir().map_err(io_failed)?;
    let copy = folder.path().join("ledger.sqlite");
    fs::copy(path, &copy).map_err(io_failed)?;
    fs::copy(log, &ledger_files(&copy)[1]).map_err(io_failed)?;
    Ok((connect(options.filename(&copy)).await.map_err(|_| first)?, Some(folder)))
}

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// SQLite has one writer at a time; more connections help readers only.
const MAX_CONNECTIONS: u32 = 4;

/// The number of certificates that differ from what was signed and that an operator is shown.
pub(crate) const MAX_FINDINGS: usize = 100;

/// How long a writer waits for another one before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How far the mark in the file may be behind, if nothing demands more. Each write costs a sync of
/// the disk.
const FILE_INTERVAL: Duration = Duration::from_secs(1);

/// The same for the token. Its memory may wear out, and it also makes signatures.
const TOKEN_INTERVAL: Duration = Duration::from_secs(60);
