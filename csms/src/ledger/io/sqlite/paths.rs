//! The files of a ledger.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// The files that belong to a ledger. Some of them may not exist.
pub(crate) fn ledger_files(path: &Path) -> Vec<PathBuf> {
    let with = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    };
    vec![path.to_path_buf(), with("-wal"), with("-shm")]
}

/// Creates a file that only its owner may read, if it does not exist. SQLite gives the files beside
/// it the same mode. Blocks only for the system calls.
pub(crate) fn create_private(path: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Removes a ledger that was not finished.
pub(crate) fn remove_files(path: &Path) {
    for file in ledger_files(path) {
        // The file usually does not exist.
        let _ = fs::remove_file(file);
    }
}
