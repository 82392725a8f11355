//! The demo's processes: one token and one folder for each side. They end with the demo.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::workspace::{output, shown, target};

/// One side of the demo: its folder, its token, its programs.
pub(crate) struct Side {
    pub(crate) folder: PathBuf,
    pub(crate) token: String,
    pub(crate) module: PathBuf,
    pub(crate) softhsm_configuration: PathBuf,
    /// Further environment variables of the programs.
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Side {
    /// Creates a side and its folder, in which SoftHSM keeps its tokens.
    pub(crate) fn create(folder: &Path, name: &str, module: &Path) -> Result<Self> {
        let folder = folder.join(name);
        let softhsm_configuration = crate::softhsm::configure(&folder, &folder.join("tokens"))?;
        let (token, module) = (name.to_owned(), module.to_path_buf());
        Ok(Self { folder, token, module, softhsm_configuration, variables: Vec::new() })
    }

    /// A program of this workspace, in this side's environment.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(target().join("debug").join(name));
        self.environment(&mut command);
        command
    }

    /// Sets the environment of a command for this side's token.
    pub(crate) fn environment(&self, command: &mut Command) {
        command.env("SOFTHSM2_CONF", &self.softhsm_configuration).env("PKCS11_MODULE", &self.module);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.folder);
    }

    /// Runs a program to its end.
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> Result<String> {
        output(self.program(name).args(arguments))
    }

    /// Runs a command of an operator to its end. A refusal by the station is an answer, too.
    pub(crate) fn ask(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.program(name);
        command.args(arguments);
        let text = shown(&command);
        let asked = command.output().with_context(|| format!("cannot start `{text}`"))?;
        let answered = asked.status.success() || asked.status.code() == Some(REFUSED_BY_THE_STATION);
        ensure!(
            answered,
            "`{text}` ended with {}\n{}",
            asked.status,
            String::from_utf8_lossy(&asked.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&asked.stdout).into_owned())
    }

    /// Starts a program that keeps running. Its log goes to a file in the side's folder.
    pub(crate) fn start(&self, name: &str, arguments: &[&str]) -> Result<Running> {
        let log = self.folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log)?;
        let mut command = self.program(name);
        command.args(arguments).stdin(std::process::Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Running { name: name.to_owned(), child, log })
    }
}

/// A program that runs until it is dropped.
pub(crate) struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Waits until `ready` returns a value. Ends early if the program has ended.
    pub(crate) fn wait_for<T>(&mut self, what: &str, mut ready: impl FnMut() -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = ready() {
                return Ok(found);
            }
            self.must_run(what)?;
            if Instant::now() > deadline {
                bail!(
                    "waited {} s in vain for {what}; the log of {} is {}",
                    PATIENCE.as_secs(),
                    self.name,
                    self.log.display()
                );
            }
            std::thread::sleep(POLL);
        }
    }

    /// Fails if the program has ended without a request.
    pub(crate) fn must_run(&mut self, what: &str) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "{} ended with {status} while waiting for {what}; its log is {}",
                self.name,
                self.log.display()
            );
        }
        Ok(())
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.must_run("the kill")?;
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the program to end, as an operator does, and waits for the end.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).with_context(|| format!("cannot stop {}", self.name))?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                if !status.success() {
                    bail!("{} ended with {status}; its log is {}", self.name, self.log.display());
                }
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        bail!("{} did not end; its log is {}", self.name, self.log.display());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Reached only if the demo failed before it stopped the program in order.
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// The longest wait for any step: a key pair on a slow disk takes a second.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// The exit code of `ocpp-csms` if the station has refused a request.
const REFUSED_BY_THE_STATION: i32 = 3;
