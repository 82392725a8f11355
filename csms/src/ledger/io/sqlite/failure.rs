//! Converts what SQLite reports into an error of the ledger.

use crate::ledger::LedgerError;

pub(crate) fn failed(action: &'static str) -> impl FnOnce(sqlx::Error) -> LedgerError {
    move |source| LedgerError { action, source: Box::new(source) }
}
