//! What an operator asks of the running service.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use csms::control::{ControlReply, ControlRequest, IssuedCertificate, Reloaded, Secret, Status};
use ocpp_types::{
    BoundedString,
    v201::{
        CertificateHashDataType, DeleteCertificateRequest, GetInstalledCertificateIdsRequest,
        GetInstalledCertificateIdsResponse, InstallCertificateRequest, InstallCertificateUseEnumType,
        MessageTriggerEnumType, TriggerMessageRequest,
    },
};
use ocpp_types::{Request, encode};
use serde_json::{Value, value::RawValue};

/// Commands to the running service.
#[derive(clap::Subcommand)]
pub(crate) enum OperatorCommand {
    /// Show where the service listens and which stations are connected
    Status,
    /// Ask a station for a message, such as SignChargingStationCertificate
    Trigger {
        /// The station's identity
        station: String,
        /// The message, spelled as OCPP spells it
        message: MessageTriggerEnumType,
    },
    /// Install a root certificate on a station
    Install {
        /// The station's identity
        station: String,
        /// CSMSRootCertificate, ManufacturerRootCertificate, V2GRootCertificate or MORootCertificate
        certificate_type: InstallCertificateUseEnumType,
        /// The certificate, PEM
        file: PathBuf,
    },
    /// List the certificates that are installed on a station
    Inventory {
        /// The station's identity
        station: String,
    },
    /// Delete a certificate from a station
    Delete {
        /// The station's identity
        station: String,
        /// The hash data, as `inventory --json` or `ocpp-station hash-data` prints it
        #[arg(long)]
        hash_data: String,
    },
    /// Send a station a request by its action and payload, such as Reset '{"type": "OnIdle"}'
    Call {
        /// The station's identity
        station: String,
        /// The action
        action: String,
        /// The payload, JSON
        payload: String,
    },
    /// Give a station a new password over its connection; the old one is not accepted any more
    SetPassword {
        /// The station's identity
        station: String,
        /// The file with the password; left out: random characters that nobody gets to see
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Read the configuration again, with certificates, revocation lists and stations, as SIGHUP does
    Reload,
    /// List the certificates that were issued, newest first
    Certificates,
    /// Print what was counted since the start, in the text format of Prometheus
    Metrics,
    /// Let a station enrol anew with its password although it has used a certificate (a replaced controller)
    Release {
        /// The station's identity
        station: String,
    },
}

/// Sends the command to the service behind `socket` and prints what it brings.
pub(crate) async fn run(socket: &Path, command: OperatorCommand, json: bool) -> Result<()> {
    let request = request(&command)?;
    let value = match csms::io::send(socket, &request).await? {
        ControlReply::Done(value) => value,
        ControlReply::Failed(reason) => bail!("{reason}"),
        _ => bail!("the service replied in a way that this version does not know"),
    };
    if json {
        println!("{value}");
        return Ok(());
    }
    match command {
        OperatorCommand::Status => print_status(&serde_json::from_str(value.get())?),
        OperatorCommand::Certificates => print_certificates(&serde_json::from_str::<Vec<_>>(value.get())?),
        OperatorCommand::Inventory { .. } => print_inventory(&ocpp_types::decode(value.get())?),
        OperatorCommand::Release { station } => {
            println!("{station} may connect on security profile 2 again.")
        }
        OperatorCommand::Call { .. } => println!("{value}"),
        OperatorCommand::Metrics => print!("{}", serde_json::from_str::<String>(value.get())?),
        OperatorCommand::SetPassword { station, .. } => println!("{station} has a new password."),
        OperatorCommand::Reload => {
            let reloaded: Reloaded = serde_json::from_str(value.get())?;
            println!("read again; connections closed: {}", reloaded.closed.join(", "));
        }
        _ => print_answer(&serde_json::from_str(value.get())?),
    }
    Ok(())
}

fn request(command: &OperatorCommand) -> Result<ControlRequest> {
    Ok(match command {
        OperatorCommand::Status => ControlRequest::Status,
        OperatorCommand::Call { station, action, payload } => {
            let payload = RawValue::from_string(payload.clone()).context("the payload is no JSON")?;
            ControlRequest::Call { station: station.clone(), action: action.clone(), payload }
        }
        OperatorCommand::SetPassword { station, file } => {
            let read = |path: &PathBuf| {
                let text = fs::read_to_string(path);
                let text = text.with_context(|| format!("cannot read {}", path.display()))?;
                anyhow::Ok(Secret(text.trim_end_matches(['\r', '\n']).to_owned()))
            };
            let password = file.as_ref().map(read).transpose()?;
            ControlRequest::SetPassword { station: station.clone(), password }
        }
        OperatorCommand::Reload => ControlRequest::Reload,
        OperatorCommand::Certificates => ControlRequest::Certificates,
        OperatorCommand::Metrics => ControlRequest::Metrics,
        OperatorCommand::Release { station } => ControlRequest::Release { station: station.clone() },
        OperatorCommand::Trigger { station, message } => {
            call(station, &TriggerMessageRequest::new(*message))?
        }
        OperatorCommand::Install { station, certificate_type, file } => {
            let pem = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            let pem =
                BoundedString::try_from(pem).with_context(|| format!("{} is too long", file.display()))?;
            call(station, &InstallCertificateRequest::new(*certificate_type, pem))?
        }
        OperatorCommand::Inventory { station } => call(station, &GetInstalledCertificateIdsRequest::new())?,
        OperatorCommand::Delete { station, hash_data } => {
            let data: CertificateHashDataType =
                ocpp_types::decode(hash_data).context("--hash-data is not valid")?;
            call(station, &DeleteCertificateRequest::new(data))?
        }
    })
}

fn call<R: Request>(station: &str, request: &R) -> Result<ControlRequest> {
    let payload = RawValue::from_string(encode(request)?)?;
    Ok(ControlRequest::Call { station: station.to_owned(), action: R::ACTION.to_owned(), payload })
}

fn print_status(status: &Status) {
    println!("listening on {}", status.url);
    for station in &status.stations {
        let certificate = match &station.certificate_serial_number {
            Some(serial_number) => format!("certificate {serial_number}"),
            None => "password".to_owned(),
        };
        let booted = if station.booted { "booted" } else { "not booted" };
        println!(
            "{:<24} {:<9}  profile {}  {certificate}  {booted}",
            station.identity, station.subprotocol, station.security_profile
        );
    }
    println!("{} connected", status.stations.len());
}

fn print_certificates(certificates: &[IssuedCertificate]) {
    for certificate in certificates {
        let reason = certificate.reason.as_deref().unwrap_or_default();
        println!(
            "{:<40}  {:<24}  {} {reason}",
            certificate.serial_number, certificate.station, certificate.state
        );
    }
    println!("{} issued", certificates.len());
}

fn print_inventory(inventory: &GetInstalledCertificateIdsResponse) {
    for chain in inventory.certificate_hash_data_chain.iter().flat_map(|chains| chains.iter()) {
        let data = &chain.certificate_hash_data;
        println!("{:<28} serial number {}", chain.certificate_type.as_str(), data.serial_number);
    }
    println!("{}", inventory.status);
}

fn print_answer(answer: &Value) {
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
    let reason = text("/statusInfo/reasonCode").map(|code| format!(" ({code})")).unwrap_or_default();
    println!("{}{reason}", text("/status").unwrap_or("answered"));
}
