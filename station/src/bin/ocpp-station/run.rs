//! `run`: the agent itself.

use std::{
    os::unix::process::CommandExt as _,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use station::{Agent, AgentError, BootReason, Config, Ended, io::OpenStoreError};
use station_store::OpenError;

use crate::agent::{refuse_a_second, runtime};

#[derive(clap::Args)]
pub(crate) struct Run {
    /// Append every frame to this file, one JSON object per line; the file holds whole payloads
    #[arg(long)]
    frames: Option<PathBuf>,
    /// Set by the program itself when the CSMS resets the station
    #[arg(long, hide = true)]
    after_reset: bool,
}

impl Run {
    pub(crate) fn run(self, config: Config) -> Result<()> {
        let mut agent = self.open(&config)?;
        if self.after_reset {
            agent = agent.with_boot_reason(BootReason::RemoteReset);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let ended = runtime.block_on(agent.run(program::shutdown_signal()));
        // A token that hangs blocks its thread for minutes. Work that is cut off here continues
        // after the next start, because the name of its key is durable.
        runtime.shutdown_timeout(LAST_WORK);
        match ended {
            Ended::Shutdown => Ok(()),
            Ended::Reset => Err(start_anew(self.after_reset)),
        }
    }

    /// Opens the agent. Waits for a command that has the store open for a moment: such a command
    /// may be running while the station starts again.
    fn open(&self, config: &Config) -> Result<Agent> {
        let deadline = Instant::now() + OTHER_COMMAND;
        loop {
            // This check comes before the token is opened: a second agent must not even log in. An
            // agent that has just been started already has the store open.
            runtime()?.block_on(refuse_a_second(config))?;
            match Agent::open(config.clone(), self.frames.as_deref()) {
                Err(error) if is_locked(&error) => {
                    if Instant::now() < deadline {
                        thread::sleep(PAUSE);
                        continue;
                    }
                    runtime()?.block_on(refuse_a_second(config))?;
                    return Err(error)
                        .context("another command has the station's store open; wait until it is done");
                }
                opened => return Ok(opened?),
            }
        }
    }
}

fn is_locked(error: &AgentError) -> bool {
    matches!(error, AgentError::Store(OpenStoreError::Store(OpenError::Locked { .. })))
}

/// Replaces this process by a new one of the same program, so that no earlier state is left.
/// Returns only if that fails.
fn start_anew(again: bool) -> anyhow::Error {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error.into(),
    };
    let mut command = std::process::Command::new(program);
    command.args(std::env::args_os().skip(1));
    if !again {
        command.arg("--after-reset");
    }
    anyhow::Error::new(command.exec()).context("the station cannot restart; start it by hand")
}

/// How long work that waits for the disk or the token may continue after a request to stop.
const LAST_WORK: Duration = Duration::from_secs(5);

/// How long a command that only reads the store may have it open.
const OTHER_COMMAND: Duration = Duration::from_secs(5);

const PAUSE: Duration = Duration::from_millis(100);
