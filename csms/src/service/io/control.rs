//! The Unix socket between an operator's command and the running service.

use std::{
    fs,
    future::Future,
    io,
    os::unix::{fs::PermissionsExt as _, net::SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use program::{causes, in_one_line};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter},
    net::{UnixListener, UnixStream, unix::OwnedWriteHalf},
    task::JoinSet,
    time::timeout,
};

use crate::service::control::{ControlReply, ControlRequest, LONGEST_LINE};

/// Why a command did not reach the service, or its reply did not arrive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// No service listens on the socket.
    #[error("no service listens on {}; start it with `ocpp-csms run`", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The path is too long for a socket of this system.
    #[error("{} is too long for a socket; choose a shorter `directory` in the configuration", path.display())]
    PathTooLong {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The socket cannot be created.
    #[error("cannot listen on {}", path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The line could not be written or read.
    #[error("the conversation with the service broke off")]
    Broken(#[source] io::Error),
    /// This version cannot read the reply.
    #[error("the service's reply cannot be read; are both of the same version?")]
    Reply(#[source] serde_json::Error),
    /// The service did not reply in time.
    #[error("the service did not reply within {} s", LONGEST_COMMAND.as_secs())]
    Timeout,
}

/// Sends one command to the service at `path` and returns the last line of its reply, without the
/// rows of a listing.
///
/// # Errors
/// [`ControlError`]; a refusal by the service itself is a reply.
///
/// # Cancel safety
/// See [`Conversation::begin`].
pub async fn send(path: &Path, request: &ControlRequest) -> Result<ControlReply, ControlError> {
    let mut conversation = Conversation::begin(path, request).await?;
    loop {
        match conversation.reply().await? {
            ControlReply::Row(_) | ControlReply::Warning(_) => {}
            last => return Ok(last),
        }
    }
}

/// The exchange with the running service about one command.
#[derive(Debug)]
pub struct Conversation {
    reader: BufReader<UnixStream>,
}

impl Conversation {
    /// Sends a command to the service at `path`.
    ///
    /// # Errors
    /// [`ControlError`]
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket. A command that the service has read may have been
    /// carried out completely or in part.
    pub async fn begin(path: &Path, request: &ControlRequest) -> Result<Self, ControlError> {
        let begin = async {
            check_length(path)?;
            let mut stream = UnixStream::connect(path)
                .await
                .map_err(|source| ControlError::NotRunning { path: path.to_path_buf(), source })?;
            let line = line(request).map_err(ControlError::Reply)?;
            stream.write_all(&line).await.map_err(ControlError::Broken)?;
            Ok(Self { reader: BufReader::new(stream) })
        };
        timeout(LONGEST_COMMAND, begin).await.map_err(|_| ControlError::Timeout)?
    }

    /// The next line of the service's reply. The service stops sending if a line is not read within
    /// half a minute.
    ///
    /// # Errors
    /// [`ControlError`]
    ///
    /// # Cancel safety
    /// Part of a line may be lost. Do not use the conversation again.
    pub async fn reply(&mut self) -> Result<ControlReply, ControlError> {
        let line = timeout(LONGEST_COMMAND, read_line(&mut self.reader)).await;
        let line = line.map_err(|_| ControlError::Timeout)?.map_err(ControlError::Broken)?;
        serde_json::from_str(&line).map_err(ControlError::Reply)
    }
}

/// Carries out commands.
pub(crate) trait Answer: Send + Sync + 'static {
    /// Carries out one command. The rows of a listing are passed to `rows`; the returned reply is
    /// the last line.
    fn answer(&self, request: ControlRequest, rows: &mut Rows) -> impl Future<Output = ControlReply> + Send;
}

/// Writes the rows of a listing, one after another. No row is kept, and a connection that is not
/// read is closed.
#[derive(Debug)]
pub(crate) struct Rows {
    writer: BufWriter<OwnedWriteHalf>,
}

impl Rows {
    /// Sends a row.
    ///
    /// # Errors
    /// The reply, if the row is not read.
    ///
    /// # Cancel safety
    /// Part of a line may have been sent. Do not send another line.
    pub(crate) async fn send(&mut self, row: &impl serde::Serialize) -> Result<(), String> {
        let row = serde_json::value::to_raw_value(row).map_err(in_one_line)?;
        self.write(&ControlReply::Row(row)).await.map_err(in_one_line)
    }

    /// Sends a warning at once.
    ///
    /// # Errors
    /// The reply, if the warning is not read.
    ///
    /// # Cancel safety
    /// See [`Rows::send`].
    pub(crate) async fn warn(&mut self, text: String) -> Result<(), String> {
        self.finish(&ControlReply::Warning(text)).await.map_err(in_one_line)
    }

    async fn write(&mut self, reply: &ControlReply) -> io::Result<()> {
        let line = line(reply)?;
        timeout(LONGEST_STALL, self.writer.write_all(&line)).await?
    }

    async fn finish(&mut self, reply: &ControlReply) -> io::Result<()> {
        self.write(reply).await?;
        timeout(LONGEST_STALL, self.writer.flush()).await?
    }
}

/// The listening end. Only its owner may read and write it. The file is removed when this is
/// dropped.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Creates the socket, or replaces that of a service that ended without removing it.
    pub(crate) async fn bind(path: &Path) -> Result<Self, ControlError> {
        check_length(path)?;
        let failed = |source| ControlError::Listen { path: path.to_path_buf(), source };
        if UnixStream::connect(path).await.is_ok() {
            return Err(failed(io::Error::other("another service is running on it; stop that one first")));
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, path: path.to_path_buf() })
    }

    /// Answers commands until the future is dropped.
    ///
    /// # Cancel safety
    /// Dropping the future stops the commands that are being carried out.
    pub(crate) async fn serve(&self, answer: Arc<impl Answer>) {
        let mut conversations = JoinSet::new();
        loop {
            while conversations.len() >= MOST_CONVERSATIONS {
                conversations.join_next().await;
            }
            let Ok((stream, _)) = self.listener.accept().await else {
                // There are no free file descriptors. Some become free when connections end.
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            conversations.spawn(converse(stream, Arc::clone(&answer)));
            while conversations.try_join_next().is_some() {}
        }
    }
}

