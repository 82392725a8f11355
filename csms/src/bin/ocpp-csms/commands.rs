//! What an operator asks of the running service.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use csms::{
    Config,
    control::{
        ControlReply, ControlRequest, IssuedCertificate, Reloaded, Revoked, Secret, SignedList, Status,
        WaitingRequest,
    },
    io::ControlError,
};
use ocpp_types::v201::CertificateHashDataType;
use serde_json::{Value, value::RawValue};
use signer_pkcs11::RevocationReason;

/// Commands to the running service.
#[derive(clap::Subcommand)]
pub(crate) enum OperatorCommand {
    /// Show where the service listens and which stations are connected
    Status,
    /// Ask a station for a message, such as SignChargingStationCertificate
    Trigger {
        /// The station's identity
        station: String,
        /// The message, spelled as OCPP spells it, in the version of the station or another
        message: String,
    },
    /// Install a root certificate on a station
    Install {
        /// The station's identity
        station: String,
        /// CSMSRootCertificate, ManufacturerRootCertificate, V2GRootCertificate, MORootCertificate or
        /// OEMRootCertificate, where the station's version has it
        certificate_type: String,
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
    /// Revoke a certificate: on record, on the list of revoked certificates, and on the connections of this service
    #[command(group(clap::ArgGroup::new("which").required(true)))]
    Revoke {
        /// The certificate's serial number, hexadecimal, as `certificates` lists it
        #[arg(long, group = "which")]
        serial: Option<String>,
        /// A station's identity: all its certificates that are valid
        #[arg(long, group = "which")]
        station: Option<String>,
        /// unspecified, key-compromise, affiliation-changed, superseded or cessation-of-operation
        #[arg(long, default_value = "unspecified")]
        reason: RevocationReason,
    },
    /// Sign the lists of revoked certificates anew and print them, PEM; the service does so by itself in time
    Crl,
    /// List the requests that wait for another authority, or have failed there, newest first
    Requests,
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
        OperatorCommand::Inventory { .. } => print_inventory(&serde_json::from_str(value.get())?),
        OperatorCommand::Release { station } => {
            println!("{station} may connect on security profile 2 again.")
        }
        OperatorCommand::Call { .. } => println!("{value}"),
        OperatorCommand::Metrics => print!("{}", serde_json::from_str::<String>(value.get())?),
        OperatorCommand::SetPassword { station, .. } => println!("{station} has a new password."),
        OperatorCommand::Revoke { .. } => print_revoked(&serde_json::from_str(value.get())?),
        OperatorCommand::Crl => {
            for list in serde_json::from_str::<Vec<SignedList>>(value.get())? {
                println!("# {}: number {}, {} revoked", list.file, list.number, list.revoked);
                print!("{}", list.pem);
            }
        }
        OperatorCommand::Requests => print_requests(&serde_json::from_str::<Vec<_>>(value.get())?),
        OperatorCommand::Reload => {
            let reloaded: Reloaded = serde_json::from_str(value.get())?;
            println!("read again; connections closed: {}", reloaded.closed.join(", "));
        }
        _ => print_answer(&serde_json::from_str(value.get())?),
    }
    Ok(())
}

/// Has the running service issue its own certificate, or issues it where none runs. Returns the files.
pub(crate) async fn issue_server_certificate(config: Config) -> Result<Vec<PathBuf>> {
    match csms::io::send(&config.control_socket(), &ControlRequest::IssueServerCertificate).await {
        Ok(ControlReply::Done(files)) => Ok(serde_json::from_str(files.get())?),
        Ok(ControlReply::Failed(reason)) => bail!("{reason}"),
        Ok(_) => bail!("the service replied in a way that this version does not know"),
        Err(ControlError::NotRunning { .. }) => Ok(csms::io::issue_server_certificate(config).await?),
        Err(error) => Err(error.into()),
    }
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
        OperatorCommand::Revoke { serial, station, reason } => ControlRequest::Revoke {
            serial_number: serial.clone(),
            station: station.clone(),
            reason: *reason,
        },
        OperatorCommand::Crl => ControlRequest::SignLists,
        OperatorCommand::Requests => ControlRequest::Requests,
        OperatorCommand::Metrics => ControlRequest::Metrics,
        OperatorCommand::Release { station } => ControlRequest::Release { station: station.clone() },
        OperatorCommand::Trigger { station, message } => {
            ControlRequest::Trigger { station: station.clone(), message: message.clone() }
        }
        OperatorCommand::Install { station, certificate_type, file } => {
            let certificate =
                fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            let (station, certificate_type) = (station.clone(), certificate_type.clone());
            ControlRequest::Install { station, certificate_type, certificate }
        }
        OperatorCommand::Inventory { station } => ControlRequest::Inventory { station: station.clone() },
        OperatorCommand::Delete { station, hash_data } => {
            // Of the same shape in each version.
            ocpp_types::decode::<CertificateHashDataType>(hash_data).context("--hash-data is not valid")?;
            let hash_data = RawValue::from_string(hash_data.clone())?;
            ControlRequest::Delete { station: station.clone(), hash_data }
        }
    })
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
        let (state, reason) = match &certificate.revocation_reason {
            Some(reason) => ("Revoked", reason.as_str()),
            None => (certificate.state.as_str(), certificate.reason.as_deref().unwrap_or_default()),
        };
        println!("{:<40}  {:<24}  {state} {reason}", certificate.serial_number, certificate.station);
    }
    println!("{} issued", certificates.len());
}

fn print_revoked(revoked: &Revoked) {
    for serial_number in &revoked.serial_numbers {
        println!("revoked {serial_number}");
    }
    if revoked.serial_numbers.is_empty() {
        println!("there is nothing to revoke that is not revoked already");
    }
    for list in &revoked.lists {
        println!("signed {}: number {}, {} revoked", list.file, list.number, list.revoked);
    }
    println!("connections closed: {}", revoked.closed.join(", "));
    if let Some(problem) = &revoked.problem {
        println!("the list is not in force: {problem}");
    }
}

fn print_requests(requests: &[WaitingRequest]) {
    for request in requests {
        let certificate_type = request.certificate_type.as_deref().unwrap_or("for all connections");
        let state = request.failure.as_deref().unwrap_or("waits");
        println!("{:<24}  {certificate_type:<28}  since {}  {state}", request.station, request.asked_at);
    }
    println!("{} without a certificate", requests.len());
}

fn print_inventory(inventory: &Value) {
    let text = |value: &Value, pointer: &str| {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    for chain in inventory["certificateHashDataChain"].as_array().into_iter().flatten() {
        let serial_number = text(chain, "/certificateHashData/serialNumber");
        println!("{:<28} serial number {serial_number}", text(chain, "/certificateType"));
    }
    println!("{}", text(inventory, "/status"));
}

fn print_answer(answer: &Value) {
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
    let reason = text("/statusInfo/reasonCode").map(|code| format!(" ({code})")).unwrap_or_default();
    println!("{}{reason}", text("/status").unwrap_or("answered"));
}
