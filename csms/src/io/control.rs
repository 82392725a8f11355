//! The Unix socket between an operator's command and the running service.

use std::{
    fs,
    future::Future,
    os::unix::{fs::PermissionsExt as _, net::SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    task::JoinSet,
    time::timeout,
};

use crate::control::{ControlReply, ControlRequest, LONGEST_LINE};

/// Why a command did not reach the service, or its reply did not come back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Nobody listens.
    #[error("no service listens on {}; start it with `ocpp-csms run`", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The system takes no path that long for a socket.
    #[error("{} is too long for a socket; choose a shorter `directory` in the configuration", path.display())]
    PathTooLong {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The socket cannot be made.
    #[error("cannot listen on {}", path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The line could not be written or read.
    #[error("the conversation with the service broke off")]
    Broken(#[source] std::io::Error),
    /// The reply is not what this version understands.
    #[error("the service's reply cannot be read; are both of the same version?")]
    Reply(#[source] serde_json::Error),
    /// The service did not reply in time.
    #[error("the service did not reply within {} s", LONGEST_COMMAND.as_secs())]
    Timeout,
}

/// Sends one command to the service at `path` and returns its reply.
///
/// # Errors
/// [`ControlError`]; what the service itself refuses is a [`ControlReply::Failed`].
///
/// # Cancel safety
/// Dropping the future closes the socket; a command that the service has read may have been carried out, or may be given up half-way.
pub async fn send(path: &Path, request: &ControlRequest) -> Result<ControlReply, ControlError> {
    let exchange = async {
        check_length(path)?;
        let stream = UnixStream::connect(path)
            .await
            .map_err(|source| ControlError::NotRunning { path: path.to_path_buf(), source })?;
        let mut line = serde_json::to_vec(request).map_err(ControlError::Reply)?;
        line.push(b'\n');
        let (reader, mut writer) = stream.into_split();
        writer.write_all(&line).await.map_err(ControlError::Broken)?;
        let line = read_line(reader).await.map_err(ControlError::Broken)?;
        serde_json::from_str(&line).map_err(ControlError::Reply)
    };
    timeout(LONGEST_COMMAND, exchange).await.map_err(|_| ControlError::Timeout)?
}

/// The listening end, readable and writable by its owner only. The file is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Takes the socket over from a service that has ended without removing it.
    pub(crate) async fn bind(path: &Path) -> Result<Self, ControlError> {
        check_length(path)?;
        let failed = |source| ControlError::Listen { path: path.to_path_buf(), source };
        if UnixStream::connect(path).await.is_ok() {
            return Err(failed(std::io::Error::other(
                "another service is running on it; stop that one first",
            )));
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, path: path.to_path_buf() })
    }

    /// Answers commands until it is dropped.
    ///
    /// # Cancel safety
    /// Dropping the future ends the commands that are being carried out.
    pub(crate) async fn serve<F, Answer>(&self, answer: F)
    where
        F: Fn(ControlRequest) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = ControlReply> + Send + 'static,
    {
        let answer = Arc::new(answer);
        let mut conversations = JoinSet::new();
        loop {
            while conversations.len() >= MOST_CONVERSATIONS {
                conversations.join_next().await;
            }
            let Ok((stream, _)) = self.listener.accept().await else {
                // Out of file descriptors: they come back as connections end.
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let answer = Arc::clone(&answer);
            conversations.spawn(timeout(LONGEST_COMMAND, async move {
                let (reader, mut writer) = stream.into_split();
                let Ok(line) = read_line(reader).await else { return };
                let reply = match serde_json::from_str(&line) {
                    Ok(request) => answer(request).await,
                    Err(error) => ControlReply::Failed(format!("the command cannot be read: {error}")),
                };
                let mut line = serde_json::to_vec(&reply)
                    .unwrap_or_else(|_| br#"{"failed":"the reply cannot be written"}"#.to_vec());
                line.push(b'\n');
                if let Err(error) = writer.write_all(&line).await {
                    tracing::debug!(%error, "an operator's command went away before its reply");
                }
            }));
            while conversations.try_join_next().is_some() {}
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "the control socket is gone already");
        }
    }
}

/// Tells a path that is too long, about 100 bytes, from the other reasons why there is no socket.
fn check_length(path: &Path) -> Result<(), ControlError> {
    SocketAddr::from_pathname(path)
        .map(drop)
        .map_err(|source| ControlError::PathTooLong { path: path.to_path_buf(), source })
}

async fn read_line(reader: impl tokio::io::AsyncRead + Unpin) -> std::io::Result<String> {
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(LONGEST_LINE as u64));
    reader.read_line(&mut line).await?;
    if !line.ends_with('\n') {
        return Err(std::io::Error::other(format!("no line end within {LONGEST_LINE} bytes")));
    }
    Ok(line)
}

/// The longest that a command may take: a call to a station ends after 30 s.
const LONGEST_COMMAND: Duration = Duration::from_secs(45);

/// Commands at once: one operator types one, scripts a few.
const MOST_CONVERSATIONS: usize = 32;

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
