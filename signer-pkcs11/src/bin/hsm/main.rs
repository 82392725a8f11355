//! `hsm`: prepares tokens, keys and certificates for a station or a CSMS.
//!
//! A thin shell over the library. PINs come from files, the environment or the URI's pin-source,
//! never from arguments, which every user of the machine can read.

mod access;
mod arguments;
mod certificates;
mod clock;
mod examples;
mod files;
mod key_arguments;
mod keys;
mod output;
mod profiles;
mod progress;
mod records;
mod selftest;

use std::{path::Path, process::ExitCode, time::SystemTime};

use anyhow::{Context as _, Result};
use program::{causes, exit_code};

use crate::{
    arguments::{Arguments, Audit, Command},
    output::Report,
};

fn main() -> ExitCode {
    program::outlive_full_files();
    let arguments: Arguments = program::arguments();
    // A command prints its report. The log of the library is printed only if RUST_LOG is set.
    if std::env::var_os("RUST_LOG").is_some_and(|filter| !filter.is_empty()) {
        program::start_log(program::LogFormat::Human);
    }
    let form = arguments.form();
    let transcript = arguments.transcript.clone();
    // The token is closed before the process ends: a process that ends while a thread signs may
    // crash.
    let ran = run(arguments);
    let transcribed = match &transcript {
        Some(path) => append_transcript(path, &ran),
        None => Ok(()),
    };
    match ran.and_then(|report| transcribed.map(|()| report)) {
        Ok(report) => {
            let printed = exit_code("hsm", report.print(form).map_err(anyhow::Error::from));
            if report.has_failed() { ExitCode::FAILURE } else { printed }
        }
        Err(error) => {
            output::print_error(&error, form);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<Report> {
    let module = arguments.module;
    match arguments.command {
        Command::Init(init) => keys::init(module, &init),
        Command::Keygen(keygen) => keys::generate(module, &keygen),
        Command::Tokens => keys::tokens(module),
        Command::List(list) => keys::list(module, &list),
        Command::Selftest(selftest) => selftest::run(module, &selftest),
        Command::Destroy(destroy) => keys::destroy(module, &destroy),
        Command::Csr(csr) => certificates::csr(module, &csr),
        Command::Root(root) => certificates::root(module, &root),
        Command::SubCa(sub) => certificates::sub_authority(module, &sub),
        Command::ServerCert(server) => certificates::server(module, &server),
        Command::Revoke(revoke) => records::revoke(&revoke),
        Command::Crl(crl) => records::crl(module, &crl),
        Command::Audit(Audit::Verify(verify)) => records::verify(&verify),
    }
}

/// Appends the time, the command line and the outcome to the transcript.
fn append_transcript(path: &Path, ran: &Result<Report>) -> Result<()> {
    let at = output::utc(SystemTime::now());
    // Words that are not UTF-8 are written as far as they can be read: a key may have been
    // generated.
    let words: Vec<_> =
        std::env::args_os().skip(1).map(|word| output::transcribed(&word.to_string_lossy())).collect();
    let outcome = match ran {
        Ok(report) => report.text(),
        Err(error) => format!("Failed: {}\n", causes(error.as_ref())),
    };
    let version = env!("CARGO_PKG_VERSION");
    let text = format!("[{at}, hsm {version}] hsm {}\n{outcome}\n", words.join(" "));
    files::append(path, &text).with_context(|| format!("cannot write the transcript {}", path.display()))
}
