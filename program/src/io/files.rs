//! Files that are replaced whole or not at all, and folders for their owner only.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Its owner only (mode 0600).
    Owner,
    /// Everybody (mode 0644), whatever the process's umask: certificates and what else is public.
    Everybody,
}

/// Replaces a file durably: after a crash at any instant it holds the old bytes or the new ones,
/// and so does a reader see it. Blocks.
///
/// The new bytes are written to a file beside it, `.NAME.new`. One that a crash has left behind is
/// removed; callers see to it that nobody else replaces the same file at the same time.
///
/// # Errors
/// If the disk fails. The old bytes are there, unless only the folder could not be synced.
pub fn replace(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let beside = beside(path)?;
    // Left behind by a crash; or somebody else's, which must not be written into.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let write = || {
        let mut file = create_for_owner(&beside)?;
        file.write_all(bytes)?;
        if readers == Readers::Everybody {
            allow_everybody(&file)?;
        }
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    if let Err(error) = write() {
        // Half a file on a full disk would only take room. Absent if it could not be made.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    sync_folder_of(path)
}

/// Finds out whether there is room to [`replace`] a file by `length` bytes, before something is
/// done that could not be written down. Blocks.
///
/// # Errors
/// If there is not.
pub fn check_room(path: &Path, length: usize) -> io::Result<()> {
    let beside = beside(path)?;
    let write = || {
        // No zeros, which a file system may leave out.
        let mut file = File::create(&beside)?;
        file.write_all(&vec![b' '; length])?;
        file.sync_all()
    };
    let written = write();
    // Absent if it could not be made.
    let _ = fs::remove_file(&beside);
    written
}

/// Syncs the folder of a file: a new name is durable only when its folder is. Elsewhere than on
/// Unix a folder cannot be synced. Blocks.
///
/// # Errors
/// If the disk fails.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Makes a folder and those above it where they are missing, for their owner only (mode 0700). One
/// that is there stays as it is. Blocks.
///
/// # Errors
/// If it is not there and cannot be made.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// In the same folder, for only there can it be renamed; hidden, for a web server may serve that
/// folder.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let no_file = || io::Error::new(io::ErrorKind::InvalidInput, "the path names no file");
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().ok_or_else(no_file)?);
    name.push(".new");
    Ok(path.with_file_name(name))
}

fn create_for_owner(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn allow_everybody(file: &File) -> io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
}

#[cfg(not(unix))]
fn allow_everybody(_: &File) -> io::Result<()> {
    Ok(())
}