async fn converse(stream: UnixStream, answer: Arc<impl Answer>) {
    let (reader, writer) = stream.into_split();
    let mut rows = Rows { writer: BufWriter::new(writer) };
    let Ok(Ok(line)) = timeout(LONGEST_COMMAND, read_line(&mut BufReader::new(reader))).await else { return };
    let reply = match serde_json::from_str::<ControlRequest>(&line) {
        Ok(request) => {
            let longest = if request.is_listing() { LONGEST_LISTING } else { LONGEST_COMMAND };
            match timeout(longest, answer.answer(request, &mut rows)).await {
                Ok(reply) => reply,
                // Part of a row may have been written, so no further line can follow.
                Err(_) => return,
            }
        }
        Err(error) => ControlReply::Failed(format!("the command cannot be read: {error}")),
    };
    if let Err(error) = rows.finish(&reply).await {
        tracing::debug!(error = %causes(&error), "an operator's command ended before its reply");
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(error = %causes(&error), path = %self.path.display(), "the control socket is gone already");
        }
    }
}

/// Distinguishes a path that is too long, about 100 bytes, from other errors of the socket.
pub(crate) fn check_length(path: &Path) -> Result<(), ControlError> {
    SocketAddr::from_pathname(path)
        .map(drop)
        .map_err(|source| ControlError::PathTooLong { path: path.to_path_buf(), source })
}

async fn read_line(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut line = String::new();
    reader.take(LONGEST_LINE as u64).read_line(&mut line).await?;
    match line.ends_with('\n') {
        true => Ok(line),
        false if line.len() < LONGEST_LINE => Err(io::ErrorKind::UnexpectedEof.into()),
        false => Err(io::Error::other(format!("no line end within {LONGEST_LINE} bytes"))),
    }
}

fn line(message: &impl serde::Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// The longest time for a command. A call to a station ends after 30 s.
const LONGEST_COMMAND: Duration = Duration::from_secs(45);

/// The longest time for a listing whose reader continues to read.
const LONGEST_LISTING: Duration = Duration::from_secs(60 * 60);

/// The longest time that a line waits for its reader. The ledger is not locked meanwhile.
const LONGEST_STALL: Duration = Duration::from_secs(30);

/// Commands at the same time. An operator types one; scripts run a few.
const MOST_CONVERSATIONS: usize = 32;

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::control::{ClockStatus, ConnectedStation, LedgerStatus, LoginStatus, Status};

    struct Fleet(u64);

    impl Answer for Fleet {
        async fn answer(&self, _: ControlRequest, rows: &mut Rows) -> ControlReply {
            for number in 0..self.0 {
                let station = ConnectedStation {
                    identity: format!("CS{number:06}").parse().expect("an identity"),
                    subprotocol: "ocpp2.0.1".to_owned(),
                    security_profile: 3,
                    certificate_serial_number: "7f".repeat(20).parse().ok(),
                    booted: true,
                };
                if let Err(reason) = rows.send(&station).await {
                    return ControlReply::Failed(reason);
                }
            }
            let status = Status {
                url: "wss://localhost/ocpp".to_owned(),
                connected: self.0,
                logins: LoginStatus::default(),
                clock: ClockStatus::default(),
                problems: Vec::new(),
                ledger: LedgerStatus::default(),
            };
            ControlReply::Done(serde_json::value::to_raw_value(&status).expect("JSON"))
        }
    }

    #[tokio::test]
    async fn a_fleet_of_any_size_is_listed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control.sock");
        let socket = ControlSocket::bind(&path).await.expect("binds");
        let listed = async {
            let mut conversation = Conversation::begin(&path, &ControlRequest::Status).await.expect("begins");
            let (mut rows, mut bytes) = (0_u64, 0);
            loop {
                match conversation.reply().await.expect("a line") {
                    ControlReply::Row(row) => {
                        let station: ConnectedStation = serde_json::from_str(row.get()).expect("a row");
                        assert_eq!(station.identity.as_str(), format!("CS{rows:06}"));
                        (rows, bytes) = (rows + 1, bytes + row.get().len());
                    }
                    ControlReply::Done(status) => {
                        let status: Status = serde_json::from_str(status.get()).expect("a status");
                        assert_eq!(status.connected, rows);
                        return bytes;
                    }
                    other => panic!("{other:?}"),
                }
            }
        };
        let bytes = tokio::select! {
            () = socket.serve(Arc::new(Fleet(50_000))) => unreachable!("it serves until it is dropped"),
            bytes = listed => bytes,
        };
        assert!(bytes > 5 * LONGEST_LINE, "{bytes}");
        // A peer that closes its connection in the middle does not affect the others.
        let left = async {
            drop(Conversation::begin(&path, &ControlRequest::Status).await.expect("begins"));
            send(&path, &ControlRequest::Status).await.expect("a reply")
        };
        tokio::select! {
            () = socket.serve(Arc::new(Fleet(50_000))) => unreachable!("it serves until it is dropped"),
            reply = left => assert!(matches!(reply, ControlReply::Done(_))),
        }
    }
}
