//! The Unix socket between a local command and the running agent.

use std::{
    fs,
    future::Future,
    io,
    os::unix::{
        fs::PermissionsExt as _,
        net::{SocketAddr, UnixListener as StdListener},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use program::causes;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
    time::timeout,
};

use crate::{
    control::{ControlReply, ControlRequest, MAX_LINE, RenewalStep},
    inventory::InventoryRow,
};

/// Why a command did not reach the agent, or why its reply was lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// No agent is listening.
    #[error("no agent listens on {}; start it with `ocpp-station run`", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The socket belongs to another user.
    #[error("{} is for the user of the agent only; run this command as that user", path.display())]
    NotPermitted {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The path is too long for a socket.
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
    #[error("the conversation with the agent broke off")]
    Broken(#[source] io::Error),
    /// This version cannot parse the reply.
    #[error("the agent's reply cannot be read; are both of the same version?")]
    Reply(#[source] serde_json::Error),
    /// The agent did not reply in time.
    #[error("the agent did not reply within {} s", MAX_SILENCE.as_secs())]
    Timeout,
}

/// The exchange with the running agent for one command.
#[derive(Debug)]
pub struct Conversation {
    reader: BufReader<UnixStream>,
}

impl Conversation {
    /// Sends a command to the agent whose socket is at `path`.
    ///
    /// # Errors
    /// [`ControlError`]. A refusal by the agent itself is a [`ControlReply::Failed`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket. A command that the agent has read is still carried
    /// out.
    pub async fn begin(path: &Path, request: &ControlRequest) -> Result<Self, ControlError> {
        check_length(path)?;
        let begin = async {
            let mut stream = UnixStream::connect(path).await.map_err(|source| {
                let path = path.to_path_buf();
                match source.kind() {
                    io::ErrorKind::PermissionDenied => ControlError::NotPermitted { path, source },
                    _ => ControlError::NotRunning { path, source },
                }
            })?;
            let line = line(request).map_err(ControlError::Reply)?;
            stream.write_all(&line).await.map_err(ControlError::Broken)?;
            Ok(Self { reader: BufReader::new(stream) })
        };
        timeout(MAX_SILENCE, begin).await.map_err(|_| ControlError::Timeout)?
    }

    /// The next line of the agent's reply. The agent has 30 seconds to send it.
    ///
    /// # Errors
    /// [`ControlError`].
    ///
    /// # Cancel safety
    /// Part of a line may be lost; do not use the conversation after that.
    pub async fn reply(&mut self) -> Result<ControlReply, ControlError> {
        timeout(MAX_SILENCE, self.awaited_reply()).await.map_err(|_| ControlError::Timeout)?
    }

    /// The next line of the agent's reply, without a time limit: the answer of the CSMS may take
    /// days.
    ///
    /// # Errors
    /// [`ControlError`].
    ///
    /// # Cancel safety
    /// As [`Conversation::reply`].
    pub async fn awaited_reply(&mut self) -> Result<ControlReply, ControlError> {
        let line = read_line(&mut self.reader).await.map_err(ControlError::Broken)?;
        serde_json::from_str(&line).map_err(ControlError::Reply)
    }
}

/// The listening socket, readable and writable by its owner only. The file is removed when this
/// value is dropped.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: StdListener,
    path: PathBuf,
}

/// Carries out commands.
pub(crate) trait Answer: Send + Sync + 'static {
    /// Carries out one command, and sends its steps to `caller`. The reply is the last line.
    fn answer(
        &self,
        request: ControlRequest,
        caller: &mut Caller,
    ) -> impl Future<Output = ControlReply> + Send;
}

/// Sends the steps of a running command to its caller.
#[derive(Debug)]
pub(crate) struct Caller {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl ControlSocket {
    /// Takes over the socket of an agent that has ended without removing it. The caller holds the
    /// store's lock, so no other agent can be listening. Blocks.
    pub(crate) fn bind(path: &Path) -> Result<Self, ControlError> {
        check_length(path)?;
        let failed = |source| ControlError::Listen { path: path.to_path_buf(), source };
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = StdListener::bind(path).map_err(failed)?;
        let bound = Self { listener, path: path.to_path_buf() };
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        bound.listener.set_nonblocking(true).map_err(failed)?;
        Ok(bound)
    }

    /// Serves commands until the future is dropped.
    ///
    /// # Cancel safety
    /// Dropping the future ends the commands that are being carried out.
    pub(crate) async fn serve(self, answer: impl Answer) {
        let listener = match self.listener.try_clone().and_then(UnixListener::from_std) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(error = %causes(&error), "local commands cannot be served");
                return std::future::pending().await;
            }
        };
        let answer = Arc::new(answer);
        let mut conversations = JoinSet::new();
        loop {
            while conversations.len() >= MAX_CONVERSATIONS {
                conversations.join_next().await;
            }
            let Ok((stream, _)) = listener.accept().await else {
                // The process has no file descriptors left. They become free as connections end.
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            conversations.spawn(converse(stream, Arc::clone(&answer)));
            while conversations.try_join_next().is_some() {}
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(error = %causes(&error), path = %self.path.display(), "the control socket is gone already");
        }
    }
}

impl Caller {
    /// Sends a step. Returns false if the caller has disconnected.
    pub(crate) async fn step(&mut self, step: RenewalStep) -> bool {
        self.send(&ControlReply::Progress(step)).await
    }

    /// Sends a row. Returns false if the caller has disconnected.
    pub(crate) async fn row(&mut self, row: InventoryRow) -> bool {
        self.send(&ControlReply::Row(Box::new(row))).await
    }

    /// Ready when the caller has disconnected.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn closed(&mut self) {
        // A conversation has one command; further input is ignored.
        while let Ok(more @ 1..) = self.reader.fill_buf().await.map(<[u8]>::len) {
            self.reader.consume(more);
        }
    }

    async fn send(&mut self, reply: &ControlReply) -> bool {
        let line = line(reply).unwrap_or_else(|_| b"{\"failed\":\"the reply cannot be written\"}\n".to_vec());
        let written = timeout(MAX_SILENCE, self.writer.write_all(&line)).await;
        let is_there = matches!(written, Ok(Ok(())));
        if !is_there {
            tracing::debug!("a local command disconnected before its reply");
        }
        is_there
    }
}

