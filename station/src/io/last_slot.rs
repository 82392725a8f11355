//! The slot of the network profile that worked last, over restarts: a station that was told to move to another CSMS starts
//! anew, and has to know then that it is on the way (M05.FR.15, .16).

use std::{fs, io, path::Path};

use crate::io::durable::replace;

/// The slot; `None` where the station was never connected, or nobody can say. Blocks.
pub(crate) fn read(folder: &Path) -> Option<u32> {
    let path = folder.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(%error, file = %path.display(), "which network profile worked last is not known");
            None
        }
    }
}

/// Writes the slot down. Blocks.
///
/// # Errors
/// If the disk fails.
pub(crate) fn write(folder: &Path, slot: u32) -> io::Result<()> {
    replace(&folder.join(FILE), &format!("{slot}\n"))
}

const FILE: &str = "last-slot";
