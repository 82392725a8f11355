//! A central system's certificate service.

mod audit;
mod commands;
mod text;

use std::{
    fs,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use csms::{Config, Server};

/// A central system's certificate service: CA key in a PKCS #11 token, stations over OCPP 1.6, 2.0.1 and 2.1.
#[derive(clap::Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    /// The configuration file
    #[arg(long, short, global = true, default_value = "csms.toml")]
    config: PathBuf,
    /// How to write the log, to standard error; RUST_LOG chooses what
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
        /// Append every frame to this file, one JSON object a line; it holds whole payloads
        #[arg(long)]
        frames: Option<PathBuf>,
    },
    /// Make the password_hash of a station from its password
    HashPassword {
        /// The file with the password; standard input where it is left out
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Issue the CSMS's own certificate anew, for `tls.names`; the service does so by itself in time
    IssueServerCertificate,
    /// The record of what the authority has signed
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    #[command(flatten)]
    Operator(commands::OperatorCommand),
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum LogFormat {
    /// For people
    Human,
    /// One JSON object a line
    Json,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_log(arguments.log);
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ocpp-csms: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.command {
        Command::Run { frames } => {
            let config = read_config(&arguments.config)?;
            raise_open_files();
            let metrics = csms::io::Metrics::install()?;
            runtime.block_on(async {
                let server = Server::bind(config, frames.as_deref()).await?;
                let server = server.with_config_file(arguments.config).with_metrics(metrics);
                println!("listening on {}", server.url());
                server.serve(csms::io::shutdown_signal()).await;
                Ok(())
            })
        }
        Command::HashPassword { file } => {
            let text = match &file {
                Some(path) => {
                    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
                }
                None => std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?,
            };
            println!("{}", csms::io::hash_password(text.trim_end_matches(['\r', '\n']))?);
            Ok(())
        }
        Command::IssueServerCertificate => {
            let config = read_config(&arguments.config)?;
            let files = runtime.block_on(commands::issue_server_certificate(config))?;
            match arguments.json {
                true => println!("{}", serde_json::to_string(&files)?),
                false => files.iter().for_each(|file| println!("issued {}", file.display())),
            }
            Ok(())
        }
        Command::Audit(command) => {
            let config = read_config(&arguments.config)?;
            runtime.block_on(audit::run(&config.ledger_file(), command, arguments.json))
        }
        Command::Operator(command) => {
            let config = read_config(&arguments.config)?;
            runtime.block_on(commands::run(&config.control_socket(), command, arguments.json))
        }
    }
}

fn read_config(path: &Path) -> Result<Config> {
    let unreadable = || format!("cannot read {}; name the configuration with --config", path.display());
    match csms::io::read_config(path) {
        Err(csms::ServerError::File { source, .. }) => Err(source).with_context(unreadable),
        read => Ok(read?),
    }
}

/// One file for each station, and some for the database.
fn raise_open_files() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
    }
}

fn start_log(format: LogFormat) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(std::io::stderr)
        // What tells of a line that could not be written panics where that cannot be written either: on a full disk.
        .log_internal_errors(false);
    match format {
        LogFormat::Human => log.init(),
        LogFormat::Json => log.json().init(),
    }
}
