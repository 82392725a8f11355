//! Connections to the ledger's database.

use std::{fmt::Write as _, fs, path::Path, str::FromStr, time::Duration};

use sqlx::{
    AnyConnection, AnyPool, ConnectOptions as _, Connection as _, Executor as _,
    any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers},
};

use crate::{
    config::PostgresUrl,
    ledger::{LedgerError, io::database::failure::failed, io::sqlite::paths::ledger_files},
};

/// Which database the ledger is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// How a SQLite file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Write,
    Read,
    /// SQLite is told that the file does not change, and needs no file beside it.
    Immutable,
}

/// The options for a SQLite file.
pub(crate) fn sqlite_options(path: &Path, access: Access) -> Result<AnyConnectOptions, LedgerError> {
    let io_failed = |source: std::io::Error| LedgerError { action: "open", source: source.into() };
    // A URL has no `..`, which a path may have.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let path = match path.file_name() {
        Some(name) => folder.canonicalize().map_err(io_failed)?.join(name),
        None => path.to_path_buf(),
    };
    let mut url = "sqlite://".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(*byte)),
            letter if letter.is_ascii_alphanumeric() => url.push(char::from(*letter)),
            // A text in memory does not fail.
            other => _ = write!(url, "%{other:02X}"),
        }
    }
    url += match access {
        Access::Write => "?mode=rw",
        Access::Read => "?mode=ro",
        Access::Immutable => "?mode=ro&immutable=true",
    };
    options(&url)
}

/// The options for PostgreSQL.
pub(crate) fn postgres_options(url: &PostgresUrl) -> Result<AnyConnectOptions, LedgerError> {
    options(url.with_secrets())
}

fn options(url: &str) -> Result<AnyConnectOptions, LedgerError> {
    install_default_drivers();
    AnyConnectOptions::from_str(url).map_err(failed("open"))
}

/// Connects to a SQLite file.
pub(crate) async fn sqlite(path: &Path, access: Access) -> Result<AnyPool, LedgerError> {
    let options = sqlite_options(path, access)?;
    let setup = match access {
        // Durable at every commit.
        Access::Write => "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL",
        // These do not read the file.
        Access::Read | Access::Immutable => "PRAGMA synchronous",
    };
    // A pool tries again for seconds if this fails, as with a damaged file.
    let mut first = options.connect().await.map_err(failed("open"))?;
    first.execute(sqlx::raw_sql(setup)).await.map_err(failed("open"))?;
    check_schema(&mut first).await?;
    let pool = pool(setup, MAX_SQLITE_CONNECTIONS)
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .map_err(failed("open"))?;
    // Not before the pool has opened the write-ahead log as well.
    first.close().await.map_err(failed("open"))?;
    Ok(pool)
}

/// Opens a SQLite file only to read it. On read-only media no file can be made beside it. It is
/// opened as one that does not change then; if it has a write-ahead log, a copy of both is read.
pub(crate) async fn sqlite_to_read(path: &Path) -> Result<(AnyPool, Option<tempfile::TempDir>), LedgerError> {
    let io_failed = |source: std::io::Error| LedgerError { action: "open", source: source.into() };
    let first = match sqlite(path, Access::Read).await {
        Ok(pool) => return Ok((pool, None)),
        Err(error) if !path.exists() => return Err(error),
        Err(error) => error,
    };
    let log = &ledger_files(path)[1];
    if fs::metadata(log).map_or(0, |found| found.len()) == 0 {
        return Ok((sqlite(path, Access::Immutable).await.map_err(|_| first)?, None));
    }
    let folder = tempfile::tempdir().map_err(io_failed)?;
    let copy = folder.path().join("ledger.sqlite");
    fs::copy(path, &copy).map_err(io_failed)?;
    fs::copy(log, &ledger_files(&copy)[1]).map_err(io_failed)?;
    Ok((sqlite(&copy, Access::Read).await.map_err(|_| first)?, Some(folder)))
}

/// Connects to PostgreSQL.
pub(crate) async fn postgres(url: &PostgresUrl) -> Result<AnyPool, LedgerError> {
    // A pool tries again for seconds if the server refuses.
    let first = postgres_options(url)?.connect().await.map_err(failed("open"))?;
    first.close().await.map_err(failed("open"))?;
    let pool = pool(POSTGRES_SETUP, MAX_POSTGRES_CONNECTIONS).connect_with(postgres_options(url)?).await;
    pool.map_err(failed("open"))
}

fn pool(setup: &'static str, max_connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new().max_connections(max_connections).acquire_timeout(BUSY_TIMEOUT).after_connect(
        move |connection: &mut AnyConnection, _| {
            Box::pin(async move { connection.execute(sqlx::raw_sql(setup)).await.map(drop) })
        },
    )
}

/// Checks the names of columns, before a statement is prepared that returns them: sqlx panics where
/// one is not UTF-8, as in a damaged file.
async fn check_schema(connection: &mut AnyConnection) -> Result<(), LedgerError> {
    let action = "open";
    let statements: Vec<Option<Vec<u8>>> =
        sqlx::query_scalar("SELECT CAST(sql AS BLOB) AS statement FROM sqlite_master")
            .fetch_all(connection)
            .await
            .map_err(failed(action))?;
    if statements.iter().flatten().all(|statement| std::str::from_utf8(statement).is_ok()) {
        return Ok(());
    }
    Err(LedgerError { action, source: Box::new(SchemaDamaged) })
}

/// The ledger's schema is not what was written.
#[derive(Debug, thiserror::Error)]
#[error("database disk image is malformed: its schema is not UTF-8")]
struct SchemaDamaged;

/// SQLite writes one at a time; more connections only help readers.
const MAX_SQLITE_CONNECTIONS: u32 = 4;

/// Of one node. A server accepts 100 by default, which all nodes share, twice as many while a new
/// version is rolled out.
const MAX_POSTGRES_CONNECTIONS: u32 = 8;

/// How long one writer waits for another, or a caller for a connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// No statement of this service takes seconds, except behind a lock. A server that hangs is
/// noticed by the callers, which wait no longer.
const POSTGRES_SETUP: &str = "SET statement_timeout = '10s'; SET lock_timeout = '5s'; \
    SET idle_in_transaction_session_timeout = '30s'";
