//! A token in a process of its own, like an HSM: it keeps running when the station is killed, and
//! completes its work.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::workspace::on_path;

/// p11-kit's server for one token of SoftHSM.
pub(super) struct TokenServer {
    process: Child,
    /// The folder of the socket, whose path must be short.
    folder: tempfile::TempDir,
}

impl TokenServer {
    /// Serves the token `label` of SoftHSM with this configuration.
    pub(super) fn start(module: &Path, softhsm_configuration: &Path, label: &str) -> Result<Self> {
        if !on_path("p11-kit") {
            bail!("p11-kit is missing, which serves a token to another process; {INSTALL}");
        }
        let folder = tempfile::tempdir().context("cannot make a folder for a socket")?;
        let socket = folder.path().join(SOCKET);
        let mut command = Command::new("p11-kit");
        command.args(["server", "--foreground", "--name"]).arg(&socket).arg("--provider").arg(module);
        command.arg(format!("pkcs11:token={label}")).env("SOFTHSM2_CONF", softhsm_configuration);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = Self { process: command.spawn().context("p11-kit does not start")?, folder };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !socket.exists() {
            if let Some(status) = server.process.try_wait()? {
                bail!("p11-kit server ended with {status}");
            }
            if Instant::now() > deadline {
                bail!("p11-kit server makes no socket");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    /// Waits until the work of a killed program is completed: the server has a process for each
    /// program, which ends then.
    ///
    /// A station that starts earlier may search for a key that is still being generated, and not
    /// find it.
    pub(super) fn wait_until_idle(&self) -> Result<()> {
        let id = self.process.id();
        let path = format!("/proc/{id}/task/{id}/children");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let children = fs::read_to_string(&path).context("there is no /proc: Linux only")?;
            if children.trim().is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("p11-kit server still does what a killed program wanted: processes {children}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The environment variables with which a program finds the token here.
    pub(super) fn variables(&self) -> Result<[(&'static str, String); 2]> {
        let client = CLIENTS.iter().map(PathBuf::from).find(|path| path.is_file());
        let client = client.with_context(|| format!("p11-kit-client.so is missing; {INSTALL}"))?;
        let address = format!("unix:path={}", self.folder.path().join(SOCKET).display());
        Ok([("PKCS11_MODULE", client.display().to_string()), ("P11_KIT_SERVER_ADDRESS", address)])
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

const SOCKET: &str = "socket";

/// The places of the module that connects to a server, in several distributions.
const CLIENTS: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-client.so",
    "/usr/lib64/pkcs11/p11-kit-client.so",
    "/usr/lib/pkcs11/p11-kit-client.so",
    "/opt/homebrew/lib/pkcs11/p11-kit-client.so",
];
const INSTALL: &str = "install it: `sudo apt-get install p11-kit p11-kit-modules`";
