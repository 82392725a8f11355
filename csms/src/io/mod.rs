//! What touches the world: the token, the ledger's file, sockets and the clock.

mod admission;
mod authority;
mod control;
mod enrolment;
mod external;
mod files;
mod forward;
mod handlers;
mod http;
mod lists;
mod metrics;
mod ocsp;
mod operate;
mod own_certificate;
mod password;
mod passwords;
mod record;
mod reload;
mod server;
mod server_error;
mod sqlite;
mod tls;
mod upkeep;

pub use self::{
    control::{ControlError, send},
    metrics::{Metrics, MetricsError},
    own_certificate::issue_server_certificate,
    password::{HashPasswordError, hash_password},
    reload::read_config,
    server::Server,
    server_error::ServerError,
    sqlite::SqliteLedger,
};

/// Ready when the process is asked to end: SIGTERM or Ctrl-C.
///
/// # Cancel safety
/// A signal that comes after the future was dropped is lost.
pub async fn shutdown_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be caught; only Ctrl-C ends this program in order");
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Each time that the process is asked to read its configuration again: SIGHUP.
pub(crate) async fn reload_signals(mut reload: impl AsyncFnMut()) {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::hangup()) {
        Ok(mut hangup) => {
            while hangup.recv().await.is_some() {
                reload().await;
            }
        }
        Err(error) => tracing::warn!(%error, "SIGHUP cannot be caught; use `ocpp-csms reload`"),
    }
    std::future::pending().await
}

/// Seconds since 1970.
fn unix_now() -> i64 {
    unix_seconds(std::time::SystemTime::now())
}

fn unix_seconds(time: std::time::SystemTime) -> i64 {
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
