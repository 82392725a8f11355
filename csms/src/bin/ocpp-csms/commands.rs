//! The operator's commands for the running service.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context as _, Result, bail};
use certificates::{SerialNumber, StationIdentity, UnixSeconds};
use csms::{
    CertificateFilter, CertificateState, Config,
    control::{ControlReply, ControlRequest, Reloaded, Secret, SignedList},
    io::{ControlError, Conversation},
};
use ocpp_types::{Timestamp, v201::CertificateHashDataType};
use program::{Output, escaped};
use serde_json::{Value, value::RawValue};
use signer_pkcs11::RevocationReason;

use crate::{
    listing::{Kind, Listing},
    text,
};

/// Commands to the running service.
#[derive(clap::Subcommand)]
pub(crate) enum OperatorCommand {
    /// Show where the service listens and which stations are connected
    Status,
    /// Ask a station to send a message, such as SignChargingStationCertificate
    Trigger {
        /// The station's identity
        station: StationIdentity,
        /// The message, in the spelling of the station's version of OCPP or another one
        message: String,
    },
    /// Install a root certificate on a station
    Install {
        /// The station's identity
        station: StationIdentity,
        /// CSMSRootCertificate, ManufacturerRootCertificate, V2GRootCertificate, MORootCertificate
        /// or OEMRootCertificate, if the station's version has it
        certificate_type: String,
        /// The file with one certificate, PEM or DER; other content of the file is never sent
        file: PathBuf,
    },
    /// List the certificates that are installed on a station
    Inventory {
        /// The station's identity
        station: StationIdentity,
    },
    /// Delete a certificate from a station
    Delete {
        /// The station's identity
        station: StationIdentity,
        /// The hash data, as `inventory --json` or `ocpp-station hash-data` prints it
        #[arg(long)]
        hash_data: String,
    },
    /// Send a station a request by its action and payload, such as Reset '{"type": "OnIdle"}'
    Call {
        /// The station's identity
        station: StationIdentity,
        /// The action
        action: String,
        /// The payload, JSON
        payload: String,
    },
    /// Give a station a new password over its connection; the old one is then no longer accepted
    SetPassword {
        /// The station's identity
        station: StationIdentity,
        /// The file with the password; left out: random characters that are not shown
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Read the configuration again, with certificates, revocation lists and stations, as SIGHUP
    /// does
    Reload,
    /// List the issued certificates, newest first
    Certificates(CertificatesArguments),
    /// Revoke a certificate: in the record, on the list of revoked certificates, and on the
    /// connections of this service
    #[command(group(clap::ArgGroup::new("which").required(true)))]
    Revoke {
        /// The certificate's serial number, hexadecimal, as `certificates` or another program
        /// prints it
        #[arg(long, group = "which")]
        serial: Option<SerialNumber>,
        /// A station's identity: all its valid certificates
        #[arg(long, group = "which")]
        station: Option<StationIdentity>,
        /// unspecified, key-compromise, affiliation-changed, superseded or cessation-of-operation
        #[arg(long, default_value = "unspecified")]
        reason: RevocationReason,
    },
    /// Sign the lists of revoked certificates again and print them, PEM; the service does so by
    /// itself before they expire
    Crl,
    /// List the requests that wait for another authority, or have failed there, newest first
    Requests {
        /// List at most this many
        #[arg(long)]
        limit: Option<u64>,
    },
    /// Print the metrics since the start, in the text format of Prometheus
    Metrics,
    /// After a restoration that lost entries: accept again the passwords of all stations that are
    /// not known to have used a certificate
    AcceptPasswords,
    /// Let a station enrol again with its password although it has used a certificate (a replaced
    /// controller)
    Release {
        /// The station's identity
        station: StationIdentity,
    },
}

/// The certificates to list.
#[derive(clap::Args)]
pub(crate) struct CertificatesArguments {
    /// Only those of the station with this identity
    #[arg(long)]
    station: Option<StationIdentity>,
    /// Only those in this state
    #[arg(long, value_enum)]
    state: Option<State>,
    /// Only those that expire before this time: 2027-01-31, or 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    expiring_before: Option<UnixSeconds>,
    /// List at most this many
    #[arg(long)]
    limit: Option<u64>,
}

/// The same states as [`csms::CertificateState`].
#[derive(Clone, Copy, clap::ValueEnum)]
enum State {
    /// Signed; the station has not answered
    Issued,
    /// The station has accepted it
    Accepted,
    /// The station has rejected it
    Rejected,
    /// Revoked, whatever the station answered
    Revoked,
}

impl From<State> for CertificateState {
    fn from(state: State) -> Self {
        match state {
            State::Issued => Self::Issued,
            State::Accepted => Self::Accepted,
            State::Rejected => Self::Rejected,
            State::Revoked => Self::Revoked,
        }
    }
}

/// A day means midnight UTC at its beginning.
pub(crate) fn time(text: &str) -> Result<UnixSeconds> {
    let midnight = if text.contains('T') { "" } else { "T00:00:00Z" };
    let time: Timestamp = format!("{text}{midnight}").parse()?;
    Ok(SystemTime::from(time).into())
}

/// Sends the command to the service at `socket` and prints the result.
pub(crate) async fn run(socket: &Path, command: OperatorCommand, json: bool) -> Result<Outcome> {
    let mut conversation = Conversation::begin(socket, &request(&command)?).await?;
    let mut out = Output::new();
    let mut listing = listing(&command);
    let value = loop {
        match conversation.reply().await? {
            ControlReply::Warning(warning) => warn(&warning),
            ControlReply::Row(row) => match &mut listing {
                Some(listing) => listing.row(&mut out, &row, json)?,
                None => bail!("the service replied with rows, which this version does not expect here"),
            },
            ControlReply::Done(value) => break value,
            ControlReply::Failed(reason) => bail!("{reason}"),
            ControlReply::Refused(reason) => bail!(Unserved::Refused(reason)),
            ControlReply::NotConnected(reason) => bail!(Unserved::NotConnected(reason)),
            _ => bail!("the service replied in a way that this version does not know"),
        }
    };
    let outcome = outcome(&command, &value);
    match listing {
        Some(listing) => listing.end(&mut out, &value, json)?,
        None if json => out.json(&value)?,
        None => print(&mut out, command, value.get())?,
    }
    out.finish()?;
    Ok(outcome)
}

/// The result of a command that the service has carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The command was carried out, and the station has accepted it.
    Done,
    /// The station has answered, but not accepted it. The answer is printed.
    NotAccepted,
}

