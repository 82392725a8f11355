//! `hsm`: makes tokens, keys and certificates ready for a station or a CSMS.
//!
//! A thin shell over the library. PINs come from files, the environment or the URI's pin-source, never from arguments,
//! which every user of the machine can read.

mod access;
mod arguments;
mod certificates;
mod examples;
mod files;
mod keys;
mod output;
mod progress;
mod records;
mod wishes;

use std::{path::Path, process::ExitCode, time::SystemTime};

use anyhow::{Context as _, Result};
use clap::Parser as _;

use crate::{
    arguments::{Arguments, Audit, Command},
    output::Report,
};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let form = arguments.form();
    let transcript = arguments.transcript.clone();
    // The token is closed when `run` has returned: a process that ends while a thread signs may crash.
    let ran = run(arguments);
    let told = match &transcript {
        Some(path) => write_down(path, &ran),
        None => Ok(()),
    };
    match ran.and_then(|report| told.map(|()| report)) {
        Ok(report) => {
            report.print(form);
            if report.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
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
        Command::List(list) => keys::list(module, &list),
        Command::Selftest(selftest) => keys::selftest(module, &selftest),
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

/// Appends to the transcript when, by which words, and with what outcome.
fn write_down(path: &Path, ran: &Result<Report>) -> Result<()> {
    let at = output::utc(SystemTime::now());
    // Of words that are not UTF-8 what can be read: a key may have been made.
    let words: Vec<_> =
        std::env::args_os().skip(1).map(|word| output::transcribed(&word.to_string_lossy())).collect();
    let outcome = match ran {
        Ok(report) => report.text(),
        Err(error) => format!("Failed: {error:#}\n"),
    };
    let version = env!("CARGO_PKG_VERSION");
    let text = format!("[{at}, hsm {version}] hsm {}\n{outcome}\n", words.join(" "));
    files::append(path, &text).with_context(|| format!("cannot write the transcript {}", path.display()))
}
