//! What an operator asks of the running service.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use csms::{
    Config,
    control::{ControlReply, ControlRequest, Reloaded, Secret, SignedList},
    io::ControlError,
};
use ocpp_types::v201::CertificateHashDataType;
use serde_json::value::RawValue;
use signer_pkcs11::RevocationReason;

use crate::text;

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
        return show(&[value.to_string()]);
    }
    let read = value.get();
    let lines = match command {
        OperatorCommand::Status => text::status(&serde_json::from_str(read)?),
        OperatorCommand::Certificates => text::certificates(&serde_json::from_str::<Vec<_>>(read)?),
        OperatorCommand::Inventory { .. } => text::inventory(&serde_json::from_str(read)?),
        OperatorCommand::Release { station } => {
            vec![format!("{station} may connect on security profile 2 again.")]
        }
        OperatorCommand::Call { .. } => vec![read.to_owned()],
        OperatorCommand::Metrics => {
            vec![serde_json::from_str::<String>(read)?.trim_end().to_owned()]
        }
        OperatorCommand::SetPassword { station, .. } => vec![format!("{station} has a new password.")],
        OperatorCommand::Revoke { .. } => text::revoked(&serde_json::from_str(read)?),
        OperatorCommand::Crl => {
            let lists = serde_json::from_str::<Vec<SignedList>>(read)?;
            let named = lists.into_iter().flat_map(|list| {
                let head = format!("# {}: number {}, {} revoked", list.file, list.number, list.revoked);
                [head, list.pem.trim_end().to_owned()]
            });
            named.collect()
        }
        OperatorCommand::Requests => text::requests(&serde_json::from_str::<Vec<_>>(read)?),
        OperatorCommand::Reload => {
            let reloaded: Reloaded = serde_json::from_str(read)?;
            vec![format!("read again; connections closed: {}", reloaded.closed.join(", "))]
        }
        _ => text::answer(&serde_json::from_str(read)?),
    };
    show(&lines)
}

/// Writes lines to standard output. Whoever reads them may have seen enough, as `head` does: that is no error.
fn show(lines: &[String]) -> Result<()> {
    let text = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>();
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
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
