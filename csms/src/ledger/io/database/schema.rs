//! The schema of the ledger, and which versions of it this program can use.

use sqlx::{AnyConnection, ConnectOptions as _, Connection as _, any::AnyConnectOptions, migrate::Migrator};

use crate::ledger::{
    LedgerError,
    io::database::{connect::Kind, failure::failed},
};

/// The schema of a ledger does not fit this program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// It is older. SQLite is brought up to date at the start; PostgreSQL by a step of its own.
    #[error("its schema has version {found} and this program needs {needed}; run `ocpp-csms migrate`")]
    Older {
        /// The newest migration that was applied; 0: none.
        found: i64,
        /// The newest migration of this program.
        needed: i64,
    },
    /// It is newer, and not marked as one that this program can use.
    #[error(
        "its schema has version {found}, which programs from version {oldest} can use, and this one has {known}; \
         start the newer program"
    )]
    Newer {
        /// The newest migration that was applied.
        found: i64,
        /// The oldest schema whose programs can use it.
        oldest: i64,
        /// The newest migration of this program.
        known: i64,
    },
}

/// Brings the schema up to date, over a connection of its own: sqlx leaves its lock behind on a
/// connection on which a migration failed.
pub(crate) async fn migrate(kind: Kind, options: &AnyConnectOptions) -> Result<(), LedgerError> {
    let action = "migrate";
    let mut connection = options.connect().await.map_err(failed(action))?;
    let newest = newest(kind);
    // A file without tables is new.
    let migrated = match applied(kind, &mut connection).await?.filter(|found| *found >= newest) {
        Some(found) => check_version(kind, &mut connection, found).await,
        None => {
            let mut migrator = migrator(kind);
            migrator.set_ignore_missing(true);
            migrator
                .run(&mut connection)
                .await
                .map_err(|source| LedgerError { action, source: source.into() })
        }
    };
    // What it may have left behind goes with it.
    connection.close_hard().await.map_err(failed(action))?;
    migrated
}

/// Whether this program can use the schema as it is.
pub(crate) async fn check(kind: Kind, options: &AnyConnectOptions) -> Result<(), LedgerError> {
    let mut connection = options.connect().await.map_err(failed("open"))?;
    let found = applied(kind, &mut connection).await?.unwrap_or_default();
    let checked = check_version(kind, &mut connection, found).await;
    connection.close().await.map_err(failed("open"))?;
    checked
}

async fn check_version(kind: Kind, connection: &mut AnyConnection, found: i64) -> Result<(), LedgerError> {
    let action = "open";
    let known = newest(kind);
    let refused = |error: SchemaError| Err(LedgerError { action, source: Box::new(error) });
    match found.cmp(&known) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => refused(SchemaError::Older { found, needed: known }),
        std::cmp::Ordering::Greater => {
            let oldest: Option<i64> = sqlx::query_scalar("SELECT oldest FROM schema_version")
                .fetch_optional(connection)
                .await
                .map_err(failed(action))?;
            match oldest.unwrap_or(i64::MAX) {
                oldest if oldest <= known => Ok(()),
                oldest => refused(SchemaError::Newer { found, oldest, known }),
            }
        }
    }
}

/// The newest migration that was applied; `None`: there are no tables.
async fn applied(kind: Kind, connection: &mut AnyConnection) -> Result<Option<i64>, LedgerError> {
    let action = "read the version of its schema";
    let tables = match kind {
        Kind::Sqlite => "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'",
        Kind::Postgres => "SELECT count(to_regclass('_sqlx_migrations')::text)",
    };
    let tables: i64 = sqlx::query_scalar(tables).fetch_one(&mut *connection).await.map_err(failed(action))?;
    if tables == 0 {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await
        .map_err(failed(action))
}

fn newest(kind: Kind) -> i64 {
    migrator(kind).iter().map(|migration| migration.version).max().unwrap_or_default()
}

fn migrator(kind: Kind) -> Migrator {
    match kind {
        Kind::Sqlite => sqlx::migrate!("./migrations/sqlite"),
        Kind::Postgres => sqlx::migrate!("./migrations/postgres"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::LedgerLocation,
        ledger::{
            Ledger,
            io::{
                database::connect::{Access, postgres_options, sqlite_options},
                test_database::TestDatabase,
            },
        },
    };

    /// A ledger of the version before stations were in it, with what it has learnt of one.
    async fn check_stations(kind: Kind, options: &AnyConnectOptions, location: &LedgerLocation, before: i64) {
        let mut older = migrator(kind);
        let known = older.iter().filter(|migration| migration.version <= before).cloned();
        older.migrations = known.collect::<Vec<_>>().into();
        let mut connection = options.connect().await.expect("connects");
        older.run(&mut connection).await.expect("migrates");
        let insert = "INSERT INTO station_state (station, security_profile) VALUES ('CS001', 3)";
        sqlx::query(insert).execute(&mut connection).await.expect("inserts");
        connection.close().await.expect("closes");
        Ledger::migrate(location).await.expect("migrates");
        let ledger = Ledger::open(location).await.expect("opens");
        let identity = "cs001".parse().expect("an identity");
        assert_eq!(ledger.security_profile(&identity).await.expect("reads"), Some(3));
        assert_eq!(ledger.registered_station(&identity).await.expect("reads"), None);
        let oldest: i64 = sqlx::query_scalar("SELECT oldest FROM schema_version")
            .fetch_one(&ledger.pool)
            .await
            .expect("reads");
        assert!(oldest > before, "an older program would refuse the stations as unknown");
    }

    #[tokio::test]
    async fn a_ledger_without_stations_is_migrated_on_sqlite() {
        let database = TestDatabase::sqlite();
        let location = database.location();
        let path = location.file().expect("a file");
        std::fs::File::create(path).expect("creates");
        let options = sqlite_options(path, Access::Write).expect("options");
        check_stations(Kind::Sqlite, &options, &location, 11).await;
    }

    #[tokio::test]
    async fn a_ledger_without_stations_is_migrated_on_postgres() {
        let TestDatabase::Postgres(server) = TestDatabase::postgres().await else { unreachable!("made so") };
        server.database("older");
        let location = LedgerLocation::Postgres(server.url("older").parse().expect("the URL of a test"));
        let LedgerLocation::Postgres(url) = &location else { unreachable!("made so") };
        let options = postgres_options(url).expect("options");
        check_stations(Kind::Postgres, &options, &location, 1).await;
    }
}
