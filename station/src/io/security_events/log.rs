//! Security events on disk: the queue of those to be reported, and the log of all (A04).

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::SystemTime,
};

use ocpp_types::Timestamp;
use program::{Readers, causes, replace};
use serde::{Deserialize, Serialize};

use crate::{
    io::{
        disk::faults::{DiskFaults, DiskFile},
        locking::lock,
    },
    security_events::{
        AfterRefusal, MAX_INFO, Noted, QueuedEvent, SecurityEvent, SecurityEventQueue, Severity,
    },
};

/// The events of a station, in its folder.
#[derive(Debug)]
pub(crate) struct SecurityLog {
    folder: PathBuf,
    faults: Arc<DiskFaults>,
    /// Held while the files are written; readers of the queue do not wait for it.
    writer: Mutex<Unwritten>,
    /// Changed only by the holder of the writer.
    queue: Mutex<SecurityEventQueue>,
}

/// The data that the disk did not take yet.
#[derive(Debug, Default)]
struct Unwritten {
    /// Whether the queue in the file is older than the one in memory.
    queue: bool,
    /// Lines of the log, oldest first.
    lines: VecDeque<String>,
}

/// A line of the security log: an event, or a note that an earlier event was not reported.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Line {
    pub(super) time: Timestamp,
    pub(super) event: String,
    pub(super) critical: bool,
    pub(super) info: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) not_reported: Option<String>,
}

impl SecurityLog {
    /// Opens the log in `folder`. Blocks.
    ///
    /// A queue that cannot be read is set aside, and this is reported. Its events are in the log.
    ///
    /// # Errors
    /// If the disk fails.
    pub(crate) fn open(folder: &Path, faults: Arc<DiskFaults>) -> io::Result<Self> {
        let path = folder.join(QUEUE);
        let queue = match fs::read(&path) {
            Ok(bytes) => match read_queue(bytes) {
                Ok(queue) => queue,
                Err(error) => {
                    let file = path.display();
                    tracing::error!(%file, reason = error, "the queue of security events is damaged and set aside");
                    fs::rename(&path, path.with_extension("damaged"))?;
                    SecurityEventQueue::default()
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => SecurityEventQueue::default(),
            Err(error) => return Err(error),
        };
        let log =
            Self { folder: folder.to_owned(), faults, writer: Mutex::default(), queue: Mutex::new(queue) };
        log.reserve();
        Ok(log)
    }

    /// Records an event durably. Returns its state. Blocks.
    ///
    /// If the disk fails, the event is kept in memory and written as soon as the disk takes it. For
    /// critical events, room on the disk is reserved (A04.FR.02).
    pub(crate) fn record(&self, event: SecurityEvent, info: &str) -> Noted {
        let now = Timestamp::from(SystemTime::now()).to_milliseconds();
        let mut unwritten = lock(&self.writer);
        let (noted, dropped) = {
            let mut queue = lock(&self.queue);
            let critical = event.severity() == Severity::Critical;
            let dropped = if critical { queue.make_room() } else { None };
            (queue.push(event, now, info), dropped)
        };
        tracing::warn!(event = event.name(), info, "security event");
        if noted == Noted::Queued {
            unwritten.queue = true;
        }
        if let Some(dropped) = dropped {
            unwritten.add_not_reported(&dropped, "too many newer events wait");
        }
        unwritten.add(&Line {
            time: now,
            event: event.name().to_owned(),
            critical: event.severity() == Severity::Critical,
            info: info.to_owned(),
            not_reported: None,
        });
        self.write(&mut unwritten);
        noted
    }

    /// The oldest event to be reported that is not in `passed_over`.
    pub(crate) fn first_but(&self, passed_over: &[u64]) -> Option<QueuedEvent> {
        lock(&self.queue).first_but(passed_over).cloned()
    }

    /// How many events wait to be reported.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.queue).waiting().count()
    }

    /// The CSMS has confirmed an event. Blocks.
    pub(crate) fn handle_confirmed(&self, event: &QueuedEvent) {
        let mut unwritten = lock(&self.writer);
        lock(&self.queue).handle_ended(event);
        unwritten.queue = true;
        self.write(&mut unwritten);
    }

    /// An event will not be reported to the CSMS. Blocks.
    pub(crate) fn handle_not_reported(&self, event: &QueuedEvent, reason: &str) {
        let mut unwritten = lock(&self.writer);
        lock(&self.queue).handle_ended(event);
        unwritten.queue = true;
        unwritten.add_not_reported(event, reason);
        self.write(&mut unwritten);
    }

    /// The CSMS cannot accept an event now. Blocks.
    pub(crate) fn handle_refused(&self, event: &QueuedEvent, reason: &str) {
        let mut unwritten = lock(&self.writer);
        let after = lock(&self.queue).handle_refused(event);
        unwritten.queue = true;
        if after == AfterRefusal::GivenUp {
            unwritten.add_not_reported(event, reason);
        }
        self.write(&mut unwritten);
    }

    /// Retries failed writes. Blocks.
    pub(crate) fn write_again(&self) {
        self.write(&mut lock(&self.writer));
    }

    /// Writes all unwritten data.
    fn write(&self, unwritten: &mut Unwritten) {
        let queue = self.write_queue(unwritten);
        let log = self.append(unwritten);
        match queue.and(log) {
            Ok(()) => {
                self.reserve();
                self.faults.handle_written(DiskFile::SecurityEvents);
            }
            Err(error) => self.faults.handle_failed(DiskFile::SecurityEvents, error.to_string()),
        }
    }

    fn write_queue(&self, unwritten: &mut Unwritten) -> io::Result<()> {
        if !unwritten.queue {
            return Ok(());
        }
        let text = lock(&self.queue).to_json_lines()?;
        let write = || replace(&self.folder.join(QUEUE), text.as_bytes(), Readers::Owner);
        write().or_else(|error| {
            // The room was reserved for this case only.
            fs::remove_file(self.folder.join(RESERVE)).map_err(|_| error)?;
            write()
        })?;
        unwritten.queue = false;
        Ok(())
    }

    fn append(&self, unwritten: &mut Unwritten) -> io::Result<()> {
        if unwritten.lines.is_empty() {
            return Ok(());
        }
        let path = self.folder.join(LOG);
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > MAX_LOG_BYTES) {
            fs::rename(&path, self.folder.join(OLDER_LOG))?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path)?;
        let length = file.metadata()?.len();
        let mut text: String = unwritten.lines.iter().map(String::as_str).collect();
        if !ends_a_line(&mut file, length)? {
            // A crash has cut off the last line; the next line must not be lost with it.
            text.insert(0, '\n');
        }
        file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).inspect_err(|_| {
            // The part that was written must not be in the file twice.
            if let Err(error) = file.set_len(length) {
                tracing::debug!(error = %causes(&error), "the security log may hold an event twice");
            }
        })?;
        unwritten.lines.clear();
        File::open(&self.folder)?.sync_all()
    }

    /// Reserves room for the queue. On a full disk there is no reserve.
    fn reserve(&self) {
        let path = self.folder.join(RESERVE);
        let reserve = || -> io::Result<()> {
            if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == RESERVE_BYTES as u64) {
                return Ok(());
            }
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            // Not zeros, which a file system may leave out.
            file.write_all(&[b'\n'; RESERVE_BYTES])?;
            file.sync_all()
        };
        if let Err(error) = reserve() {
            tracing::debug!(error = %causes(&error), "no room is set aside for security events");
            drop(fs::remove_file(&path));
        }
    }
}

