//! The exit code of a command.

use std::{
    error::Error,
    io::{self, Write as _},
    process::ExitCode,
};

use crate::{causes, io::output::is_closed};

/// The exit code of a command. An error is written to standard error in one line: `NAME: what
/// failed: why`.
///
/// If the reader of standard output has closed it ([`is_closed`]), the reader has what it wanted.
/// This is success, and no error is written.
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

/// Writes an error with its causes to standard error. If that fails, the failure is ignored.
pub fn complain(name: &str, error: &(dyn Error + 'static)) {
    let _ = writeln!(io::stderr(), "{name}: {}", causes(error));
}
