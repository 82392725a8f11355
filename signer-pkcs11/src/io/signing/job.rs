//! A signature job, and where its caller waits.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    io::key::name::KeyName,
    key::{algorithm::SignatureAlgorithm, signer::SignError},
};

/// A signature job.
pub(crate) struct Job {
    pub(crate) key: Arc<KeyName>,
    pub(crate) algorithm: SignatureAlgorithm,
    /// The token's input: see [`SignatureAlgorithm::token_input`].
    pub(crate) input: Vec<u8>,
    /// Length of the signature that the token must return.
    pub(crate) raw_bytes: usize,
    /// When the signature was requested.
    pub(crate) asked: Instant,
    /// How long the caller waits.
    pub(crate) timeout: Duration,
    pub(crate) reply: Reply,
}

/// Where the caller waits.
pub(crate) enum Reply {
    /// On a thread, possibly inside `block_on`, where tokio's own blocking receive would panic.
    Thread(mpsc::SyncSender<Result<Vec<u8>, SignError>>),
    /// In a task.
    Task(oneshot::Sender<Result<Vec<u8>, SignError>>),
}

impl Job {
    /// The caller has given up: no token time is spent on the job.
    pub(crate) fn is_abandoned(&self) -> bool {
        let dropped = match &self.reply {
            Reply::Task(sender) => sender.is_closed(),
            Reply::Thread(_) => false,
        };
        dropped || self.asked.elapsed() >= self.timeout
    }
}

impl Reply {
    /// Sends the result, unless the caller has given up.
    pub(crate) fn send(self, result: Result<Vec<u8>, SignError>) {
        match self {
            Self::Thread(sender) => drop(sender.try_send(result)),
            Self::Task(sender) => drop(sender.send(result)),
        }
    }
}
