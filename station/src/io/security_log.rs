//! Security events on disk: those that wait to be reported, and the log of all (A04).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Mutex,
    time::SystemTime,
};

use ocpp_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    io::{durable::replace, handlers::lock},
    security_events::{Noted, QueuedEvent, SecurityEvent, SecurityEventQueue, Severity},
};

/// The events of a station, in its folder.
#[derive(Debug)]
pub(crate) struct SecurityLog {
    folder: PathBuf,
    /// Held while the disk is written; whoever reads the queue does not wait for that.
    writer: Mutex<()>,
    /// Changed only by who holds the writer.
    queue: Mutex<SecurityEventQueue>,
}

/// A line of the security log.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct LoggedEvent {
    /// When it happened.
    pub time: Timestamp,
    /// Its name in OCPP's list.
    pub event: String,
    /// Whether the CSMS is told of it.
    pub critical: bool,
    /// What happened, for people.
    pub info: String,
}

impl SecurityLog {
    /// Opens the log in `folder`. Blocks.
    ///
    /// A queue that cannot be read is set aside, and reported: what waited in it is in the log.
    ///
    /// # Errors
    /// If the disk fails.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(QUEUE);
        let queue = match fs::read_to_string(&path) {
            Ok(text) => match SecurityEventQueue::from_json_lines(&text) {
                Ok(queue) => queue,
                Err(error) => {
                    tracing::error!(file = %path.display(), %error, "the queue of security events is damaged and set aside");
                    fs::rename(&path, path.with_extension("damaged"))?;
                    SecurityEventQueue::default()
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => SecurityEventQueue::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { folder: folder.to_owned(), writer: Mutex::default(), queue: Mutex::new(queue) })
    }

    /// Notes an event, durably. Returns what became of it. Blocks.
    ///
    /// A disk that fails is logged and hinders nothing: the event is then reported if the process lives on.
    pub(crate) fn record(&self, event: SecurityEvent, info: &str) -> Noted {
        let now = Timestamp::from(SystemTime::now()).to_milliseconds();
        let _writer = lock(&self.writer);
        let mut queue = lock(&self.queue).clone();
        let noted = queue.push(event, now, info);
        tracing::warn!(event = event.name(), info, "security event");
        if noted == Noted::Queued {
            self.replace(queue);
        }
        if let Err(error) = self.append(event, now, info) {
            tracing::error!(%error, "the security log cannot be written");
        }
        noted
    }

    /// The oldest event that waits to be reported.
    pub(crate) fn first(&self) -> Option<QueuedEvent> {
        lock(&self.queue).first().cloned()
    }

    /// How many events wait to be reported.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.queue).waiting().count()
    }

    /// The CSMS has confirmed an event. Blocks.
    pub(crate) fn handle_confirmed(&self, event: &QueuedEvent) {
        let _writer = lock(&self.writer);
        let mut queue = lock(&self.queue).clone();
        queue.handle_confirmed(event);
        self.replace(queue);
    }

    /// Writes the queue down, then shows it. The caller holds the writer.
    fn replace(&self, queue: SecurityEventQueue) {
        let saved = match queue.to_json_lines() {
            Ok(text) => replace(&self.folder.join(QUEUE), &text),
            Err(error) => Err(io::Error::other(error)),
        };
        if let Err(error) = saved {
            tracing::error!(%error, "security events that wait cannot be written down; a restart would lose them");
        }
        *lock(&self.queue) = queue;
    }

    fn append(&self, event: SecurityEvent, time: Timestamp, info: &str) -> io::Result<()> {
        let logged = LoggedEvent {
            time,
            event: event.name().to_owned(),
            critical: event.severity() == Severity::Critical,
            info: info.to_owned(),
        };
        let path = self.folder.join(LOG);
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > MOST_LOG_BYTES) {
            fs::rename(&path, self.folder.join(OLDER_LOG))?;
        }
        let mut line = serde_json::to_string(&logged)?;
        line.push('\n');
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        file.write_all(line.as_bytes())?;
        file.sync_data()?;
        File::open(&self.folder)?.sync_all()
    }
}

/// The security log in a station's folder, oldest first. Blocks.
///
/// # Errors
/// If a file cannot be read. A line that was torn by a crash is left out.
pub fn security_log(folder: &Path) -> io::Result<Vec<LoggedEvent>> {
    let mut events = Vec::new();
    for name in [OLDER_LOG, LOG] {
        match fs::read_to_string(folder.join(name)) {
            Ok(text) => events.extend(text.lines().filter_map(|line| serde_json::from_str(line).ok())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(events)
}

/// The events that wait to be reported, one a line.
const QUEUE: &str = "security-events.jsonl";

/// The log, and the one before it: a rolling log of at most twice [`MOST_LOG_BYTES`] (A04.FR.04).
const LOG: &str = "security.log";
const OLDER_LOG: &str = "security.log.1";

/// The size in bytes at which a log is set aside; some 1,500 events.
const MOST_LOG_BYTES: u64 = 256 * 1024;
