//! How a command ends.

use std::{
    error::Error,
    io::{self, Write as _},
    process::ExitCode,
};

use crate::{causes, io::output::is_closed};

/// The exit code of a command, whose error is written to standard error in one line: `NAME: what
/// failed: why`.
///
/// A reader of standard output that went away ([`is_closed`]) has seen what it wanted: that is
/// success, without a word.
#[must_use]
pub fn exit_code<E: AsRef<dyn Error + Send + Sync>>(name: &str, ended: Result<(), E>) -> ExitCode {
    let Err(error) = ended else { return ExitCode::SUCCESS };
    let error = error.as_ref();
    if is_closed(error) {
        return ExitCode::SUCCESS;
    }
    complain(name, error);
    ExitCode::FAILURE
}

/// Writes an error with its causes to standard error. Where that cannot be written, nothing is left
/// to do.
pub fn complain(name: &str, error: &(dyn Error + 'static)) {
    let _ = writeln!(io::stderr(), "{name}: {}", causes(error));
}
