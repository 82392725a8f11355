//! Runs the tasks of the workspace. `cargo xtask --help` lists them.

mod bench;
mod book;
mod demo;
mod fuzz;
mod node;
mod python;
mod regen;
mod requirements;
mod schemas;
mod soak;
mod softhsm;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::Parser as _;

/// Drives the workspace: generates the types, shows the whole road, runs the tests.
#[derive(clap::Parser)]
#[command(bin_name = "cargo xtask", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show a station and a CSMS on real tokens: certificate signed, installed, listed, deleted
    Demo(demo::DemoArguments),
    /// Run every test, with SoftHSM and the peers in Python and JavaScript provided
    Test(test::TestArguments),
    /// List what the commands need from the system, or install what is missing
    Requirements(requirements::RequirementsArguments),
    /// Check the links and commands of the documentation and build the book in docs/
    Book(book::BookArguments),
    /// Measure the promised figures, and compare them with those of other software
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Run fuzz targets for a while, each on its committed corpus first
    Fuzz(fuzz::FuzzArguments),
    /// Kill the real station at random instants and check that its state matches its answers
    Soak(soak::SoakArguments),
    /// Find SoftHSM or unpack it into the target folder
    Softhsm(softhsm::SofthsmArguments),
    /// Generate the message types from `schemas/` or the folder in OCPP_SCHEMAS, or check them
    Regen(regen::RegenArguments),
    /// Make `schemas/` from an official download, or compare it with one
    #[command(subcommand)]
    Schemas(schemas::SchemasCommand),
    /// Check the rules of the architecture and of the style that no compiler knows
    Tidy(tidy::TidyArguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(arguments) => demo::run_command(&arguments),
        Command::Test(arguments) => test::run_command(&arguments),
        Command::Requirements(arguments) => requirements::run_command(&arguments),
        Command::Book(arguments) => book::run_command(&arguments),
        Command::Bench(command) => bench::run_command(&command),
        Command::Fuzz(arguments) => fuzz::run_command(&arguments),
        Command::Soak(arguments) => soak::run_command(&arguments),
        Command::Softhsm(arguments) => softhsm::run_command(&arguments),
        Command::Regen(arguments) => regen::run(arguments),
        Command::Schemas(command) => schemas::run(command),
        Command::Tidy(arguments) => tidy::run_command(&arguments),
    }
}
