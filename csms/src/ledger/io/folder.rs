//! The folder of the ledger: one service uses it, and no other user writes to it.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::service::io::server_error::ServerError;

/// The lock of a folder. The kernel releases it when the process ends, for whatever reason.
#[derive(Debug)]
pub(crate) struct FolderLock {
    // The lock is on the folder itself, because a file for it could be removed.
    _folder: File,
}

impl FolderLock {
    /// Takes the lock. Blocks only for the system call.
    pub(crate) fn take(folder: &Path) -> Result<Self, ServerError> {
        let failed = |source| ServerError::File { path: folder.to_path_buf(), source };
        let opened = File::open(folder).map_err(failed)?;
        match opened.try_lock() {
            Ok(()) => Ok(Self { _folder: opened }),
            Err(TryLockError::WouldBlock) => Err(ServerError::InUse { path: folder.to_path_buf() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// Removes the permissions of other users for the folder of the ledger and its files. A group keeps
/// the permission to read if an operator has set it, for backups and monitoring.
pub(crate) fn tighten(folder: &Path, files: &[PathBuf]) -> Result<(), ServerError> {
    narrow(folder, 0o750)?;
    let lists = folder.join("crl");
    for path in std::iter::once(&lists).chain(files).filter(|path| path.exists()) {
        narrow(path, if path.is_dir() { 0o750 } else { 0o640 })?;
    }
    Ok(())
}

fn narrow(path: &Path, widest: u32) -> Result<(), ServerError> {
    let change = || -> io::Result<()> {
        let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
        let narrowed = mode & (widest | 0o7000);
        if narrowed != mode {
            fs::set_permissions(path, fs::Permissions::from_mode(narrowed))?;
            tracing::warn!(
                path = %path.display(),
                before = format!("{mode:o}"),
                now = format!("{narrowed:o}"),
                "other users could read or write a path of the ledger; its mode was narrowed"
            );
        }
        Ok(())
    };
    change().map_err(|source| ServerError::File { path: path.to_path_buf(), source })
}
