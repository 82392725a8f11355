//! Retries failed writes as soon as the disk takes writes again.

use std::{sync::Arc, time::Duration};

use program::causes;
use tokio::time::sleep;

use crate::io::{
    blocking::on_blocking_thread,
    device_model::file::ModelFile,
    disk::{
        faults::{DiskFaults, DiskFile},
        last_slot::LastSlot,
        store::StationStore,
    },
    security_events::recorder::SecurityEvents,
};

/// The task that writes the station's files again.
#[derive(Debug)]
pub(crate) struct DiskRepair {
    pub(crate) faults: Arc<DiskFaults>,
    pub(crate) store: Arc<StationStore>,
    pub(crate) model: Arc<ModelFile>,
    pub(crate) events: Arc<SecurityEvents>,
    pub(crate) last_slot: Arc<LastSlot>,
}

impl DiskRepair {
    /// Retries failed writes, with growing waits, for as long as the station lives.
    ///
    /// # Cancel safety
    /// A file has its former or its new content.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut begun = self.faults.begun();
        let mut wait = MIN_WAIT;
        loop {
            if self.faults.files().is_empty() {
                wait = MIN_WAIT;
                tokio::select! {
                    // The sender lives as long as `self`.
                    _ = begun.changed() => continue,
                    // Runs even without a fault: the owner of the agent may change its store as
                    // well.
                    () = sleep(MAX_WAIT) => {}
                }
            } else {
                sleep(wait).await;
                wait = (wait * 2).min(MAX_WAIT);
            }
            let repair = Arc::clone(&self);
            if let Err(error) = on_blocking_thread(move || repair.write_again()).await {
                tracing::error!(error = %causes(&error), "the thread that retries failed writes failed");
            }
        }
    }

    /// Blocks.
    fn write_again(&self) {
        self.store.reopen();
        match self.store.retry_trust_bundles() {
            true => self.faults.handle_written(DiskFile::TrustBundles),
            false => {
                let reason = "a trust bundle could not be replaced; see the log".to_owned();
                self.faults.handle_failed(DiskFile::TrustBundles, reason);
            }
        }
        for file in self.faults.files() {
            match file {
                DiskFile::DeviceModel => self.model.write_again(),
                DiskFile::SecurityEvents => self.events.log().write_again(),
                DiskFile::LastSlot => self.last_slot.write_again(),
                // The store is handled above. The task that serves the socket binds it.
                DiskFile::Store | DiskFile::TrustBundles | DiskFile::ControlSocket => {}
            }
        }
    }
}

/// The wait after a failed write. The next constant is the longest wait.
pub(crate) const MIN_WAIT: Duration = Duration::from_secs(1);
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);
