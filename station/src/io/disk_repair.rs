//! Writes what could not be written as soon as the disk takes it again.

use std::{sync::Arc, time::Duration};

use program::causes;
use tokio::time::sleep;

use crate::io::{
    disk_faults::DiskFile,
    handlers::{Shared, on_blocking_thread},
};

impl Shared {
    /// Tries again what could not be written, with growing waits, for as long as the station lives.
    ///
    /// # Cancel safety
    /// A file is as it was or new.
    pub(crate) async fn keep_disk_written(self: Arc<Self>) {
        let mut begun = self.faults.begun();
        let mut wait = SHORTEST_WAIT;
        loop {
            if self.faults.files().is_empty() {
                wait = SHORTEST_WAIT;
                tokio::select! {
                    // The sender lives as long as `self`.
                    _ = begun.changed() => continue,
                    // Looked at also where nobody has noted a fault: the owner of the agent may
                    // change its store as well.
                    () = sleep(LONGEST_WAIT) => {}
                }
            } else {
                sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            let shared = Arc::clone(&self);
            if let Err(error) = on_blocking_thread(move || shared.write_again()).await {
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
                DiskFile::SecurityEvents => self.events.write_again(),
                DiskFile::LastSlot => self.last_slot.write_again(),
                // Above; and the socket is bound by whoever serves it.
                DiskFile::Store | DiskFile::TrustBundles | DiskFile::ControlSocket => {}
            }
        }
    }
}

/// After a failed write, and the longest after many.
pub(crate) const SHORTEST_WAIT: Duration = Duration::from_secs(1);
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(60);