async fn converse(stream: UnixStream, answer: Arc<impl Answer>) {
    let (reader, writer) = stream.into_split();
    let mut caller = Caller { reader: BufReader::new(reader), writer };
    let Ok(Ok(line)) = timeout(MAX_SILENCE, read_line(&mut caller.reader)).await else { return };
    let reply = match serde_json::from_str(&line) {
        Ok(request) => answer.answer(request, &mut caller).await,
        Err(error) => ControlReply::Failed(format!("the command cannot be read: {error}")),
    };
    caller.send(&reply).await;
}

fn line(message: &impl serde::Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// Distinguishes a path that is too long (about 100 bytes) from the other errors of a socket.
fn check_length(path: &Path) -> Result<(), ControlError> {
    SocketAddr::from_pathname(path)
        .map(drop)
        .map_err(|source| ControlError::PathTooLong { path: path.to_path_buf(), source })
}

async fn read_line(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut line = String::new();
    reader.take(MAX_LINE as u64).read_line(&mut line).await?;
    match line.ends_with('\n') {
        true => Ok(line),
        false if line.len() < MAX_LINE => Err(io::ErrorKind::UnexpectedEof.into()),
        false => Err(io::Error::other(format!("no line end within {MAX_LINE} bytes"))),
    }
}

/// The longest silence of either side. The agent answers from memory, or reports that the command
/// has begun.
const MAX_SILENCE: Duration = Duration::from_secs(30);

/// The most commands at one time: a person runs one, scripts run a few.
const MAX_CONVERSATIONS: usize = 32;

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
