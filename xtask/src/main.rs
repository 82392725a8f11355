//! Drives the workspace. `cargo xtask --help` lists what it can do.

mod bench;
mod demo;
mod fuzz;
mod node;
mod python;
mod regen;
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
    /// Run every test, with SoftHSM and Python's `ocpp` provided
    Test(test::TestArguments),
    /// Measure what is promised, beside what others do
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Run fuzz targets for a while, each on its committed corpus first
    Fuzz(fuzz::FuzzArguments),
    /// Kill the real station at random instants, again and again, and hold it to what it has answered
    Soak(soak::SoakArguments),
    /// Find SoftHSM or unpack it into the target folder
    Softhsm(softhsm::SofthsmArguments),
    /// Generate the message types from `schemas/` (or the folder in OCPP_SCHEMAS), or check that they are what the schemas give
    Regen(regen::RegenArguments),
    /// Make `schemas/` from an official download, or hold it against one
    #[command(subcommand)]
    Schemas(schemas::SchemasCommand),
    /// Check the rules of the architecture that no compiler knows
    Tidy,
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
        Command::Bench(command) => bench::run_command(&command),
        Command::Fuzz(arguments) => fuzz::run_command(&arguments),
        Command::Soak(arguments) => soak::run_command(&arguments),
        Command::Softhsm(arguments) => softhsm::run_command(&arguments),
        Command::Regen(arguments) => regen::run(arguments),
        Command::Schemas(command) => schemas::run(command),
        Command::Tidy => tidy::run_command(),
    }
}
