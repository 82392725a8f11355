//! `hsm`: makes tokens, keys and certificates ready for a station or a CSMS.
//!
//! A thin shell over the library. PINs come from files, the environment or the URI's pin-source, never from arguments,
//! which every user of the machine can read.

mod arguments;
mod certificates;
mod keys;
mod output;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use crate::{
    arguments::{Arguments, Command},
    output::Report,
};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let form = arguments.form();
    // The token is closed when `run` has returned: a process that ends while a thread signs may crash.
    match run(arguments) {
        Ok(report) => {
            report.print(form);
            ExitCode::SUCCESS
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
        Command::Destroy(destroy) => keys::destroy(module, &destroy),
        Command::Csr(csr) => certificates::csr(module, &csr),
        Command::Root(root) => certificates::root(module, &root),
        Command::ServerCert(server) => certificates::server(module, &server),
    }
}
