//! Standard output of a command.

use std::{
    error::Error,
    fmt::Display,
    io::{self, BufWriter, Stdout, Write as _},
};

use crate::{escaped, escaped_json};

/// Standard output in whole lines. Call [`Output::finish`] at the end: only then is everything
/// written.
///
/// `println!` panics if the reader has closed the output (`… | head -1`) or the disk is full. This
/// type returns an error, and [`exit_code`](crate::exit_code) handles it.
#[derive(Debug)]
pub struct Output(BufWriter<Stdout>);

impl Output {
    /// Standard output of this process.
    #[must_use]
    pub fn new() -> Self {
        Self(BufWriter::new(io::stdout()))
    }

    /// Writes a line for people, [escaped].
    ///
    /// # Errors
    /// [`OutputError`]
    pub fn line(&mut self, line: impl Display) -> Result<(), OutputError> {
        writeln!(self.0, "{}", escaped(line)).map_err(OutputError)
    }

    /// Writes a line of JSON, escaped by [`escaped_json`].
    ///
    /// # Errors
    /// [`OutputError`]
    pub fn json(&mut self, json: impl Display) -> Result<(), OutputError> {
        self.json_part(json)?;
        writeln!(self.0).map_err(OutputError)
    }

    /// Writes a part of a line of JSON, for a line that is too long for the memory.
    ///
    /// # Errors
    /// [`OutputError`]
    pub fn json_part(&mut self, json: impl Display) -> Result<(), OutputError> {
        write!(self.0, "{}", escaped_json(&json.to_string())).map_err(OutputError)
    }

    /// Writes lines unchanged whose exact bytes are needed, such as PEM or a hashed entry. A
    /// missing line end is added. The lines must contain no characters with an effect on a
    /// terminal.
    ///
    /// # Errors
    /// [`OutputError`]
    pub fn verbatim(&mut self, text: &str) -> Result<(), OutputError> {
        writeln!(self.0, "{}", text.strip_suffix('\n').unwrap_or(text)).map_err(OutputError)
    }

    /// Writes the buffered lines, so that a reader has all lines so far.
    ///
    /// # Errors
    /// [`OutputError`]
    pub fn flush(&mut self) -> Result<(), OutputError> {
        self.0.flush().map_err(OutputError)
    }

    /// Writes the rest.
    ///
    /// # Errors
    /// [`OutputError`]
    pub fn finish(mut self) -> Result<(), OutputError> {
        self.flush()
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

/// Standard output cannot be written any more.
#[derive(Debug)]
pub struct OutputError(pub(crate) io::Error);

impl std::fmt::Display for OutputError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("cannot write to standard output")
    }
}

impl Error for OutputError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// Whether a command ended because the reader of its standard output has closed it, as `head` does.
#[must_use]
pub fn is_closed(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(OutputError(reason)) = error.downcast_ref() {
            return reason.kind() == io::ErrorKind::BrokenPipe;
        }
        next = error.source();
    }
    false
}
