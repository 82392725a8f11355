//! Trust bundles: a PEM file per use, for neighbours that use OpenSSL.
//!
//! They are derived from the store and never read back. Each is replaced atomically, so a neighbour that opens one sees all of
//! the old roots or all of the new ones.

#[cfg(unix)]
use std::fs::File;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::catalog::RootUse;
use crate::certificate::Certificate;
use crate::outcome::TrustError;
use crate::store::{RootObserver, Store};

impl Store {
    /// Writes `csms.pem`, `manufacturer.pem`, `v2g.pem`, `mo.pem` and `oem.pem` into `directory`, which must exist, and
    /// replaces each after every change of the roots in it, before the CSMS gets its answer.
    ///
    /// Everybody may read them (mode 0644); no key is ever in them. A use without roots has a file without certificates. A
    /// fallback root is in `csms.pem` as well, for a neighbour cannot try one after the other. Blocks on the disk.
    ///
    /// A change of the store stands although a bundle cannot be replaced afterwards; that is logged, and tried again with
    /// the next change, whatever it is about.
    ///
    /// # Errors
    /// [`TrustError`] when one cannot be written now; nothing is replaced later then.
    pub fn write_trust_bundles(&self, directory: impl Into<PathBuf>) -> Result<(), TrustError> {
        self.observe(Box::new(Bundles { directory: directory.into() }))
    }
}

struct Bundles {
    directory: PathBuf,
}

impl RootObserver for Bundles {
    fn handle_roots(&mut self, use_: RootUse, roots: &[&Certificate]) -> Result<(), TrustError> {
        let text: String = roots.iter().map(|root| root.to_pem()).collect();
        let path = self.directory.join(format!("{}.pem", use_.word()));
        let beside = self.directory.join(format!(".{}.pem.new", use_.word()));
        replace(&path, &beside, text.as_bytes())
            .map_err(|source| TrustError { path, source: Box::new(source) })
    }
}

/// Writes `content` beside `path`, syncs it, and moves it there.
fn replace(path: &Path, beside: &Path, content: &[u8]) -> io::Result<()> {
    // Left behind by a crash; or somebody else's, which must not be written into.
    match fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut file = options.open(beside)?;
    let written =
        file.write_all(content).and_then(|()| readable_by_all(&file)).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(beside, path)) {
        // Half a bundle on a full disk would only take room.
        let _ = fs::remove_file(beside);
        return Err(error);
    }
    // The new name is durable only when the directory is.
    #[cfg(unix)]
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}

/// Whatever the process's umask.
#[cfg(unix)]
fn readable_by_all(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable_by_all(_: &fs::File) -> io::Result<()> {
    Ok(())
}
