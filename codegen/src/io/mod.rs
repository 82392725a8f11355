//! Schema files on disk.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::SchemaFile;

/// A folder that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub struct FolderError {
    /// The folder or file.
    pub path: PathBuf,
    /// The error of the operating system.
    #[source]
    pub source: io::Error,
}

/// Reads every `.json` file in and below a folder, in the order of their paths.
///
/// # Errors
/// [`FolderError`] for the first folder or file that cannot be read, is nested too deeply, or is
/// not UTF-8.
pub fn read_folder(folder: &Path) -> Result<Vec<SchemaFile>, FolderError> {
    let mut files = Vec::new();
    read_into(folder, MAX_DEPTH, &mut files)?;
    Ok(files)
}

fn read_into(folder: &Path, depth_left: usize, files: &mut Vec<SchemaFile>) -> Result<(), FolderError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| FolderError { path, source }
    };
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(at(folder))?;
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            match depth_left.checked_sub(1) {
                Some(depth_left) => read_into(&path, depth_left, files)?,
                None => return Err(at(&path)(io::Error::other("folders within folders without an end"))),
            }
        } else if name.ends_with(".json") && !name.starts_with('.') {
            let text = fs::read_to_string(&path).map_err(at(&path))?;
            files.push(SchemaFile { name: name.to_owned(), text });
        }
    }
    Ok(())
}

/// The maximum depth of nested folders.
const MAX_DEPTH: usize = 8;
