//! Reads the configuration file.

use std::path::Path;

use crate::{config::Config, service::io::server_error::ServerError};

/// Reads a configuration. Its relative paths are resolved against its folder. Blocks.
///
/// # Errors
/// [`ServerError::File`] and [`ServerError::Config`].
pub fn read_config(path: &Path) -> Result<Config, ServerError> {
    let file_error = |source| ServerError::File { path: path.to_path_buf(), source };
    let text = program::read_text(path).map_err(file_error)?;
    let config =
        Config::parse(&text).map_err(|source| ServerError::Config { path: path.to_path_buf(), source })?;
    let absolute = path.canonicalize().map_err(file_error)?;
    Ok(config.relative_to(absolute.parent().unwrap_or(&absolute)))
}