pub(super) fn read_queue(bytes: Vec<u8>) -> Result<SecurityEventQueue, String> {
    let text = String::from_utf8(bytes).map_err(|error| error.utf8_error().to_string())?;
    SecurityEventQueue::from_json_lines(&text).map_err(|error| error.to_string())
}

impl Unwritten {
    fn add(&mut self, line: &Line) {
        match serde_json::to_string(line) {
            Ok(line) => self.lines.push_back(line + "\n"),
            Err(error) => tracing::error!(error = %causes(&error), "an event is missing in the security log"),
        }
        if self.lines.len() > MAX_UNWRITTEN_LINES {
            self.lines.pop_front();
            tracing::error!("an event is missing in the security log: the disk has been full for too long");
        }
    }

    fn add_not_reported(&mut self, event: &QueuedEvent, reason: &str) {
        tracing::warn!(event = event.event.name(), time = %event.time, reason, "a security event is not reported to the CSMS");
        self.add(&Line {
            time: event.time,
            event: event.event.name().to_owned(),
            critical: true,
            info: event.info.clone().unwrap_or_default(),
            not_reported: Some(reason.to_owned()),
        });
    }
}

impl Line {
    /// Whether the line describes this event; the information may be cut off.
    pub(super) fn is(&self, event: &str, time: Timestamp, info: &str) -> bool {
        self.event == event && self.time == time && self.info.chars().take(MAX_INFO).eq(info.chars())
    }
}

/// Whether a file of this length ends with a line end, or is empty.
fn ends_a_line(file: &mut File, length: u64) -> io::Result<bool> {
    if length == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// The events to be reported, one per line.
pub(super) const QUEUE: &str = "security-events.jsonl";

/// Reserved room for the queue, released if the disk is full otherwise.
const RESERVE: &str = "security-events.reserve";

/// In bytes: most events of the queue are below 1 KiB each.
const RESERVE_BYTES: usize = 64 * 1024;

/// The log, and the one before it: a rolling log of at most twice [`MAX_LOG_BYTES`] (A04.FR.04).
pub(super) const LOG: &str = "security.log";
pub(super) const OLDER_LOG: &str = "security.log.1";

/// The size in bytes at which the log is rotated; about 1,500 events.
pub(super) const MAX_LOG_BYTES: u64 = 256 * 1024;

/// The most lines that wait for the disk: about 100 KiB.
const MAX_UNWRITTEN_LINES: usize = 512;
