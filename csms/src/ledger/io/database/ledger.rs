//! The ledger, open: its connections, its writer, and what its clones share.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use signer_pkcs11::AuditEvent;
use sqlx::AnyPool;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    config::{LedgerLocation, PostgresUrl},
    ledger::{
        Finding, LedgerError, Mark,
        io::{
            database::{
                connect::{self, Access, Kind},
                schema,
                writer::{self, Queue},
            },
            marks::Marks,
            record::last_of_restorations,
            sqlite::{
                guard::{Guard, LedgerLost},
                paths::create_private,
            },
        },
    },
};

/// What the certificate service has promised and done, in a SQLite file or in PostgreSQL. Each
/// method returns after its change is durable. Clones share one writer.
///
/// It is the authority's record, too: [`IssuanceRecord::signed`](signer_pkcs11::IssuanceRecord::signed)
/// remembers a certificate as due to its station before anyone else learns of it.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) pool: AnyPool,
    kind: Kind,
    pub(crate) shared: Arc<Shared>,
    /// Missing where the ledger is only read, and in the writer itself.
    queue: Option<Queue>,
}

/// What the clones of a ledger share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Of a SQLite file that is written.
    pub(crate) guard: Option<Guard>,
    /// The database went back to an earlier state.
    pub(crate) went_back: OnceLock<LedgerLost>,
    /// What is durable.
    pub(crate) reached: Mutex<Mark>,
    /// Where it is kept apart from the ledger; missing where the ledger is opened by a library or a
    /// test.
    pub(crate) marks: OnceLock<Marks>,
    /// Whether stations that are not known to have used a certificate may have done so all the
    /// same: entries were lost.
    distrusts_passwords: AtomicBool,
    /// Certificates that are not what was signed, as far as this process has noticed.
    pub(crate) findings: Mutex<Vec<Finding>>,
    /// What the last change was for, if it was not completed.
    pub(crate) incomplete: Mutex<Option<&'static str>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// The copy that is read instead of a ledger on read-only media.
    _copy: Option<tempfile::TempDir>,
}

impl Ledger {
    /// Opens a ledger to write it. A SQLite file is made where it is missing, brought up to date,
    /// and readable by its owner only. The schema of PostgreSQL has to be up to date:
    /// [`Ledger::migrate`].
    ///
    /// # Errors
    /// [`LedgerError`] if the database cannot be opened or is no ledger that this program can use.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn open(location: &LedgerLocation) -> Result<Self, LedgerError> {
        let (pool, kind, guard) = match location {
            LedgerLocation::File(path) => {
                create_private(path)
                    .map_err(|source| LedgerError { action: "open", source: source.into() })?;
                let pool = connect::sqlite(path, Access::Write).await?;
                Self::migrate(location).await?;
                (pool, Kind::Sqlite, Some(Guard::new(path).await?))
            }
            LedgerLocation::Postgres(url) => {
                schema::check(Kind::Postgres, &connect::postgres_options(url)?).await?;
                (connect::postgres(url).await?, Kind::Postgres, None)
            }
        };
        let shared = Arc::new(Shared { guard, ..Shared::default() });
        let (queue, waiting) = mpsc::channel(writer::MAX_WAITING_CHANGES);
        let writer = Self { pool, kind, shared, queue: None };
        writer.read_restorations().await?;
        let ledger = Self { queue: Some(queue), ..writer.clone() };
        let task = tokio::spawn(writer::write(writer, waiting));
        *ledger.shared.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(ledger)
    }

    /// Opens an existing ledger and changes nothing in it. A SQLite file on read-only media is
    /// copied if it has a write-ahead log.
    ///
    /// # Errors
    /// [`LedgerError`] if the database cannot be opened.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn open_to_read(location: &LedgerLocation) -> Result<Self, LedgerError> {
        let (pool, kind, copy) = match location {
            LedgerLocation::File(path) => {
                let (pool, copy) = connect::sqlite_to_read(path).await?;
                (pool, Kind::Sqlite, copy)
            }
            LedgerLocation::Postgres(url) => (connect::postgres(url).await?, Kind::Postgres, None),
        };
        let shared = Arc::new(Shared { _copy: copy, ..Shared::default() });
        Ok(Self { pool, kind, shared, queue: None })
    }

    /// Brings the schema of a ledger up to date. Other programs that migrate it at the same time
    /// wait.
    ///
    /// # Errors
    /// [`LedgerError`] whose source says which migration failed, or that the schema is newer than
    /// this program.
    ///
    /// # Cancel safety
    /// Each migration is applied as a whole or not at all.
    pub async fn migrate(location: &LedgerLocation) -> Result<(), LedgerError> {
        match location {
            LedgerLocation::File(path) => {
                schema::migrate(Kind::Sqlite, &connect::sqlite_options(path, Access::Write)?).await
            }
            LedgerLocation::Postgres(url) => {
                schema::migrate(Kind::Postgres, &connect::postgres_options(url)?).await
            }
        }
    }

    /// A ledger in a SQLite file: [`Ledger::open`].
    ///
    /// # Errors
    /// As [`Ledger::open`].
    ///
    /// # Cancel safety
    /// As [`Ledger::open`].
    pub async fn open_file(path: &Path) -> Result<Self, LedgerError> {
        Self::open(&LedgerLocation::File(path.to_path_buf())).await
    }

    /// A ledger in PostgreSQL: [`Ledger::open`].
    ///
    /// # Errors
    /// As [`Ledger::open`].
    ///
    /// # Cancel safety
    /// As [`Ledger::open`].
    pub async fn open_postgres(url: PostgresUrl) -> Result<Self, LedgerError> {
        Self::open(&LedgerLocation::Postgres(url)).await
    }

    /// Writes what waits and closes all connections. It takes effect for all clones.
    pub(crate) async fn close(self) {
        let Self { pool, shared, queue, .. } = self;
        drop(queue);
        let writer = shared.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // It ends with the last clone that can write; a writer that has panicked has ended.
            let _ = writer.await;
        }
        pool.close().await;
        if let Some(guard) = &shared.guard {
            guard.close().await;
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn queue(&self) -> Option<&Queue> {
        self.queue.as_ref()
    }

    /// The pool, for a change. It is refused once the ledger's files are lost: nothing would last.
    pub(crate) fn writable(&self, action: &'static str) -> Result<&AnyPool, LedgerError> {
        self.check_files().map_err(|lost| LedgerError { action, source: Box::new(lost) })?;
        Ok(&self.pool)
    }

    /// After a restoration that lost entries, any station may have used a certificate (A05.FR.07).
    async fn read_restorations(&self) -> Result<(), LedgerError> {
        let last = last_of_restorations(&self.pool).await?;
        let distrusts = matches!(last, Some(AuditEvent::Restored { keep_passwords: false, .. }));
        self.shared.distrusts_passwords.store(distrusts, Ordering::Release);
        Ok(())
    }

    /// Whether any station may have used a certificate, because entries were lost.
    pub(crate) fn distrusts_passwords(&self) -> bool {
        self.shared.distrusts_passwords.load(Ordering::Acquire)
    }

    /// Accepts passwords again of stations that are not known to have used a certificate, after a
    /// restoration that lost entries.
    pub(crate) async fn accept_passwords(&self) -> Result<(), LedgerError> {
        self.append_all(&[AuditEvent::PasswordsAccepted]).await?;
        self.shared.distrusts_passwords.store(false, Ordering::Release);
        Ok(())
    }
}
