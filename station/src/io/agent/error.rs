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
    /// A value of the configuration is longer than a message carries.
    #[error("the configuration holds a text that no message can carry")]
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
    /// The security events of before cannot be read.
    #[error("cannot read the security events in {path}; check the permissions of the folder")]
    Events {
        /// The folder.
        path: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The record of frames cannot be written.
    #[error("cannot write the frames to {path}")]
    Frames {
        /// The file.
        path: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}
