//! Writes what could not be written as soon as the disk takes it again.

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
    /// Tries again what could not be written, with growing waits, for as long as the station lives.
    ///
    /// # Cancel safety
    /// A file is as it was or new.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut begun = self.faults.begun();
        let mut wait = MIN_WAIT;
        loop {
            if self.faults.files().is_empty() {
                wait = MIN_WAIT;
                tokio::select! {
                    // The sender lives as long as `self`.
                    _ = begun.changed() => continue,
                    // Also if no fault is noted: the owner of the agent may
                    // change its store as well.
                    () = sleep(MAX_WAIT) => {}
                }
            } else {
                sleep(wait).await;
                wait = (wait * 2).min(MAX_WAIT);
            }
            let repair = Arc::clone(&self);
            if let Err(error) = on_blocking_thread(move || repair.write_again()).await {
                tracing::error!(error = %causes(&error), "the thread that writes again failed");
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
                // Above; and the task that serves the socket binds it.
                DiskFile::Store | DiskFile::TrustBundles | DiskFile::ControlSocket => {}
            }
        }
    }
}

/// After a failed write, and the longest after many.
pub(crate) const MIN_WAIT: Duration = Duration::from_secs(1);
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);
