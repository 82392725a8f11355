//! What touches the world: the token, the ledger's file, sockets and the clock.

mod admission;
mod ahead;
mod authority;
mod clock;
mod control;
mod enrolment;
mod external;
mod forward;
mod gate;
mod handlers;
mod hashing;
mod http;
mod ledger;
mod lists;
mod logins;
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
    control::{ControlError, Conversation, send},
    ledger::{
        backup::back_up,
        database::SqliteLedger,
        guard::LedgerLost,
        loss::Loss,
        restore::Restoration,
        verify::{DamagedPages, LedgerReport},
    },
    metrics::{Metrics, MetricsError},
    own_certificate::issue_server_certificate,
    password::{HashPasswordError, hash_password},
    reload::read_config,
    server::Server,
    server_error::ServerError,
};
use std::time::SystemTime;

use certificates::UnixSeconds;
use program::causes;

/// Each time that the process is asked to read its configuration again: SIGHUP.
pub(crate) async fn reload_signals(mut reload: impl AsyncFnMut()) {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::hangup()) {
        Ok(mut hangup) => {
            while hangup.recv().await.is_some() {
                reload().await;
            }
        }
        Err(error) => {
            tracing::warn!(error = %causes(&error), "SIGHUP cannot be caught; use `ocpp-csms reload`")
        }
    }
    std::future::pending().await
}

/// What the system's clock shows.
fn unix_now() -> UnixSeconds {
    SystemTime::now().into()
}
