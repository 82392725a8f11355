//! The running agent, as the other commands see it.

use anyhow::{Result, bail};
use serde::de::DeserializeOwned;
use station::{
    Config,
    control::{ControlReply, ControlRequest, Status},
    io::{ControlError, Conversation},
};

/// What the agent replies to a question that it answers at once.
pub(crate) async fn ask<T: DeserializeOwned>(
    config: &Config,
    request: &ControlRequest,
) -> Result<T, AskError> {
    let mut conversation = Conversation::begin(&config.control_socket(), request).await?;
    match conversation.reply().await? {
        ControlReply::Done(value) => {
            serde_json::from_str(value.get()).map_err(|error| AskError::Control(ControlError::Reply(error)))
        }
        ControlReply::Failed(reason) => Err(AskError::Refused(reason)),
        _ => Err(AskError::Refused("the agent replied in a way that this version does not know".to_owned())),
    }
}

/// Why the agent brought nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("{0}")]
    Refused(String),
}

impl AskError {
    /// Whether nobody listens.
    pub(crate) fn is_not_running(&self) -> bool {
        matches!(self, Self::Control(ControlError::NotRunning { .. } | ControlError::PathTooLong { .. }))
    }
}

/// Fails where an agent runs already, and says which.
pub(crate) async fn refuse_a_second(config: &Config) -> Result<()> {
    match ask::<Status>(config, &ControlRequest::Status).await {
        Ok(status) => bail!(
            "another ocpp-station runs for this station: process {}, socket {}; `ocpp-station status` shows how it is, and \
             `kill {}` ends it",
            status.pid,
            config.control_socket().display(),
            status.pid,
        ),
        Err(AskError::Control(ControlError::NotPermitted { path, .. })) => bail!(
            "another ocpp-station runs for this station, of another user: socket {}; stop that one first",
            path.display()
        ),
        Err(_) => Ok(()),
    }
}

/// A runtime for a command that only asks.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
