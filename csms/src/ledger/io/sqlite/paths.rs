//! The files of a ledger.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// The files that belong to a ledger, which need not exist.
pub(crate) fn ledger_files(path: &Path) -> Vec<PathBuf> {
    let with = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    };
    vec![path.to_path_buf(), with("-wal"), with("-shm")]
}

/// Makes a file that its owner alone may read, where there is none. SQLite gives the files beside
/// it the same mode. Blocks no longer than a system call.
pub(crate) fn create_private(path: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Removes a ledger that was not finished.
pub(crate) fn remove_files(path: &Path) {
    for file in ledger_files(path) {
        // Mostly it is not there.
        let _ = fs::remove_file(file);
    }
}
