//! A PostgreSQL server of a test's own, by Debian's package. It ends with the test.

#![allow(
    dead_code,
    reason = "the tests of the library, those of the program and the benchmark use parts of it"
)]

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// A server that listens on a local socket, in a folder of its own.
#[derive(Debug)]
pub(crate) struct PostgresServer {
    folder: tempfile::TempDir,
    programs: PathBuf,
    process: Option<Child>,
    settings: Vec<String>,
}

impl PostgresServer {
    /// Makes a cluster and starts it with further settings.
    pub(crate) fn start_with(settings: &[&str]) -> Self {
        // A socket's path has at most 107 bytes.
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        let owner = fs::metadata(folder.path()).expect("its owner").uid();
        if owner == 0 {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("its owner");
        }
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { folder, programs: programs(), process: None, settings };
        let data = server.data();
        let made = server
            .command("initdb")
            .args(["-A", "trust", "-U", "csms", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("initdb starts").success(), "initdb failed");
        server.launch();
        server
    }

    /// Starts the server again, on the data that it has.
    pub(crate) fn launch(&mut self) {
        let socket = self.folder.path().to_owned();
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).args(["-c", "listen_addresses="]);
        command.arg("-c").arg(format!("unix_socket_directories={}", socket.display()));
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let log = fs::File::options().create(true).append(true).open(self.log_file()).expect("a log");
        let process = command.stdout(Stdio::null()).stderr(log).spawn();
        self.process = Some(process.expect("postgres starts"));
        let begun = Instant::now();
        while !self.statement("postgres", "SELECT 1") {
            assert!(begun.elapsed() < LONGEST_START, "postgres does not start:\n{}", self.log());
            sleep(Duration::from_millis(20));
        }
    }

    /// The URL of a new, empty database.
    pub(crate) fn database(&self, name: &str) -> String {
        assert!(self.statement("postgres", &format!("CREATE DATABASE {name}")), "{}", self.log());
        self.url(name)
    }

    /// The URL of a database.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("postgres:///{name}?host={}&user=csms", self.folder.path().display())
    }

    /// Ends the server as a power failure would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // At once, and the parts of the server with it.
            let _ = kill_process(Pid::from_child(&process), Signal::QUIT);
            let _ = process.wait();
        }
    }

    /// Stops the server and all of its processes, as a host that hangs, until [`Self::resume`].
    pub(crate) fn pause(&self) {
        self.signal_all(Signal::STOP);
    }

    /// Lets the server go on.
    pub(crate) fn resume(&self) {
        self.signal_all(Signal::CONT);
    }

    fn signal_all(&self, signal: Signal) {
        let process = self.process.as_ref().expect("it runs");
        let id = process.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).expect("its children");
        let children = children.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?));
        for process in std::iter::once(Pid::from_child(process)).chain(children) {
            // One that has just ended needs no signal.
            let _ = kill_process(process, signal);
        }
    }

    /// Whether a statement succeeds.
    pub(crate) fn statement(&self, database: &str, statement: &str) -> bool {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-t", "-U", "csms", "-d", database, "-c", statement, "-h"]);
        let status = psql.arg(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.expect("psql starts").success()
    }

    /// What the server has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// A program of the package, as another user than root, which it refuses. It ends with this
    /// process.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if fs::metadata("/proc/self").expect("this process").uid() == 0 {
            command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".into()]);
        }
        command.arg(self.programs.join(Path::new(program.as_ref())));
        command.env("HOME", self.folder.path()).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where Debian puts the programs of the newest version, or else a folder of the PATH.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .max_by_key(|version| version.file_name().to_string_lossy().parse::<u32>().unwrap_or_default());
    let newest = newest.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = || std::env::split_paths(&path).find(|folder| folder.join("initdb").exists());
    newest.or_else(on_path).expect("PostgreSQL is missing: apt-get install postgresql")
}

/// Debian's user `nobody`.
pub(crate) const NOBODY: u32 = 65534;

const LONGEST_START: Duration = Duration::from_secs(30);
