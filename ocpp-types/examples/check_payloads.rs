//! Checks payloads, one JSON line each. For each line it prints the decoded payload or the reason
//! for the refusal.
//!
//! ```sh
//! cargo run --package ocpp-types --example check_payloads < payloads.jsonl
//! ```

#[path = "check_payloads/answer.rs"]
mod answer;
#[path = "check_payloads/lines.rs"]
mod lines;
#[path = "check_payloads/messages.rs"]
mod messages;

use std::{
    env,
    io::{self, BufReader, BufWriter, Write as _},
    process::ExitCode,
};

use lines::Line;

const HELP: &str = r#"Checks payloads of OCPP against the schemas of their version.

Usage: check_payloads < payloads.jsonl

Reads lines such as
  {"version":"2.0.1","message":"DeleteCertificateRequest","payload":{"certificateHashData":{...}}}
and prints for each line, in the same order, either the payload as this crate writes it
  {"ok":true,"payload":{...}}
or why it was refused
  {"ok":false,"code":"PropertyConstraintViolation","pointer":"/certificateHashData/serialNumber","error":"..."}

version  1.6, 2.0.1 or 2.1, as far as the features v16, v201 and v21 are on
message  the name of the message: the action with Request or Response behind it; what is never
         answered (SEND), and a request of 1.6, may have the action's name alone
code     the code of the CALLERROR with which the version answers such a payload, in its spelling, or
           FormatViolation  the line is not JSON
           InvalidLine      the line is JSON, but does not have these three members
           LineTooLong      the line has more than 4 MiB
           UnknownVersion   there is no such version, or its feature is off
           UnknownMessage   the version has no such message
pointer  the place of the fault in the payload (RFC 6901)

Ends with 0 when all lines were answered, whatever the answers; 1 when reading or writing failed.

Options:
  -h, --help  Print this
"#;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => {}
        [help] if help == "-h" || help == "--help" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("check_payloads takes no arguments; lines come from the standard input (see --help)");
            return ExitCode::from(2);
        }
    }
    match check_all() {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output has ended.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("check_payloads: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check_all() -> io::Result<()> {
    let mut input = BufReader::new(io::stdin().lock());
    let mut output = BufWriter::new(io::stdout().lock());
    while let Some(line) = lines::next(&mut input)? {
        let answer = match line {
            Line::Whole(bytes) => answer::answer(&bytes),
            Line::TooLong => answer::too_long(),
        };
        writeln!(output, "{answer}")?;
        // A caller that sends one line and waits gets its answer at once. For a file the output is
        // buffered.
        if input.buffer().is_empty() {
            output.flush()?;
        }
    }
    output.flush()
}
