//! Errors of the database as errors of the ledger.

use sqlx::error::ErrorKind;

use crate::ledger::{LedgerError, SerialNumberTaken};

pub(crate) fn failed(action: &'static str) -> impl FnOnce(sqlx::Error) -> LedgerError {
    move |source| LedgerError { action, source: Box::new(source) }
}

/// Whether an error concerns one change alone. Other changes of the same commit may succeed.
pub(crate) fn concerns_one_change(error: &LedgerError) -> bool {
    match error.source.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::RowNotFound) => true,
        Some(sqlx::Error::Database(error)) => {
            // SQLSTATE 21000: one statement would change a row twice.
            !matches!(error.kind(), ErrorKind::Other) || error.code().is_some_and(|code| code == "21000")
        }
        Some(_) => false,
        None => error.source.is::<SerialNumberTaken>(),
    }
}
