//! A record of frames, for the bench and for demonstrations.

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use ocpp_types::Timestamp;
use serde_json::{json, value::RawValue};

use crate::tap::{Direction, FrameTap};

/// An observer that appends every frame to the file `path`, one JSON object a line: `time`, `direction` (`received` or
/// `sent`, as this side sees it), `station`, and `frame`, or `text` where it is no JSON.
///
/// The record holds whole payloads, and so whatever secret one carries: it is for the bench, and a new file is readable by
/// its owner only. Each line is handed to the
/// operating system before the frame goes on its way; a line that cannot be written is logged and lost.
///
/// # Errors
/// If the file cannot be opened for appending.
pub fn record_frames(path: &Path) -> io::Result<FrameTap> {
    let mut options = File::options();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = Mutex::new(options.open(path)?);
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
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::warn!(%error, "a frame is missing in the record");
        }
    }))
}