/// Why a command was not carried out, for the cases that a script has to distinguish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unserved {
    /// The station answered with an error (CALLERROR), or refused a password.
    #[error("{0}")]
    Refused(String),
    /// The station is not connected.
    #[error("{0}")]
    NotConnected(String),
}

/// Whether the station's answer is an acceptance. A listing and a request by hand cannot be refused
/// by an answer: `NotFound` reports what a station has.
fn outcome(command: &OperatorCommand, value: &RawValue) -> Outcome {
    let asks = matches!(
        command,
        OperatorCommand::Trigger { .. } | OperatorCommand::Install { .. } | OperatorCommand::Delete { .. }
    );
    let status = || {
        let answer = serde_json::from_str::<Value>(value.get()).ok()?;
        Some(answer["status"].as_str()?.to_owned())
    };
    if asks && status().as_deref() != Some("Accepted") { Outcome::NotAccepted } else { Outcome::Done }
}

/// Writes a warning for the operator to standard error. If standard error is not read, the failure
/// is ignored.
fn warn(warning: &str) {
    let _ = writeln!(std::io::stderr(), "ocpp-csms: warning: {}", escaped(warning));
}

/// The list that a command returns, if any.
fn listing(command: &OperatorCommand) -> Option<Listing> {
    let kind = match command {
        OperatorCommand::Status => Kind::Stations,
        OperatorCommand::Certificates(_) => Kind::Certificates,
        OperatorCommand::Requests { .. } => Kind::Requests,
        _ => return None,
    };
    Some(Listing::new(kind))
}

