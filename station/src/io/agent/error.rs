//! Why the agent cannot start.

use ocpp_types::TooLong;
use signer_pkcs11::TokenError;

use crate::{
    config::ConfigError,
    io::{ModelError, OpenStoreError, ReadPasswordError},
};

/// Why the agent cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// A value of the configuration breaks a rule.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A value of the configuration is longer than its message permits.
    #[error("a text in the configuration is too long for its message")]
    TooLong(#[from] TooLong),
    /// The password cannot be read.
    #[error(transparent)]
    Password(#[from] ReadPasswordError),
    /// The token cannot be opened.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The device model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// The stored security events cannot be read.
    #[error("cannot read the security events in {path}; check the permissions of the folder")]
    Events {
        /// The folder.
        path: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The file for recorded frames cannot be written.
    #[error("cannot write the frames to {path}")]
    Frames {
        /// The file.
        path: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}
