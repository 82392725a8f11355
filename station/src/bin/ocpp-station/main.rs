//! A charging station's certificate agent.

mod agent;
mod events;
mod factory;
mod inventory;
mod renew;
mod run;
mod status;
mod text;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, error::ErrorKind};
use program::{LogFormat, exit_code, start_log};
use station::Config;

/// A charging station's certificate agent: keys in a PKCS #11 token, certificates over OCPP.
#[derive(clap::Parser)]
#[command(version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Arguments {
    /// The configuration file
    #[arg(long, short, global = true, default_value = "station.toml")]
    config: PathBuf,
    /// The format of the log on standard error; RUST_LOG selects what is logged
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human)]
    log: LogFormat,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Connect to the CSMS and stay connected until SIGTERM or Ctrl-C
    Run(run::Run),
    /// Install the first CSMS root, as the factory or the installer does
    #[command(after_help = "Example:\n  ocpp-station provision --csms-root root.pem")]
    Provision(factory::Provision),
    /// Show what is installed, the station's own certificates and the requests that wait
    #[command(after_help = inventory::EXAMPLES)]
    Inventory,
    /// Make the running agent ask the CSMS for a new certificate
    #[command(after_help = renew::EXAMPLES)]
    Renew(renew::Renew),
    /// Show the connection of the running agent and what it will do next
    #[command(after_help = "Example:\n  ocpp-station status --json | jq .link.up.security_profile")]
    Status,
    /// Show the security log (A04), oldest first; may be run beside the agent
    #[command(after_help = "Example:\n  ocpp-station events --json | jq 'select(.critical)'")]
    Events,
    /// Print the certificate hash data of a certificate file; needs no configuration
    #[command(after_help = "Example:\n  ocpp-station hash-data sub-ca.pem --issuer root.pem")]
    HashData(factory::HashData),
}

fn main() -> ExitCode {
    program::outlive_full_files();
    let arguments: Arguments = program::arguments();
    if let Command::Renew(renew) = &arguments.command
        && let Err(conflict) = renew.check()
    {
        Arguments::command().error(ErrorKind::ArgumentConflict, conflict).exit();
    }
    start_log(arguments.log);
    keep_quiet_about_damage();
    exit_code("ocpp-station", run(arguments))
}

fn run(arguments: Arguments) -> Result<()> {
    let Arguments { config: path, json, command, .. } = arguments;
    let config = || read_config(&path);
    match command {
        Command::Run(run) => run.run(config()?),
        Command::Provision(provision) => provision.run(&config()?, &path, json),
        Command::Inventory => inventory::run(&config()?, json),
        Command::Renew(renew) => renew.run(&config()?, json),
        Command::Status => status::run(&config()?, json),
        Command::Events => events::run(&config()?, json),
        Command::HashData(hash_data) => hash_data.run(),
    }
}

fn read_config(path: &Path) -> Result<Config> {
    let text = program::read_text(path)
        .with_context(|| format!("cannot read {}; name the configuration with --config", path.display()))?;
    let config = Config::parse(&text).with_context(|| format!("{} cannot be used", path.display()))?;
    let folder = path.canonicalize()?;
    Ok(config.relative_to(folder.parent().unwrap_or(&folder)))
}

/// A damaged store makes its database panic. The panic becomes an error that reports the damage.
fn keep_quiet_about_damage() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !station_store::is_catching_panic() {
            print(panic);
        }
    }));
}

const EXAMPLES: &str = "\
Examples:
  ocpp-station provision --csms-root root.pem     once, at the factory
  ocpp-station run                                from then on, as a service
  ocpp-station status                             is it connected, and with what?
  ocpp-station inventory                          which certificates are there, and until when?
  ocpp-station renew --wait                       a new certificate for the connection, now
  ocpp-station events                             what has happened?

Exit codes: 0 done, 1 failed, 2 wrong usage. inventory, renew, status and events work while the agent is
running; provision needs it to be stopped.";
