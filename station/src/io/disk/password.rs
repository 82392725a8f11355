//! Reads the password of security profile 2 from its file.

use std::{fs, path::PathBuf};

use ocpp_transport::Password;

use crate::config::{Config, ConfigError};

/// Reads the password of security profile 2.
pub(crate) fn read_password(config: &Config) -> Result<Password, ReadPasswordError> {
    let path = &config.csms.password_file;
    let text =
        fs::read_to_string(path).map_err(|source| ReadPasswordError::File { path: path.clone(), source })?;
    config.password(&text).map_err(ReadPasswordError::Content)
}

/// Why the password cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadPasswordError {
    /// The file cannot be read.
    #[error("cannot read the password file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// Its content is not a valid password.
    #[error(transparent)]
    Content(ConfigError),
}
