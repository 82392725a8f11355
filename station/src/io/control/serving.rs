//! Serves local commands, as soon as the socket could be created.

use std::sync::Arc;

use program::causes;
use tokio::time::sleep;

use crate::{
    config::Config,
    io::{
        blocking::on_blocking_thread,
        control::{commands::LocalCommands, socket::ControlSocket},
        disk::{
            faults::{DiskFaults, DiskFile},
            repair::{MAX_WAIT, MIN_WAIT},
        },
    },
};

/// Creates the control socket. The station's work does not depend on it. Blocks.
pub(crate) fn bind(config: &Config, faults: &DiskFaults) -> Option<ControlSocket> {
    match ControlSocket::bind(&config.control_socket()) {
        Ok(control) => {
            faults.handle_written(DiskFile::ControlSocket);
            Some(control)
        }
        Err(error) => {
            faults.handle_failed(DiskFile::ControlSocket, causes(&error).to_string());
            None
        }
    }
}

/// Serves local commands, as soon as the socket could be created.
pub(crate) async fn serve_commands(
    config: Config,
    mut control: Option<ControlSocket>,
    commands: LocalCommands,
) {
    let mut wait = MIN_WAIT;
    loop {
        if let Some(control) = control.take() {
            return control.serve(commands).await;
        }
        sleep(wait).await;
        wait = (wait * 2).min(MAX_WAIT);
        let (config, faults) = (config.clone(), Arc::clone(&commands.faults));
        let bound = on_blocking_thread(move || bind(&config, &faults)).await;
        control = bound.unwrap_or_else(|error| {
            tracing::error!(error = %causes(&error), "the thread that makes the control socket failed");
            None
        });
    }
}
