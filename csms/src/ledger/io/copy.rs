//! Copies a ledger from SQLite to PostgreSQL.

use sqlx::{AnyConnection, Row as _, any::AnyRow};

use crate::{
    config::{Config, LedgerLocation},
    ledger::{
        Ledger, LedgerError,
        io::{
            database::{
                connect::Kind,
                failure::{Within as _, failed},
                statement::Statement,
            },
            folder::FolderLock,
            verify::LedgerReport,
        },
    },
    service::io::server_error::ServerError,
};

/// Copies the ledger in the file of a configuration's folder into the PostgreSQL that it names, and
/// verifies both. No service may run. `progress` receives the table and the number of rows so far.
///
/// # Errors
/// [`ServerError`] if the copy cannot be made; the database is empty then.
///
/// # Cancel safety
/// The copy is made as a whole or not at all.
pub async fn copy_to_postgres(
    config: &Config,
    mut progress: impl FnMut(&str, u64),
) -> Result<LedgerReport, ServerError> {
    let source = LedgerLocation::File(config.directory.join("ledger.sqlite"));
    let target = config.ledger.location(&config.directory);
    if target.file().is_some() {
        return Err(ServerError::NoPostgres);
    }
    let unusable =
        |location: &LedgerLocation, source| ServerError::Unusable { ledger: location.to_string(), source };
    let _lock = FolderLock::take(&config.directory)?;
    let from = Ledger::open_to_read(&source).await.map_err(|error| unusable(&source, error))?;
    let before = from.verify(None).await.map_err(|error| unusable(&source, error))?;
    Ledger::migrate(&target).await.map_err(|error| unusable(&target, error))?;
    let into = Ledger::open(&target).await.map_err(|error| unusable(&target, error))?;
    let copied = async {
        let mut reader = from.pool.acquire().await.map_err(failed(ACTION))?;
        let mut writer = into.pool.acquire().await.map_err(failed(ACTION))?;
        // Where it stands after an error is not known.
        writer.close_on_drop();
        execute(&mut writer, "BEGIN").await?;
        if rows(&mut writer, "SELECT number FROM record LIMIT 1").await?.is_some() {
            return Err(LedgerError { action: ACTION, source: Box::new(NotEmpty) });
        }
        for table in TABLES {
            copy_table(table, &mut reader, &mut writer, &mut progress).await?;
        }
        for sequence in SEQUENCES {
            execute(&mut writer, sequence).await?;
        }
        execute(&mut writer, "COMMIT").await
    };
    copied.await.map_err(|error| unusable(&target, error))?;
    let after = into.verify(Some(before.head)).await.map_err(|error| unusable(&target, error))?;
    into.close().await;
    from.close().await;
    Ok(after)
}

/// The database has a ledger already.
#[derive(Debug, thiserror::Error)]
#[error("the database is not empty; create a new one, and name it in ledger.url")]
struct NotEmpty;

/// A table: its name, the column that orders it, and its columns.
struct Table {
    name: &'static str,
    key: &'static str,
    numbers: &'static [&'static str],
    texts: &'static [&'static str],
}

async fn copy_table(
    table: &Table,
    reader: &mut AnyConnection,
    writer: &mut AnyConnection,
    progress: &mut impl FnMut(&str, u64),
) -> Result<(), LedgerError> {
    let columns = [table.numbers, table.texts].concat().join(", ");
    let (mut after, mut copied) = (i64::MIN, 0_u64);
    loop {
        let mut select =
            Statement::new(&format!("SELECT {} AS row_key, {columns} FROM {} WHERE ", table.key, table.name));
        select.push(table.key).push(" > ").bind(after).push(" ORDER BY 1 LIMIT ").bind(ROWS_AT_ONCE);
        let rows = select.query().fetch_all(&mut *reader).within(ACTION).await?;
        let Some(last) = rows.last() else { break };
        after = last.try_get("row_key").map_err(failed(ACTION))?;
        let values = rows.iter().map(|row| values(table, row)).collect::<Result<Vec<_>, _>>();
        let values = values.map_err(failed(ACTION))?;
        let mut insert = Statement::new(&format!(
            "INSERT INTO {} ({columns}) OVERRIDING SYSTEM VALUE VALUES ",
            table.name
        ));
        insert.rows(&values, |row, (numbers, texts)| {
            numbers.iter().for_each(|number| _ = row.bind(*number));
            texts.iter().for_each(|text| _ = row.bind(text.clone()));
        });
        insert.query().execute(&mut *writer).within(ACTION).await?;
        copied += values.len() as u64;
        progress(table.name, copied);
    }
    Ok(())
}

type Values = (Vec<Option<i64>>, Vec<Option<String>>);

fn values(table: &Table, row: &AnyRow) -> Result<Values, sqlx::Error> {
    let numbers = table.numbers.iter().map(|column| row.try_get(*column)).collect::<Result<_, _>>()?;
    let texts = table.texts.iter().map(|column| row.try_get(*column)).collect::<Result<_, _>>()?;
    Ok((numbers, texts))
}

async fn execute(connection: &mut AnyConnection, statement: &'static str) -> Result<(), LedgerError> {
    sqlx::query(statement).execute(connection).within(ACTION).await.map(drop)
}

async fn rows(
    connection: &mut AnyConnection,
    statement: &'static str,
) -> Result<Option<AnyRow>, LedgerError> {
    sqlx::query(statement).fetch_optional(connection).within(ACTION).await
}

impl Ledger {
    /// Whether it is in PostgreSQL.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        self.kind() == Kind::Postgres
    }
}

const TABLES: &[Table] = &[
    Table { name: "record", key: "number", numbers: &["number"], texts: &["line"] },
    Table {
        name: "certificate",
        key: "number",
        numbers: &[
            "number",
            "request_id",
            "not_after",
            "issued_at",
            "answered_at",
            "attempts",
            "next_attempt",
        ],
        texts: &["serial_number", "station", "certificate_type", "spki_sha256", "chain", "state", "reason"],
    },
    Table {
        name: "request",
        key: "id",
        numbers: &["id", "request_id", "asked_at"],
        texts: &["station", "spki_sha256", "certificate_type", "csr", "failure"],
    },
    Table {
        name: "station",
        key: "number",
        numbers: &["number", "lowest_profile", "first_seen", "last_seen", "security_profile"],
        texts: &[
            "station",
            "serial_number",
            "station_group",
            "labels",
            "password_hash",
            "enrolment",
            "ocpp_version",
            "vendor",
            "model",
            "firmware",
        ],
    },
    Table {
        name: "station_state",
        key: "rowid",
        numbers: &["security_profile", "accepted_at", "trusted"],
        texts: &["station", "password_taken", "password_offered"],
    },
];

/// The next rows have higher numbers than those that were copied.
const SEQUENCES: &[&str] = &[
    "SELECT setval(pg_get_serial_sequence('certificate', 'number'), greatest(max(number), 1)) FROM certificate",
    "SELECT setval(pg_get_serial_sequence('request', 'id'), greatest(max(id), 1)) FROM request",
    "SELECT setval(pg_get_serial_sequence('station', 'number'), greatest(max(number), 1)) FROM station",
];

const ACTION: &str = "copy its rows";

/// Rows that are in memory at once, some kilobytes each.
const ROWS_AT_ONCE: i64 = 500;
