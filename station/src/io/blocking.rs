//! Runs work that waits for the disk or the token on a thread that may block.

use ocpp_transport::CallError;
use tokio::task::{JoinError, spawn_blocking};

/// Runs `work` on a thread that may block.
pub(crate) async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    spawn_blocking(work).await
}

/// Like [`on_blocking_thread`], for a handler: the CSMS gets an error if the thread fails.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CallError> {
    on_blocking_thread(work).await.map_err(|_| CallError::internal("internal error of the station"))
}
