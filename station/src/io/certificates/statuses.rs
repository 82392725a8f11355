//! Asks the CSMS for the revocation status of the certificates that vehicles check (M06).

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use ocpp_transport::{CallFailure, Peer};
use program::causes;
use station_store::{HashData, OcspDue};
use tokio::{sync::Notify, time::sleep};

use crate::io::{
    blocking::on_blocking_thread,
    csms::{self, AskError, StatusAnswer},
    disk::store::StationStore,
};

/// Keeps the revocation status of the certificates for vehicles.
#[derive(Debug)]
pub(crate) struct StatusKeeper {
    store: Arc<StationStore>,
    /// Signals that a new certificate needs a status, or that the disk takes writes again.
    due: Notify,
}

impl StatusKeeper {
    pub(crate) fn new(store: Arc<StationStore>) -> Self {
        Self { store, due: Notify::new() }
    }

    /// A status may be due.
    pub(crate) fn handle_due(&self) {
        self.due.notify_one();
    }

    /// Asks for each status that is due, one at a time, for as long as the connection is up
    /// (M06.FR.06, .07, .10). After a failure, the status is requested again later, by the store's
    /// back-off.
    ///
    /// # Cancel safety
    /// A status that was not answered stays due.
    pub(crate) async fn keep(&self, peer: &Peer) {
        loop {
            for due in self.store.ocsp_due(SystemTime::now()) {
                if let Err(Unasked) = self.ask_status(peer, due).await {
                    return;
                }
            }
            tokio::select! {
                () = self.due.notified() => {}
                () = sleep(LOOK_AGAIN) => {}
            }
        }
    }

    async fn ask_status(&self, peer: &Peer, due: OcspDue) -> Result<(), Unasked> {
        let (hash, serial) = (due.hash, due.hash.serial_number());
        match csms::certificate_status(peer, due).await {
            Ok(StatusAnswer::Accepted { ocsp_result }) => self.keep_status(hash, ocsp_result).await,
            // TC_M_25
            Ok(StatusAnswer::Failed { reason }) => {
                tracing::warn!(%serial, reason, "the CSMS does not know the status of a certificate now");
                self.store.ocsp_failed(&hash, SystemTime::now());
            }
            Err(AskError::NoSuchMessage { message, version }) => {
                tracing::info!(%version, message, "the status of certificates cannot be asked for on this connection");
                return Err(Unasked);
            }
            Err(AskError::Call(CallFailure::Disconnected)) => return Err(Unasked),
            Err(error) => {
                tracing::warn!(error = %causes(&error), %serial, "the status of a certificate is not known now");
                self.store.ocsp_failed(&hash, SystemTime::now());
            }
        }
        Ok(())
    }

    async fn keep_status(&self, hash: HashData, ocsp_result: String) {
        let (store, serial) = (Arc::clone(&self.store), hash.serial_number());
        let kept = on_blocking_thread(move || {
            store.writable().ocsp_answered(&hash, &ocsp_result, SystemTime::now())
        })
        .await;
        match kept {
            Ok(Ok(status)) => tracing::info!(%serial, ?status, "the status of a certificate for vehicles"),
            Ok(Err(error)) => {
                tracing::warn!(error = %causes(&error), %serial, "the status of a certificate that the CSMS sent is not kept");
            }
            Err(error) => tracing::error!(error = %causes(&error), "the thread that keeps a status failed"),
        }
    }
}

/// No further request is possible on this connection.
struct Unasked;

/// The interval between checks for due statuses. A status is requested weekly, and again one minute
/// after a failure.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