/// Prints the result of a command without rows as text.
fn print(out: &mut Output, command: OperatorCommand, read: &str) -> Result<()> {
    let lines = match command {
        OperatorCommand::Inventory { .. } => text::inventory(&serde_json::from_str(read)?),
        OperatorCommand::Release { station } => {
            vec![format!("{station} may connect on security profile 2 again.")]
        }
        OperatorCommand::AcceptPasswords => {
            vec!["the passwords of stations that have used no certificate are accepted again".to_owned()]
        }
        OperatorCommand::Call { .. } => return Ok(out.json(read)?),
        OperatorCommand::Metrics => return Ok(out.verbatim(&serde_json::from_str::<String>(read)?)?),
        OperatorCommand::SetPassword { station, .. } => vec![format!("{station} has a new password.")],
        OperatorCommand::Revoke { .. } => text::revoked(&serde_json::from_str(read)?),
        OperatorCommand::Crl => {
            for list in serde_json::from_str::<Vec<SignedList>>(read)? {
                out.line(format_args!("# {}: number {}, {} revoked", list.file, list.number, list.revoked))?;
                out.verbatim(&list.pem)?;
            }
            return Ok(());
        }
        OperatorCommand::Reload => {
            let reloaded: Reloaded = serde_json::from_str(read)?;
            vec![format!("read again; connections closed: {}", text::stations(&reloaded.closed))]
        }
        _ => text::answer(&serde_json::from_str(read)?),
    };
    Ok(lines.iter().try_for_each(|line| out.line(line))?)
}

/// Lets the running service issue its own certificate, or issues it if no service runs. Returns the
/// files.
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
                let text = program::read_text(path);
                let text = text.with_context(|| format!("cannot read {}", path.display()))?;
                anyhow::Ok(Secret(text.trim_end_matches(['\r', '\n']).to_owned()))
            };
            let password = file.as_ref().map(read).transpose()?;
            ControlRequest::SetPassword { station: station.clone(), password }
        }
        OperatorCommand::Reload => ControlRequest::Reload,
        OperatorCommand::Certificates(arguments) => {
            let CertificatesArguments { station, state, expiring_before, limit } = arguments;
            let state = state.map(CertificateState::from);
            let filter =
                CertificateFilter { station: station.clone(), state, expiring_before: *expiring_before };
            ControlRequest::Certificates { filter, limit: *limit }
        }
        OperatorCommand::Revoke { serial, station, reason } => {
            ControlRequest::Revoke { serial_number: *serial, station: station.clone(), reason: *reason }
        }
        OperatorCommand::Crl => ControlRequest::SignLists,
        OperatorCommand::Requests { limit } => ControlRequest::Requests { limit: *limit },
        OperatorCommand::Metrics => ControlRequest::Metrics,
        OperatorCommand::AcceptPasswords => ControlRequest::AcceptPasswords,
        OperatorCommand::Release { station } => ControlRequest::Release { station: station.clone() },
        OperatorCommand::Trigger { station, message } => {
            ControlRequest::Trigger { station: station.clone(), message: message.clone() }
        }
        OperatorCommand::Install { station, certificate_type, file } => {
            let certificate = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            let certificate = csms::certificate_to_install(&certificate)
                .with_context(|| format!("{} cannot be installed", file.display()))?;
            let (station, certificate_type) = (station.clone(), certificate_type.clone());
            ControlRequest::Install { station, certificate_type, certificate }
        }
        OperatorCommand::Inventory { station } => ControlRequest::Inventory { station: station.clone() },
        OperatorCommand::Delete { station, hash_data } => {
            // The field is the same in each version.
            ocpp_types::decode::<CertificateHashDataType>(hash_data).context("--hash-data is not valid")?;
            let hash_data = RawValue::from_string(hash_data.clone())?;
            ControlRequest::Delete { station: station.clone(), hash_data }
        }
    })
}
