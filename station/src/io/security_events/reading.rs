//! Reads the security log and the state of its events, also while a station writes them (A04).

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use ocpp_types::Timestamp;
use serde::Serialize;

use crate::{
    io::security_events::log::{LOG, Line, OLDER_LOG, QUEUE, read_queue},
    security_events::{QueuedEvent, SecurityEventQueue},
};

/// An event of the security log, and its state.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct LoggedEvent {
    /// When it happened.
    pub time: Timestamp,
    /// Its name in OCPP's list.
    pub event: String,
    /// Whether it is to be reported to the CSMS.
    pub critical: bool,
    /// What happened, for people.
    pub info: String,
    /// Whether it was reported to the CSMS.
    pub state: EventState,
    /// The reason, if it will never be reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_reported: Option<String>,
}

/// Whether an event was reported to the CSMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EventState {
    /// It is only in the log (A04.FR.04).
    Logged,
    /// It waits to be reported.
    Waiting,
    /// The CSMS has confirmed it.
    Reported,
    /// It was not reported, and will not be.
    NotReported,
}

/// The security log in a station's folder, oldest first. Blocks.
///
/// # Errors
/// If a file cannot be read. A line that is damaged, or was cut off by a crash, is left out.
pub fn security_log(folder: &Path) -> io::Result<Vec<LoggedEvent>> {
    let queue = || -> io::Result<SecurityEventQueue> {
        read_queue(read_or_empty(&folder.join(QUEUE))?).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{QUEUE} is damaged: {error}"))
        })
    };
    // The queue is read before and after the log: an event that is recorded or reported meanwhile
    // is shown as waiting.
    let before = queue()?;
    let logs = read_logs(folder)?;
    let queues = [before, queue()?];
    let mut lines = Vec::<Line>::new();
    for line in logs.iter().flat_map(|log| log.split(|byte| *byte == b'\n')) {
        let Ok(line) = serde_json::from_slice::<Line>(line) else { continue };
        let is_note = line.not_reported.is_some();
        let before =
            lines.iter_mut().rev().find(|event| is_note && event.is(&line.event, line.time, &line.info));
        match before {
            Some(event) => event.not_reported = line.not_reported,
            None => lines.push(line),
        }
    }
    let waits = |line: &Line| {
        let info = |event: &QueuedEvent| event.info.clone().unwrap_or_default();
        let mut waiting = queues.iter().flat_map(SecurityEventQueue::waiting);
        waiting.any(|event| line.is(event.event.name(), event.time, &info(event)))
    };
    let logged = lines.into_iter().map(|line| {
        let state = match &line.not_reported {
            Some(_) => EventState::NotReported,
            None if !line.critical => EventState::Logged,
            None if waits(&line) => EventState::Waiting,
            None => EventState::Reported,
        };
        let Line { time, event, critical, info, not_reported } = line;
        LoggedEvent { time, event, critical, info, state, not_reported }
    });
    Ok(logged.collect())
}

/// The older log and the newer one. If they change places meanwhile, they are read again.
fn read_logs(folder: &Path) -> io::Result<[Vec<u8>; 2]> {
    let newer = folder.join(LOG);
    let inode = || match fs::metadata(&newer) {
        Ok(metadata) => Ok(Some(metadata.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    loop {
        let before = inode()?;
        let logs = [read_or_empty(&folder.join(OLDER_LOG))?, read_or_empty(&newer)?];
        // A log has 1,500 events before the next one begins.
        if before.is_none() || inode()? == before {
            return Ok(logs);
        }
    }
}

fn read_or_empty(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        thread,
    };

    use super::*;
    use crate::{
        io::{
            disk::faults::DiskFaults,
            security_events::log::{MAX_LOG_BYTES, SecurityLog},
        },
        security_events::SecurityEvent,
    };

    #[test]
    fn a04_fr_02_what_is_read_while_it_is_written_waits_and_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let faults = Arc::new(DiskFaults::new(folder.path().to_owned()));
        let log = Arc::new(SecurityLog::open(folder.path(), faults).expect("opens"));
        // Almost full, so that the next log begins soon.
        log.record(SecurityEvent::InvalidCsmsCertificate, "first");
        let filler = "\n".repeat(MAX_LOG_BYTES as usize - 1_000);
        let path = folder.path().join(LOG);
        let first = fs::read_to_string(&path).expect("reads");
        fs::write(&path, first + &filler).expect("writes");
        let done = Arc::new(AtomicBool::new(false));
        let writer = thread::spawn({
            let (log, done) = (Arc::clone(&log), Arc::clone(&done));
            move || {
                for number in 0..40 {
                    log.record(SecurityEvent::InvalidCsmsCertificate, &format!("number {number}"));
                }
                done.store(true, Ordering::Release);
            }
        });
        let mut known = 0;
        while !done.load(Ordering::Acquire) {
            let events = security_log(folder.path()).expect("reads");
            assert!(events.len() >= known, "{} events, then {}", known, events.len());
            known = events.len();
            assert!(events.iter().all(|event| event.state == EventState::Waiting), "{events:?}");
        }
        writer.join().expect("writes");
        assert_eq!(security_log(folder.path()).expect("reads").len(), 41);
        assert!(folder.path().join(OLDER_LOG).exists(), "the next log has begun");
    }
}
