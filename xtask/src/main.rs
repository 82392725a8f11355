//! Drives the workspace. `cargo xtask --help` lists what it can do.

mod demo;
mod python;
mod softhsm;
mod test;
mod tidy;
mod workspace;

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
    /// Find SoftHSM or unpack it into the target folder
    Softhsm(softhsm::SofthsmArguments),
    /// Check the rules of the architecture that no compiler knows
    Tidy,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Demo(arguments) => demo::run_command(&arguments),
        Command::Test(arguments) => test::run_command(&arguments),
        Command::Softhsm(arguments) => softhsm::run_command(&arguments),
        Command::Tidy => tidy::run_command(),
    }
}
