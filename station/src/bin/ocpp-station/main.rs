//! A charging station's certificate agent.

use std::{
    fs,
    io::IsTerminal as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use ocpp_types::v201::{
    CertificateHashDataType, GetInstalledCertificateIdsRequest, HashAlgorithmEnumType,
    InstallCertificateUseEnumType,
};
use station::{Agent, BootReason, Config, Ended, io::security_log};
use station_store::{Certificate, CertificateId};

/// A charging station's certificate agent: keys in a PKCS #11 token, certificates over OCPP 2.0.1.
#[derive(clap::Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    /// The configuration file
    #[arg(long, short, global = true, default_value = "station.toml")]
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
    /// Connect to the CSMS and stay connected until SIGTERM or Ctrl-C
    Run {
        /// Append every frame to this file, one JSON object a line; it holds whole payloads
        #[arg(long)]
        frames: Option<PathBuf>,
        /// Set by the program itself when the CSMS resets the station
        #[arg(long, hide = true)]
        after_reset: bool,
    },
    /// Install the first CSMS root, as the factory or the installer does
    Provision {
        /// The root certificate, PEM
        #[arg(long)]
        csms_root: PathBuf,
    },
    /// Show the installed certificates and the station's own; stop the running agent first
    Inventory,
    /// Show the security log (A04), oldest first; may be run beside the agent
    Events,
    /// Print the certificate hash data of a certificate file; needs no configuration
    HashData {
        /// The certificate, PEM; the first one where the file holds a chain
        certificate: PathBuf,
        /// The certificate of its issuer; left out for a root
        #[arg(long)]
        issuer: Option<PathBuf>,
        /// SHA256, SHA384 or SHA512
        #[arg(long, default_value = "SHA256")]
        algorithm: HashAlgorithmEnumType,
    },
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
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ocpp-station: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let config = || read_config(&arguments.config);
    match &arguments.command {
        Command::Run { frames, after_reset } => {
            let mut agent = Agent::open(config()?, frames.as_deref())?;
            if *after_reset {
                agent = agent.with_boot_reason(BootReason::RemoteReset);
            }
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            match runtime.block_on(agent.run(station::io::shutdown_signal())) {
                Ended::Shutdown => Ok(()),
                Ended::Reset => Err(start_anew(*after_reset)),
            }
        }
        Command::Provision { csms_root } => {
            let pem = fs::read_to_string(csms_root)
                .with_context(|| format!("cannot read {}", csms_root.display()))?;
            let store = station::io::open_store(&config()?)?;
            let hash = store.provision_root(
                InstallCertificateUseEnumType::CSMSRootCertificate,
                &pem,
                SystemTime::now(),
            )?;
            if arguments.json {
                println!("{}", serde_json::json!({ "serialNumber": hash.serial_number.as_str() }));
            } else {
                println!("Installed the CSMS root with serial number {}.", hash.serial_number.as_str());
                println!("Next: ocpp-station --config {} run", arguments.config.display());
            }
            Ok(())
        }
        Command::Inventory => inventory(&config()?, arguments.json),
        Command::Events => events(&config()?, arguments.json),
        Command::HashData { certificate, issuer, algorithm } => {
            let certificate = first_certificate(certificate)?;
            let issuer = issuer.as_deref().map(first_certificate).transpose()?;
            let issuer_key = issuer.as_ref().unwrap_or(&certificate).public_key();
            let hash = CertificateId::new(&certificate, issuer_key).hash((*algorithm).into());
            println!("{}", ocpp_types::encode(&CertificateHashDataType::from(hash))?);
            Ok(())
        }
    }
}

/// Replaces this process by a new one of the same program, so that nothing of before is left. Returns only if that fails.
fn start_anew(again: bool) -> anyhow::Error {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error.into(),
    };
    let mut command = std::process::Command::new(program);
    command.args(std::env::args_os().skip(1));
    if !again {
        command.arg("--after-reset");
    }
    anyhow::Error::new(command.exec()).context("the station cannot start anew; start it by hand")
}

fn inventory(config: &Config, json: bool) -> Result<()> {
    let store = station::io::open_store(config)?;
    let listed = store.installed_certificate_ids(&GetInstalledCertificateIdsRequest::new());
    if json {
        println!("{}", ocpp_types::encode(&listed)?);
        return Ok(());
    }
    for chain in listed.certificate_hash_data_chain.iter().flat_map(|chains| chains.iter()) {
        let data = &chain.certificate_hash_data;
        println!("{:<28} serial number {}", chain.certificate_type.as_str(), data.serial_number);
    }
    for own in store.own_certificates() {
        println!(
            "{:<28} {} certificates, key {}",
            format!("own ({:?})", own.state),
            own.chain.len(),
            own.key_uri
        );
    }
    for pending in store.pending() {
        println!("{:<28} key {}", "waiting for a certificate", pending.key_uri);
    }
    Ok(())
}

fn events(config: &Config, json: bool) -> Result<()> {
    let folder = &config.directory;
    let events =
        security_log(folder).with_context(|| format!("cannot read the log in {}", folder.display()))?;
    if events.is_empty() && !json {
        println!("Nothing has happened yet; the agent writes the log: ocpp-station run");
    }
    for event in events {
        if json {
            println!("{}", serde_json::to_string(&event)?);
        } else {
            let severity = if event.critical { "reported" } else { "logged" };
            println!("{}  {severity:<8}  {:<35}  {}", event.time, event.event, event.info);
        }
    }
    Ok(())
}

fn first_certificate(path: &Path) -> Result<Certificate> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let chain = Certificate::chain_from_pem(&text, LONGEST_CHAIN);
    let chain = chain.with_context(|| format!("{} holds no certificate", path.display()))?;
    chain.into_iter().next().with_context(|| format!("{} holds no certificate", path.display()))
}

fn read_config(path: &PathBuf) -> Result<Config> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read {}; name the configuration with --config", path.display()))?;
    let config = Config::parse(&text).with_context(|| format!("{} cannot be used", path.display()))?;
    let folder = path.canonicalize()?;
    Ok(config.relative_to(folder.parent().unwrap_or(&folder)))
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

/// Certificates that are read of one file.
const LONGEST_CHAIN: usize = 16;
