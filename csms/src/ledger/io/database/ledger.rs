//! The ledger, open: its connections, its writer, and what its clones share.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use signer_pkcs11::AuditEvent;
use sqlx::AnyPool;

use crate::{
    config::{LedgerLocation, PostgresUrl},
    ledger::{
        LedgerError,
        io::{
            database::{
                connect::{self, Access, Kind},
                schema,
                state::State,
                writer::{Apply, Writer, WriterEnded},
            },
            record::entries::last_of_restorations,
            sqlite::{guard::Guard, paths::create_private},
        },
    },
};

/// What the certificate service has promised and done, in a SQLite file or in PostgreSQL. Each
/// method returns after its change is durable. Clones share one writer.
///
/// It is the authority's record, too:
/// [`IssuanceRecord::signed`](signer_pkcs11::IssuanceRecord::signed) remembers a certificate as due
/// to its station before anyone else learns of it.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) pool: AnyPool,
    pub(crate) state: Arc<State>,
    /// Missing where the ledger is only read.
    writer: Option<Writer>,
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
        let state = Arc::new(State::new(kind, guard, None));
        let writer = Some(Writer::start(pool.clone(), Arc::clone(&state)));
        let ledger = Self { pool, state, writer };
        ledger.read_restorations().await?;
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
        Ok(Self { pool, state: Arc::new(State::new(kind, None, copy)), writer: None })
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

    /// Makes a change durable, together with others that wait. `data` is what `apply` works with.
    ///
    /// # Cancel safety
    /// A change whose caller goes away is made all the same.
    pub(crate) async fn change<D: Send + Sync + 'static, T: Send + 'static>(
        &self,
        action: &'static str,
        data: D,
        apply: Apply<D, T>,
    ) -> Result<T, LedgerError> {
        match &self.writer {
            Some(writer) => writer.change(action, data, apply).await,
            None => Err(LedgerError { action, source: Box::new(WriterEnded) }),
        }
    }

    /// Writes what waits and closes all connections. It takes effect for all clones.
    pub(crate) async fn close(self) {
        let Self { pool, state, writer } = self;
        if let Some(writer) = writer {
            writer.end().await;
        }
        pool.close().await;
        if let Some(guard) = &state.guard {
            guard.close().await;
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.state.kind
    }

    /// After a restoration that lost entries, any station may have used a certificate (A05.FR.07).
    async fn read_restorations(&self) -> Result<(), LedgerError> {
        let last = last_of_restorations(&self.pool).await?;
        let distrusts = matches!(last, Some(AuditEvent::Restored { keep_passwords: false, .. }));
        self.state.distrusts_passwords.store(distrusts, Ordering::Release);
        Ok(())
    }

    /// Whether any station may have used a certificate, because entries were lost.
    pub(crate) fn distrusts_passwords(&self) -> bool {
        self.state.distrusts_passwords.load(Ordering::Acquire)
    }
}
