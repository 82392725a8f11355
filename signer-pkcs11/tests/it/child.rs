//! Tests that run in a process of their own, because they need another environment or are killed.

use std::{
    env,
    ffi::OsStr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

/// Names the test that a child runs.
const CHILD: &str = "SIGNER_PKCS11_TEST_CHILD";

/// Whether this process is the child of the test. If so, the rest of the test is the child's part.
pub(crate) fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

/// Runs the calling test (`module::name`) again as a child with an environment, and asserts that it
/// passes.
pub(crate) fn run(test: &str, environment: &[(&str, impl AsRef<OsStr>)]) {
    run_by(Command::new(env::current_exe().unwrap()), test, environment);
}

/// The same, started by another program, which gets this program's path and arguments.
pub(crate) fn run_by(mut command: Command, test: &str, environment: &[(&str, impl AsRef<OsStr>)]) {
    let environment = environment.iter().map(|(name, value)| (name, value));
    command.args(["--exact", test, "--nocapture"]).env(CHILD, "1").envs(environment);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{test}: {}\n{text}", output.status);
    assert!(text.contains("1 passed"), "{test}: {text}");
}

/// The value of an environment variable of the child.
pub(crate) fn told(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is set by the parent"))
}

/// Repeats `attempt` until it succeeds and returns its value. Panics with the last error after
/// `limit`.
pub(crate) fn until<T, E: std::fmt::Debug>(limit: Duration, mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let begin = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) if begin.elapsed() > limit => panic!("not within {limit:?}: {error:?}"),
            // This is not a wait: it leaves processor time to the other process.
            Err(_) => thread::yield_now(),
        }
    }
}

/// A PKCS #11 module of the system. Panics with the package that installs it.
pub(crate) fn system_module(file: &str, package: &str) -> PathBuf {
    let folders = [
        "/usr/lib/x86_64-linux-gnu/pkcs11",
        "/usr/lib/aarch64-linux-gnu/pkcs11",
        "/usr/lib64/pkcs11",
        "/usr/lib/pkcs11",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
    ];
    let found = folders.iter().map(|folder| PathBuf::from(folder).join(file)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{file} is missing: `sudo apt-get install {package}`"))
}

/// A program that runs beside the test. It is killed at the end, with all processes that it has
/// started.
pub(crate) struct Server {
    child: Child,
}

impl Server {
    pub(crate) fn start(mut command: Command, package: &str) -> Self {
        use std::os::unix::process::CommandExt as _;
        // A group of its own: such servers start a process per client.
        let command = command.process_group(0).stdin(Stdio::null());
        let child =
            command.spawn().unwrap_or_else(|error| panic!("{error}: `sudo apt-get install {package}`"));
        Self { child }
    }

    pub(crate) fn group(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        signal(self.group(), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Sends a signal to all processes of a group.
pub(crate) fn signal(group: u32, signal: Signal) {
    let group = i32::try_from(group).ok().and_then(Pid::from_raw).unwrap();
    // Fails only if all of them have ended.
    let _ = kill_process_group(group, signal);
}
