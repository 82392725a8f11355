//! Files that are written whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};

/// Makes a new file, and keeps it only if what goes into it is made.
///
/// The file is made first: what is made for it cannot be made again.
pub(crate) fn create<T>(
    path: &Path,
    make: impl FnOnce(&mut dyn FnMut(&str) -> Result<()>) -> Result<T>,
) -> Result<T> {
    let mut file = File::create_new(path).with_context(|| match path.symlink_metadata() {
        Ok(_) => format!("{} exists: it is never overwritten, choose another file", path.display()),
        Err(_) => format!("cannot create {}: its folder must exist and be writable", path.display()),
    })?;
    let made = make(&mut |text| {
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.and_then(|()| sync_folder(path)).with_context(|| format!("cannot write {}", path.display()))
    });
    if made.is_err() {
        drop(file);
        fs::remove_file(path).with_context(|| format!("cannot remove the unfinished {}", path.display()))?;
    }
    made
}

/// SHA-256 over the first certificate of a PEM text, in hexadecimal.
pub(crate) fn fingerprint(pem: &str) -> Result<String> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).context("there is no certificate")?;
    Ok(hex::encode(Sha256::digest(&certificate)))
}

/// Appends, durably.
pub(crate) fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Writes beside the file, then renames: a reader sees the old text or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        sync_folder(path)
    };
    write()
        .inspect_err(|_| {
            // Absent if it could not be made.
            let _ = fs::remove_file(&beside);
        })
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A new name is durable only when its folder is; elsewhere than on Unix a folder cannot be synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
