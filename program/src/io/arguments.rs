//! The command line of a program.

use std::process;

use clap::Parser;

use crate::io::{
    exit::complain,
    output::{OutputError, is_closed},
};

/// The arguments of this process.
///
/// Ends the process if the arguments are wrong (exit code 2), or if they request the help or the
/// version, like [`Parser::parse`]. `Parser::parse` reports success even if the text could not be
/// written. Here that is exit code 1, unless the reader of standard output has closed it.
#[must_use]
pub fn arguments<A: Parser>() -> A {
    let error = match A::try_parse() {
        Ok(arguments) => return arguments,
        Err(error) => error,
    };
    let code = match error.print().map_err(OutputError) {
        Err(unwritten) if !error.use_stderr() && !is_closed(&unwritten) => {
            complain(A::command().get_name(), &unwritten);
            1
        }
        _ => error.exit_code(),
    };
    process::exit(code)
}
