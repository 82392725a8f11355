//! Errors of the database as errors of the ledger.

use std::{future::Future, time::Duration};

use sqlx::error::{DatabaseError, ErrorKind};
use tokio::time::timeout;

use crate::ledger::{LedgerError, SerialNumberTaken};

/// A call of the database that does not wait for ever.
pub(crate) trait Within<T>: Future<Output = Result<T, sqlx::Error>> + Send + Sized {
    /// Ends with an error if the database does not answer. A server that hangs, or a connection
    /// that is half open, shows in no other way: sqlx sets no deadline.
    ///
    /// # Cancel safety
    /// As the call itself.
    fn within(self, action: &'static str) -> impl Future<Output = Result<T, LedgerError>> + Send {
        async move {
            match timeout(LONGEST_ANSWER, self).await {
                Ok(answer) => answer.map_err(failed(action)),
                Err(_) => Err(LedgerError { action, source: Box::new(NoAnswer) }),
            }
        }
    }
}

impl<T, F: Future<Output = Result<T, sqlx::Error>> + Send> Within<T> for F {}

/// The database does not answer.
#[derive(Debug, thiserror::Error)]
#[error("the database did not answer within {} s; is the server reachable?", LONGEST_ANSWER.as_secs())]
struct NoAnswer;

pub(crate) fn failed(action: &'static str) -> impl FnOnce(sqlx::Error) -> LedgerError {
    move |source| LedgerError { action, source: Box::new(source) }
}

/// Whether an error may concern one change alone: the changes of its commit are then made one by
/// one. All others fail with their database: it is full, away or damaged.
pub(crate) fn concerns_one_change(error: &LedgerError) -> bool {
    match error.source.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::RowNotFound) => true,
        Some(sqlx::Error::Database(error)) => is_about_data(&**error),
        Some(_) => false,
        None => error.source.is::<SerialNumberTaken>(),
    }
}

/// Whether a database refuses what was to be written. A station may bring such a text, and must not
/// fail the changes of others by it.
fn is_about_data(error: &dyn DatabaseError) -> bool {
    // SQLSTATE, in PostgreSQL: the classes of cardinality, data, constraints, and PL/pgSQL.
    const CLASSES: [&str; 4] = ["21", "22", "23", "P0"];
    let code = error.code();
    let code = code.as_deref().unwrap_or_default();
    // SQLite: SQLITE_TOOBIG, SQLITE_MISMATCH, and a trigger that refuses.
    !matches!(error.kind(), ErrorKind::Other)
        || ["18", "20", "1811"].contains(&code)
        || code.len() == 5 && CLASSES.iter().any(|class| code.starts_with(class))
}

/// Longer than PostgreSQL lets a statement run.
const LONGEST_ANSWER: Duration = Duration::from_secs(15);
