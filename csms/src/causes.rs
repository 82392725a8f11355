//! An error and its causes, for people.

use std::error::Error;

/// The error and what caused it in one line.
pub(crate) fn in_one_line(error: impl Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
