//! A copy of the ledger, made while the service runs.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use tokio::task::spawn_blocking;

use crate::{
    config::{Config, LedgerLocation},
    ledger::{
        LedgerError,
        io::{
            database::{failure::failed, ledger::Ledger},
            sqlite::paths::{create_private, remove_files},
            verify::LedgerReport,
        },
    },
    service::io::server_error::ServerError,
};

/// Copies the ledger, as it is at one instant, into a new file, and verifies the copy. The service
/// may run.
///
/// Everything that was promised before the call is in the copy.
///
/// # Errors
/// [`ServerError::Exists`] if the file exists, and other errors if the copy fails. After an error
/// there is no new file.
///
/// # Cancel safety
/// Dropping the future may leave a file with this name and the suffix `.new`.
pub async fn back_up(config: &Config, file: &Path) -> Result<LedgerReport, ServerError> {
    let location = config.ledger.location(&config.directory);
    if location.file().is_none() {
        return Err(ServerError::NoLedgerFile);
    }
    let unusable = |source| ServerError::Unusable { ledger: location.to_string(), source };
    if file.exists() {
        return Err(ServerError::Exists { path: file.to_path_buf() });
    }
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let ledger = Ledger::open_to_read(&location).await.map_err(unusable)?;
    let made = copy_into(&ledger, &beside, file).await;
    if made.is_err() {
        remove_files(&beside);
    }
    made
}

async fn copy_into(ledger: &Ledger, beside: &Path, file: &Path) -> Result<LedgerReport, ServerError> {
    ledger.copy(beside).await?;
    let copy = Ledger::open_to_read(&LedgerLocation::File(beside.to_path_buf())).await?;
    let report = copy.verify(None).await?;
    copy.close().await;
    let (beside, file) = (beside.to_path_buf(), file.to_path_buf());
    let rename = move || {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let renamed = fs::rename(&beside, &file).and_then(|()| File::open(folder)?.sync_all());
        renamed.map_err(|source| ServerError::File { path: file.clone(), source })
    };
    spawn_blocking(rename).await??;
    Ok(report)
}

impl Ledger {
    /// Copies the ledger as it is at one instant into a file that its owner alone may read. It is
    /// durable when this returns.
    pub(crate) async fn copy(&self, into: &Path) -> Result<(), LedgerError> {
        let action = "copy itself";
        let io_failed = |source: std::io::Error| LedgerError { action, source: source.into() };
        // An earlier attempt may have left files.
        remove_files(into);
        create_private(into).map_err(io_failed)?;
        sqlx::query("VACUUM INTO $1")
            .bind(into.to_string_lossy().into_owned())
            .execute(&self.pool)
            .await
            .map_err(failed(action))?;
        File::open(into).and_then(|file| file.sync_all()).map_err(io_failed)
    }
}
