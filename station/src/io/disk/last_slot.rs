//! The slot of the network profile that worked last, across restarts. A station that must move to
//! another CSMS restarts, and must know afterwards that it is moving (M05.FR.15, .16).

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use program::{Readers, causes, replace};

use crate::io::{
    disk::faults::{DiskFaults, DiskFile},
    locking::lock,
};

/// The slot, in its file.
#[derive(Debug)]
pub(crate) struct LastSlot {
    path: PathBuf,
    faults: Arc<DiskFaults>,
    slot: Mutex<Slot>,
}

#[derive(Debug)]
struct Slot {
    /// The slot that worked last. `None` if the station was never connected, or if the slot is
    /// unknown.
    worked: Option<u32>,
    is_written: bool,
}

impl LastSlot {
    /// Reads the slot. Blocks.
    pub(crate) fn open(folder: &Path, faults: Arc<DiskFaults>) -> Self {
        let path = folder.join(FILE);
        let worked = match fs::read_to_string(&path) {
            Ok(text) => {
                let slot = text.trim().parse().ok();
                if slot.is_none() {
                    tracing::warn!(
                        file = %path.display(),
                        "the file is damaged: which network profile worked last is not known until one works"
                    );
                }
                slot
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(error = %causes(&error), file = %path.display(), "which network profile worked last is not known");
                None
            }
        };
        Self { path, faults, slot: Mutex::new(Slot { worked, is_written: true }) }
    }

    /// The slot that worked last.
    pub(crate) fn worked(&self) -> Option<u32> {
        lock(&self.slot).worked
    }

    /// The network profile in `slot` has worked. Blocks; do not call it on a runtime thread.
    pub(crate) fn handle_connected(&self, slot: u32) {
        let mut known = lock(&self.slot);
        if known.worked != Some(slot) {
            *known = Slot { worked: Some(slot), is_written: false };
        }
        self.write(&mut known);
    }

    /// Retries the write of a slot that could not be written. Blocks.
    pub(crate) fn write_again(&self) {
        self.write(&mut lock(&self.slot));
    }

    fn write(&self, slot: &mut Slot) {
        if let Slot { worked: Some(worked), is_written: false } = slot {
            if let Err(error) = replace(&self.path, format!("{worked}\n").as_bytes(), Readers::Owner) {
                return self.faults.handle_failed(DiskFile::LastSlot, error.to_string());
            }
            slot.is_written = true;
        }
        self.faults.handle_written(DiskFile::LastSlot);
    }
}

const FILE: &str = "last-slot";
