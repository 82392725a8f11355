//! Files that are replaced completely or not at all, and folders for their owner only.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// The users that may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Its owner only (mode 0600).
    Owner,
    /// All users (mode 0644), whatever the process's umask is: for certificates and other public
    /// files.
    Everybody,
}

/// Replaces a file durably. After a crash at any instant it has the old bytes or the new ones, and
/// a reader also sees only one of these. Blocks.
///
/// The new bytes are written to a file beside it, `.NAME.new`. A file that was left by a crash is
/// removed. The caller has to make sure that no other process or thread replaces the same file at
/// the same time.
///
/// # Errors
/// If the disk fails. The file then has the old bytes, unless only the folder could not be synced.
pub fn replace(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let beside = beside(path)?;
    // It was left by a crash, or belongs to another user and must not be written to.
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
        // An incomplete file on a full disk would only use room. It does not exist if it could not
        // be created.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    sync_folder_of(path)
}

/// Checks that there is room to [`replace`] a file with `length` bytes. A caller uses it before an
/// action whose result has to be stored. Blocks.
///
/// # Errors
/// If there is no room.
pub fn check_room(path: &Path, length: usize) -> io::Result<()> {
    let beside = beside(path)?;
    let write = || {
        // The bytes are not zeros, because a file system may store no zeros.
        let mut file = File::create(&beside)?;
        file.write_all(&vec![b' '; length])?;
        file.sync_all()
    };
    let written = write();
    // The file does not exist if it could not be created.
    let _ = fs::remove_file(&beside);
    written
}

/// Syncs the folder of a file. A new name is durable only after its folder is synced. On systems
/// other than Unix a folder cannot be synced. Blocks.
///
/// # Errors
/// If the disk fails.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Creates a folder and its missing parents, for their owner only (mode 0700). An existing folder
/// is not changed. Blocks.
///
/// # Errors
/// If the folder does not exist and cannot be created.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// The file is in the same folder, because it can be renamed only there. It is hidden, because a
/// web server may serve the folder.
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
