//! The answer to one line.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::messages::{self, Refusal};

/// Decodes the payload of a line and returns the result as one line of JSON.
#[must_use]
pub(crate) fn answer(line: &[u8]) -> String {
    let line = match std::str::from_utf8(line) {
        Ok(line) => line,
        Err(error) => {
            return refused(
                "FormatViolation",
                "",
                &format!("the line is not UTF-8 from byte {}", error.valid_up_to()),
            );
        }
    };
    // The payload stays text until its type is known, so that exactly the sent text is decoded.
    let line: Line<'_> = match serde_json::from_str(line) {
        Ok(line) => line,
        Err(error) if error.is_data() => return refused("InvalidLine", "", &shortened(&error.to_string())),
        Err(error) => {
            return refused(
                "FormatViolation",
                "",
                &format!("the line is not JSON at column {}", error.column()),
            );
        }
    };
    match messages::round_trip(&line.version, &line.message, line.payload.get()) {
        Ok(payload) => accepted(&payload),
        Err(Refusal::UnknownVersion { known }) => refused(
            "UnknownVersion",
            "",
            &format!("no version {:?}; known are {known}", shortened(&line.version)),
        ),
        Err(Refusal::UnknownMessage) => {
            let message = format!("{} has no message {:?}", line.version, shortened(&line.message));
            refused("UnknownMessage", "", &message)
        }
        Err(Refusal::Decode { code, error }) => refused(&code, error.pointer(), &error.to_string()),
        Err(Refusal::Encode(error)) => refused("InternalError", "", &error.to_string()),
    }
}

/// The answer to a line that is too long.
#[must_use]
pub(crate) fn too_long() -> String {
    refused("LineTooLong", "", "the line has more than 4 MiB")
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    version: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

#[derive(Serialize)]
struct Refused<'a> {
    ok: bool,
    code: &'a str,
    pointer: &'a str,
    error: &'a str,
}

fn accepted(payload: &str) -> String {
    format!(r#"{{"ok":true,"payload":{payload}}}"#)
}

fn refused(code: &str, pointer: &str, error: &str) -> String {
    let answer = Refused { ok: false, code, pointer, error };
    serde_json::to_string(&answer).expect("strings and a boolean are JSON")
}

/// A peer's text, shortened to fit into a log line.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

const SHOWN_CHARACTERS: usize = 120;
