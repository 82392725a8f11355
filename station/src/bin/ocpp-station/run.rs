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
    /// Append every frame to this file, one JSON object a line; it holds whole payloads
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
        // A token that hangs holds its thread for minutes. What is cut off goes on after the next
        // start: its name is durable.
        runtime.shutdown_timeout(LAST_WORK);
        match ended {
            Ended::Shutdown => Ok(()),
            Ended::Reset => Err(start_anew(self.after_reset)),
        }
    }

    /// Opens the agent, and waits for a command that has the store open for a moment: one may
    /// run while the station starts again.
    fn open(&self, config: &Config) -> Result<Agent> {
        let deadline = Instant::now() + OTHER_COMMAND;
        loop {
            // Before the token is opened: a second agent should not even log in. One that has just
            // been started has the store.
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

/// Replaces this process by a new one of the same program, so that nothing of before is left.
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
    anyhow::Error::new(command.exec()).context("the station cannot start anew; start it by hand")
}

/// How long work that waits for disk or token may go on after the agent was asked to stop.
const LAST_WORK: Duration = Duration::from_secs(5);

/// How long a command may have the store open that only reads it.
const OTHER_COMMAND: Duration = Duration::from_secs(5);

const PAUSE: Duration = Duration::from_millis(100);
