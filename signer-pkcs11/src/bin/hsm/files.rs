//! Files that are written completely or not at all.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result};
use certificates::pem;
use program::{Readers, sync_folder_of};
use sha2::{Digest as _, Sha256};

/// Creates a new file and keeps it only if its content is written.
///
/// The file is created first, because its content cannot be made a second time.
pub(crate) fn create<T>(
    path: &Path,
    make: impl FnOnce(&mut dyn FnMut(&str) -> Result<()>) -> Result<T>,
) -> Result<T> {
    let mut file = File::create_new(path).with_context(|| match path.symlink_metadata() {
        Ok(_) => format!("{} exists and is never overwritten: choose another file", path.display()),
        Err(_) => format!("cannot create {}: its folder must exist and be writable", path.display()),
    })?;
    let mut keep = |text: &str| {
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written
            .and_then(|()| sync_folder_of(path))
            .with_context(|| format!("cannot write {}", path.display()))
    };
    let made = check_room(path).and_then(|()| make(&mut keep));
    if made.is_err() {
        drop(file);
        fs::remove_file(path).with_context(|| format!("cannot remove the unfinished {}", path.display()))?;
    }
    made
}

/// Checks that a certificate or a list can be written, before a key is generated or a signature is
/// recorded for it.
pub(crate) fn check_room(path: &Path) -> Result<()> {
    program::check_room(path, ROOM_BYTES)
        .with_context(|| format!("cannot write {}; nothing was made", path.display()))
}

/// SHA-256 over the first certificate of a PEM text, in hexadecimal.
pub(crate) fn fingerprint(pem: &str) -> Result<String> {
    let certificates = pem::certificates(pem.as_bytes(), MAX_CHAIN)?;
    let certificate = certificates.first().context("there is no certificate")?;
    Ok(hex::encode(Sha256::digest(certificate)))
}

/// Appends durably.
pub(crate) fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Replaces a file that contains certificates, a request or a list. Every user may read it.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    program::replace(path, bytes, Readers::Everybody)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A chain of RSA certificates takes some 8 KiB, a list of 500 revocations 40 KiB.
const ROOM_BYTES: usize = 64 * 1024;

/// The most certificates that are read from one file.
const MAX_CHAIN: usize = 16;
