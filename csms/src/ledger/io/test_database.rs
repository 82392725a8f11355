//! A ledger's database for a test: SQLite, or PostgreSQL.

use crate::{
    config::LedgerLocation,
    ledger::{Ledger, io::test_server::PostgresServer},
};

/// A database that ends with the test.
#[derive(Debug)]
pub(crate) enum TestDatabase {
    Sqlite(tempfile::TempDir),
    Postgres(PostgresServer),
}

impl TestDatabase {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a folder"))
    }

    /// An empty database of PostgreSQL, with its tables.
    pub(crate) async fn postgres() -> Self {
        // These tests do not stop the machine, and need not wait for the disk.
        let server =
            PostgresServer::start_with(&["fsync=off", "synchronous_commit=off", "full_page_writes=off"]);
        server.database("ledger");
        let database = Self::Postgres(server);
        Ledger::migrate(&database.location()).await.expect("migrates");
        database
    }

    pub(crate) fn location(&self) -> LedgerLocation {
        match self {
            Self::Sqlite(folder) => LedgerLocation::File(folder.path().join("ledger.sqlite")),
            Self::Postgres(server) => {
                LedgerLocation::Postgres(server.url("ledger").parse().expect("the URL of a test"))
            }
        }
    }

    pub(crate) async fn open(&self) -> Ledger {
        Ledger::open(&self.location()).await.expect("opens")
    }
}

/// Makes two tests of each function: one on SQLite, one on PostgreSQL.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            use crate::ledger::io::test_database::TestDatabase;
            $(#[tokio::test] async fn $name() { super::$name(&TestDatabase::sqlite()).await })*
        }
        mod on_postgres {
            use crate::ledger::io::test_database::TestDatabase;
            $(#[tokio::test] async fn $name() { super::$name(&TestDatabase::postgres().await).await })*
        }
    };
}

pub(crate) use on_both;
