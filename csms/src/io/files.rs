//! Files that are replaced whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::io::server_error::ServerError;

/// Writes beside the file, then renames: a reader sees the old bytes or the new ones. Blocks.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ServerError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        // A new name is durable only when its folder is.
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| {
        // Absent if it could not be made.
        let _ = fs::remove_file(&beside);
        ServerError::File { path: path.to_path_buf(), source }
    })
}
