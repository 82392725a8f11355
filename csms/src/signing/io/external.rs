//! Another authority, called through a command: the request is its standard input, the chain its
//! standard output.

use std::{process::Stdio, time::Duration};

use program::escaped;
use signer_pkcs11::{CertificateUse, ExternalAuthority, ExternalError, ExternalFuture, PendingCertificate};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
    sync::Semaphore,
    time::timeout,
};

use crate::config::ExternalSection;

/// Runs the command once for each request.
#[derive(Debug)]
pub(crate) struct CommandAuthority {
    program: String,
    arguments: Vec<String>,
    deadline: Duration,
    running: Semaphore,
}

/// Why the command returned no chain.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    /// The program cannot be started.
    #[error("{program} cannot be run")]
    Start {
        program: String,
        #[source]
        source: std::io::Error,
    },
    /// Its input or output failed.
    #[error("the input or output of {program} failed")]
    Pipe {
        program: String,
        #[source]
        source: std::io::Error,
    },
    /// The program failed.
    #[error("{program} ended with {status}: {said}")]
    Failed { program: String, status: std::process::ExitStatus, said: String },
    /// Its output is too long.
    #[error("{program} has written more than {LONGEST_CHAIN} bytes")]
    TooLong { program: String },
    /// The program took too long and was killed.
    #[error("{program} has not ended within {} h, and was ended", .deadline.as_secs() / 3600)]
    Deadline { program: String, deadline: Duration },
    /// The service is ending.
    #[error("the service ends")]
    Ending,
}

impl CommandAuthority {
    pub(crate) fn new(section: &ExternalSection) -> Self {
        Self {
            program: section.program.clone(),
            arguments: section.arguments.clone(),
            deadline: section.deadline,
            running: Semaphore::new(usize::try_from(section.at_once.get()).unwrap_or(1)),
        }
    }

    async fn ask(&self, pending: &PendingCertificate) -> Result<String, CommandError> {
        let _turn = self.running.acquire().await.map_err(|_| CommandError::Ending)?;
        let run = timeout(self.deadline, self.run(pending)).await;
        // The program is killed when the future that waits for it is dropped.
        run.unwrap_or_else(|_| {
            Err(CommandError::Deadline { program: self.program(), deadline: self.deadline })
        })
    }

    async fn run(&self, pending: &PendingCertificate) -> Result<String, CommandError> {
        let (station, subject) = (pending.station(), pending.subject());
        let mut child = Command::new(self.program())
            .args(&self.arguments)
            .env("OCPP_STATION", station.identity.as_str())
            .env("OCPP_SERIAL_NUMBER", &station.serial_number)
            .env("OCPP_COMMON_NAME", &subject.common_name)
            .env("OCPP_ORGANIZATION", &subject.organization)
            .env("OCPP_CERTIFICATE_TYPE", pending.certificate_type().map_or("", CertificateUse::as_str))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| CommandError::Start { program: self.program(), source })?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                // A program that has read enough closes its standard input. Its answer shows
                // whether it has read enough.
                let _ = stdin.write_all(pending.csr().to_pem().as_bytes()).await;
            }
            Ok(())
        };
        let broken = |source| CommandError::Pipe { program: self.program(), source };
        let read = async {
            let chain = up_to(stdout, LONGEST_CHAIN).await.map_err(broken)?;
            chain.ok_or_else(|| CommandError::TooLong { program: self.program() })
        };
        // Output beyond the limit is not read.
        let ((), chain, said) = tokio::try_join!(write, read, async { Ok(last_of(stderr).await) })?;
        let status = child.wait().await.map_err(broken)?;
        match status.success() {
            true => Ok(String::from_utf8_lossy(&chain).into_owned()),
            false => Err(CommandError::Failed { program: self.program(), status, said }),
        }
    }

    fn program(&self) -> String {
        self.program.clone()
    }
}

impl ExternalAuthority for CommandAuthority {
    fn certify<'a>(&'a self, pending: &'a PendingCertificate) -> ExternalFuture<'a> {
        Box::pin(async move { self.ask(pending).await.map_err(ExternalError::unanswered) })
    }
}

/// All bytes of a stream; `None` if there are more than `most`.
async fn up_to(stream: Option<impl AsyncRead + Unpin>, most: u64) -> std::io::Result<Option<Vec<u8>>> {
    let Some(stream) = stream else { return Ok(Some(Vec::new())) };
    let mut bytes = Vec::new();
    let read = stream.take(most + 1).read_to_end(&mut bytes).await?;
    Ok((read as u64 <= most).then_some(bytes))
}

/// The last line of a program's standard error. The stream is read to its end, so that the program
/// does not block.
async fn last_of(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut tail = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        tail.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let surplus = tail.len().saturating_sub(LONGEST_COMPLAINT);
        tail.drain(..surplus);
    }
    let text = String::from_utf8_lossy(&tail);
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no error output");
    escaped(line.trim()).to_string()
}

/// In bytes. Five certificates with large RSA keys fit.
const LONGEST_CHAIN: u64 = 64 * 1024;

/// The length of the kept standard error, in bytes.
const LONGEST_COMPLAINT: usize = 500;
