//! The running agent, as the other commands see it.

use anyhow::{Result, bail};
use serde::de::DeserializeOwned;
use station::{
    Config,
    control::{ControlReply, ControlRequest, Status},
    inventory::InventoryRow,
    io::{ControlError, Conversation},
};

/// Sends a question that the agent answers at once, and returns the reply.
pub(crate) async fn ask<T: DeserializeOwned>(
    config: &Config,
    request: &ControlRequest,
) -> Result<T, AskError> {
    ask_for_rows(config, request, |_, _| {}).await
}

/// Like [`ask`], for a reply that begins with rows. Adds each row to the reply with `add`.
pub(crate) async fn ask_for_rows<T: DeserializeOwned>(
    config: &Config,
    request: &ControlRequest,
    add: impl Fn(&mut T, InventoryRow),
) -> Result<T, AskError> {
    let mut conversation = Conversation::begin(&config.control_socket(), request).await?;
    let mut rows = Vec::new();
    loop {
        match conversation.reply().await? {
            ControlReply::Row(row) => rows.push(*row),
            ControlReply::Done(value) => {
                let read = serde_json::from_str(value.get());
                let mut value = read.map_err(|error| AskError::Control(ControlError::Reply(error)))?;
                rows.into_iter().for_each(|row| add(&mut value, row));
                return Ok(value);
            }
            ControlReply::Failed(reason) => return Err(AskError::Refused(reason)),
            _ => {
                let reason = "the agent replied in a way that this version does not know";
                return Err(AskError::Refused(reason.to_owned()));
            }
        }
    }
}

/// Why the agent gave no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("{0}")]
    Refused(String),
}

impl AskError {
    /// Whether no agent is running.
    pub(crate) fn is_not_running(&self) -> bool {
        matches!(self, Self::Control(ControlError::NotRunning { .. } | ControlError::PathTooLong { .. }))
    }
}

/// Fails if an agent is already running; the error names it.
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
            "another user runs ocpp-station for this station: socket {}; stop that process first",
            path.display()
        ),
        Err(_) => Ok(()),
    }
}

/// A runtime for a command that only asks the agent.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
