//! A recording of frames, for the bench and for demonstrations.

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use ocpp_types::Timestamp;
use program::causes;
use serde_json::{json, value::RawValue};

use crate::connection::tap::{Direction, FrameTap};

/// An observer that appends every frame to the file `path`, as one JSON object per line: `time`,
/// `direction` (`received` or `sent`, as seen by this side), `station`, and `frame`, or `text` if
/// it is not JSON.
///
/// The recording contains whole payloads with their secrets. It is meant for the bench, and a new
/// file can be read only by its owner. Each line is passed to the operating system before the frame
/// is processed. Lines that cannot be written, for example on a full disk, are lost. The first loss
/// is logged, and their number when writing works again.
///
/// # Errors
/// If the file cannot be opened for appending.
pub fn record_frames(path: &Path) -> io::Result<FrameTap> {
    let mut options = File::options();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let record = Mutex::new(Record { file: options.open(path)?, lost: 0 });
    Ok(Arc::new(move |tapped| {
        let direction = match tapped.direction {
            Direction::In => "received",
            Direction::Out => "sent",
        };
        let time = Timestamp::from(SystemTime::now()).to_milliseconds().to_string();
        let head =
            json!({ "time": time, "direction": direction, "station": tapped.identity.as_str() }).to_string();
        let (name, content) = match serde_json::from_str::<&RawValue>(tapped.text) {
            Ok(frame) => ("frame", frame.get().replace(['\n', '\r'], " ")),
            Err(_) => ("text", json!(tapped.text).to_string()),
        };
        let line = format!("{},\"{name}\":{content}}}\n", head.trim_end_matches('}'));
        record.lock().unwrap_or_else(PoisonError::into_inner).append(&line);
    }))
}

struct Record {
    file: File,
    /// Lines that were lost since the last one that was written.
    lost: u64,
}

impl Record {
    fn append(&mut self, line: &str) {
        // A failed write may have left a part of a line.
        let end_of_torn = if self.lost > 0 { "\n" } else { "" };
        match self.file.write_all(format!("{end_of_torn}{line}").as_bytes()) {
            Ok(()) if self.lost > 0 => {
                tracing::warn!(
                    lost = self.lost,
                    "the record of frames can be written again; it lacks some frames"
                );
                self.lost = 0;
            }
            Ok(()) => {}
            Err(error) => {
                if self.lost == 0 {
                    tracing::error!(error = %causes(&error), "the record of frames cannot be written; free space on its disk");
                }
                self.lost += 1;
            }
        }
    }
}
