//! The station's folder and its files. Only the owner may access them, because they include the
//! password and the other values set by the CSMS.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
};

use program::causes;

use crate::config::Config;

/// Creates the station's folder if it is missing. Restricts an existing folder and its files to the
/// owner. If the folder contains trust bundles, other users may still pass through it. Blocks.
///
/// # Errors
/// If the folder does not exist and cannot be created. A folder that cannot be restricted is used,
/// and an error is logged: another user owns it, or it is shared by design (the sticky bit, as on
/// `/tmp`).
pub(crate) fn make_folder(config: &Config) -> io::Result<()> {
    let folder = &config.directory;
    fs::DirBuilder::new().recursive(true).mode(OWNER_ONLY).create(folder)?;
    let bundles = config.certificates.trust_bundles.as_deref();
    let passed_through = bundles.is_some_and(|bundles| bundles.starts_with(folder));
    let wanted = if passed_through { OWNER_ONLY | PASS_THROUGH } else { OWNER_ONLY };
    close(folder, wanted)?;
    for name in FILES {
        match close(&folder.join(name), OWNER_READS) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Removes the permissions of all users but the owner that `wanted` does not allow.
fn close(path: &Path, wanted: u32) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    if mode & 0o077 & !wanted == 0 {
        return Ok(());
    }
    let (file, before) = (path.display(), format!("{mode:04o}"));
    if mode & STICKY != 0 {
        tracing::error!(%file, before, "the folder of the station is open to other users; name one of its own in `directory`");
        return Ok(());
    }
    // The owner gets no additional permissions.
    match fs::set_permissions(path, fs::Permissions::from_mode(mode & (0o700 | wanted))) {
        Ok(()) => tracing::warn!(%file, before, "was open to other users, and is closed to them now"),
        Err(error) => {
            tracing::error!(%file, before, error = %causes(&error), "is open to other users; close it to them with chmod")
        }
    }
    Ok(())
}

const OWNER_ONLY: u32 = 0o700;
const OWNER_READS: u32 = 0o600;
const PASS_THROUGH: u32 = 0o011;
const STICKY: u32 = 0o1000;

/// Files that only the station reads.
const FILES: [&str; 7] = [
    "certificates.redb",
    "device-model.json",
    "security-events.jsonl",
    "security-events.reserve",
    "security.log",
    "security.log.1",
    "last-slot",
];
