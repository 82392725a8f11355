//! The certificate service of a central system.

mod audit;
mod backup;
mod commands;
mod ledger;
mod listing;
mod stations;
mod text;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use csms::{Config, Server};
use program::{LogFormat, Output, causes, exit_code, start_log};

use crate::commands::{Outcome, Unserved};

/// The certificate service of a central system: CA key in a PKCS #11 token, stations over OCPP 1.6,
/// 2.0.1 and 2.1.
#[derive(clap::Parser)]
#[command(version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Arguments {
    /// The configuration file
    #[arg(long, short, global = true, default_value = "csms.toml")]
    config: PathBuf,
    /// The format of the log on standard error; RUST_LOG selects its entries
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
    /// Serve stations until SIGTERM or Ctrl-C
    Run {
        /// Append each frame to this file, one JSON object per line; it contains whole payloads
        #[arg(long)]
        frames: Option<PathBuf>,
    },
    /// Make the password_hash of a station from its password
    HashPassword {
        /// The file with the password; left out: standard input
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Issue the CSMS's own certificate again, for `tls.names`; the service does so by itself
    /// before it expires
    IssueServerCertificate,
    /// The record of what the authority has signed
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Copy the ledger into a new file; the service may run. A copy by `cp` lacks the content of
    /// the write-ahead log
    Backup {
        /// The file to create
        file: PathBuf,
    },
    /// Bring the schema of the ledger up to date; the service does so by itself for SQLite
    Migrate,
    /// The ledger's database
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// The stations that may connect, beside those of the configuration file
    #[command(subcommand)]
    Stations(stations::StationsCommand),
    /// Replace the ledger with a backup, while no service runs
    Restore(backup::RestoreArguments),
    #[command(flatten)]
    Operator(commands::OperatorCommand),
}

fn main() -> ExitCode {
    program::outlive_full_files();
    let arguments: Arguments = program::arguments();
    start_log(arguments.log);
    match run(arguments) {
        Ok(Outcome::NotAccepted) => ExitCode::from(EXIT_REFUSED),
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Err(error) => {
            let code = match error.downcast_ref() {
                Some(Unserved::Refused(_)) => Some(EXIT_REFUSED),
                Some(Unserved::NotConnected(_)) => Some(EXIT_NOT_CONNECTED),
                None => None,
            };
            let failed = exit_code("ocpp-csms", Err(error));
            code.map_or(failed, ExitCode::from)
        }
    }
}

fn run(arguments: Arguments) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done: Result<()> = match arguments.command {
        Command::Run { frames } => {
            let config = read_config(&arguments.config)?;
            raise_open_files();
            let metrics = csms::io::Metrics::install()?;
            runtime.block_on(async {
                let server = Server::bind(config, frames.as_deref()).await?;
                let server = server.with_config_file(arguments.config).with_metrics(metrics);
                say_where(server.url());
                Ok(server.serve(program::shutdown_signal()).await?)
            })
        }
        Command::HashPassword { file } => {
            let text = match &file {
                Some(path) => {
                    program::read_text(path).with_context(|| format!("cannot read {}", path.display()))?
                }
                None => std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?,
            };
            let mut out = Output::new();
            out.line(csms::io::hash_password(text.trim_end_matches(['\r', '\n']))?)?;
            Ok(out.finish()?)
        }
        Command::IssueServerCertificate => {
            let config = read_config(&arguments.config)?;
            let files = runtime.block_on(commands::issue_server_certificate(config))?;
            let mut out = Output::new();
            match arguments.json {
                true => out.json(serde_json::to_string(&files)?)?,
                false => {
                    files.iter().try_for_each(|file| out.line(format_args!("issued {}", file.display())))?
                }
            }
            Ok(out.finish()?)
        }
        Command::Audit(command) => {
            let config = read_config(&arguments.config)?;
            runtime.block_on(audit::run(&config.ledger.location(&config.directory), command, arguments.json))
        }
        Command::Migrate => {
            let config = read_config(&arguments.config)?;
            runtime.block_on(ledger::migrate(&config, arguments.json))
        }
        Command::Ledger(command) => {
            let config = read_config(&arguments.config)?;
            runtime.block_on(ledger::run(&config, command, arguments.json))
        }
        Command::Backup { file } => {
            let config = read_config(&arguments.config)?;
            runtime.block_on(backup::backup(&config, &file, arguments.json))
        }
        Command::Stations(command) => {
            let config = read_config(&arguments.config)?;
            runtime.block_on(stations::run(config, command, arguments.json))
        }
        Command::Restore(restore) => {
            let config = read_config(&arguments.config)?;
            runtime.block_on(backup::restore(&config, restore, arguments.json))
        }
        Command::Operator(command) => {
            let config = read_config(&arguments.config)?;
            return runtime.block_on(commands::run(&config.control_socket(), command, arguments.json));
        }
    };
    done.map(|()| Outcome::Done)
}

fn read_config(path: &Path) -> Result<Config> {
    let unreadable = || format!("cannot read {}; name the configuration with --config", path.display());
    match csms::io::read_config(path) {
        Err(csms::ServerError::File { source, .. }) => Err(source).with_context(unreadable),
        read => Ok(read?),
    }
}

/// Prints the address. The service also runs if standard output is not read.
fn say_where(url: &str) {
    let mut out = Output::new();
    if let Err(error) = out.line(format_args!("listening on {url}")).and_then(|()| out.finish()) {
        tracing::warn!(error = %causes(&error), "the address was not printed");
    }
}

/// One file for each station, and some for the database.
fn raise_open_files() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "open files"),
        Err(error) => tracing::warn!(error = %causes(&error), "the limit of open files stays as it is"),
    }
}

/// The station's answer was not `Accepted`.
const EXIT_REFUSED: u8 = 3;

/// The station is not connected.
const EXIT_NOT_CONNECTED: u8 = 4;

const EXIT_CODES: &str = "\
Exit codes: 0 done, and accepted by the station that was asked; 1 failed; 2 wrong usage; 3 the station refused (Rejected,
Failed, NotFound, NotImplemented, or an error of OCPP); 4 the station is not connected. `inventory` and `call` print the
station's response whatever it says, and end with 0.";
