//! Whether the pages of a SQLite file are whole.

use sqlx::AnyConnection;

use crate::ledger::{LedgerError, io::database::failure::failed};

/// The pages of the file are damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pages of the file are damaged: {}; restore the newest backup with `ocpp-csms restore`", damage.join("; "))]
pub struct DamagedPages {
    /// In SQLite's words.
    pub damage: Vec<String>,
}

/// Reads each page of the file, indexes included.
pub(crate) async fn check_pages(connection: &mut AnyConnection) -> Result<(), LedgerError> {
    let action = "verify its pages";
    let damage: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(10)")
        .fetch_all(connection)
        .await
        .map_err(failed(action))?;
    match damage.iter().all(|line| line == "ok") {
        true => Ok(()),
        false => Err(LedgerError { action, source: Box::new(DamagedPages { damage }) }),
    }
}
