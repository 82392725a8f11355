//! The command line of a program.

use std::process;

use clap::Parser;

use crate::io::{
    exit::complain,
    output::{OutputError, is_closed},
};

/// The arguments of this process.
///
/// It ends the process where they are not understood (exit code 2), or where they ask for the help
/// or the version, as [`Parser::parse`] does. That one reports success also where the text could
/// not be written; here that is exit code 1, except where the reader has gone.
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
