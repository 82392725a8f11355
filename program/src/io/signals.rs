//! The signal that ends a service.

use tokio::signal::{
    ctrl_c,
    unix::{SignalKind, signal},
};

use crate::causes;

/// Returns when the process receives SIGTERM or Ctrl-C.
///
/// # Cancel safety
/// A signal that arrives after the future was dropped is lost.
pub async fn shutdown_signal() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = ctrl_c() => {}
            }
        }
        Err(error) => {
            tracing::warn!(error = %causes(&error), "SIGTERM cannot be caught; only Ctrl-C ends this program in order");
            if ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
