//! The protocol between an operator's command and the running service. The command is one JSON
//! line, and the reply follows. The reply to a listing has a line for each row, and may begin with
//! warnings. Any other line is the last one of its reply. Times are in seconds since 1970, serial
//! numbers in hexadecimal.

use std::path::PathBuf;

use certificates::{SerialNumber, StationIdentity, UnixSeconds};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use signer_pkcs11::RevocationReason;

use crate::{
    ledger::CertificateFilter,
    stations::registry::{FileFormat, StationChanges, StationFields, StationFilter},
};

/// One command for the running service.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ControlRequest {
    /// Return the service's address and the connected stations: a row of [`ConnectedStation`] for
    /// each, and a [`Status`].
    Status,
    /// Send a request to a station and return its response.
    Call {
        /// The station's identity.
        station: StationIdentity,
        /// The action, such as `DeleteCertificate`.
        action: String,
        /// The payload, checked against the action's schema before it is sent.
        payload: Box<RawValue>,
    },
    /// Ask a station to send a message.
    Trigger {
        /// The station's identity.
        station: StationIdentity,
        /// The message, in the spelling of any version of OCPP.
        message: String,
    },
    /// Install a root certificate on a station.
    Install {
        /// The station's identity.
        station: StationIdentity,
        /// The use of the certificate, in the spelling of any version of OCPP.
        certificate_type: String,
        /// PEM.
        certificate: String,
    },
    /// List the certificates that are installed on a station, in the format of OCPP 2.x.
    Inventory {
        /// The station's identity.
        station: StationIdentity,
    },
    /// Delete a certificate from a station.
    Delete {
        /// The station's identity.
        station: StationIdentity,
        /// The hash data as the station has reported it.
        hash_data: Box<RawValue>,
    },
    /// List the issued certificates, newest first. Returns rows of [`IssuedCertificate`], and
    /// [`Listed`].
    Certificates {
        /// The certificates to list.
        filter: CertificateFilter,
        /// The largest number of rows; `None`: all.
        limit: Option<u64>,
    },
    /// Give a station a new password (A01).
    SetPassword {
        /// The station's identity.
        station: StationIdentity,
        /// The password; `None`: random characters that are not shown.
        password: Option<Secret>,
    },
    /// Read the configuration again, with certificates, revocation lists and stations.
    Reload,
    /// Return the metrics since the start, in the text format of Prometheus.
    Metrics,
    /// Let a station enrol again with its password although it has used a certificate.
    Release {
        /// The station's identity.
        station: StationIdentity,
    },
    /// Accept passwords again after a restoration that lost entries.
    AcceptPasswords,
    /// Revoke a certificate, or all valid certificates of a station.
    Revoke {
        /// The certificate's serial number.
        serial_number: Option<SerialNumber>,
        /// The station's identity.
        station: Option<StationIdentity>,
        /// The reason.
        reason: RevocationReason,
    },
    /// Sign the lists of revoked certificates again.
    SignLists,
    /// Issue the CSMS's own certificate again.
    IssueServerCertificate,
    /// Do something with the stations of the ledger.
    Stations(StationCommand),
    /// List the requests that wait for another authority, or have failed there, newest first.
    /// Returns rows of [`WaitingRequest`], and [`Listed`].
    Requests {
        /// The largest number of rows; `None`: all.
        limit: Option<u64>,
    },
}

impl ControlRequest {
    /// Whether its reply has rows. Such a reply takes as long as there are rows.
    pub(crate) fn is_listing(&self) -> bool {
        match self {
            Self::Stations(command) => matches!(
                command,
                StationCommand::List { .. } | StationCommand::Export { .. } | StationCommand::Import { .. }
            ),
            _ => matches!(self, Self::Status | Self::Certificates { .. } | Self::Requests { .. }),
        }
    }
}

/// A command about the stations of the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum StationCommand {
    /// Add a station.
    Add(StationFields),
    /// Change a station, and close its connection if it has to prove itself again.
    Set {
        /// The station's identity.
        station: StationIdentity,
        /// The changes.
        changes: StationChanges,
    },
    /// Remove a station and close its connection.
    Remove {
        /// The station's identity.
        station: StationIdentity,
        /// Revoke its valid certificates first.
        revoke: bool,
    },
    /// Return a [`ShownStation`](crate::ShownStation).
    Show {
        /// The station's identity.
        station: StationIdentity,
    },
    /// Return rows of [`ShownStation`](crate::ShownStation), and [`Listed`].
    List {
        /// The stations to list.
        filter: StationFilter,
        /// The identity after which the list begins.
        after: Option<StationIdentity>,
        /// The largest number of rows; `None`: all.
        limit: Option<u64>,
    },
    /// Return rows of [`StationFields`](crate::StationFields), and [`Listed`].
    Export {
        /// With the hashes of the passwords.
        with_password_hashes: bool,
    },
    /// Add all stations of a file.
    Import {
        /// The absolute path of the file, which the service reads.
        file: PathBuf,
        /// Its format.
        format: FileFormat,
    },
}

/// The end of a listing, after its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The number of rows.
    pub rows: u64,
    /// Whether these are all rows; `false`: there are more than the limit.
    pub whole: bool,
}

/// A password that is sent to the service. `Debug` does not show it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// The result of [`ControlRequest::Reload`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The stations whose connections were closed, because their certificates are revoked or they
    /// are no longer in the configuration.
    pub closed: Vec<StationIdentity>,
}

/// The result of [`ControlRequest::Revoke`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// The certificates that were not revoked before.
    pub serial_numbers: Vec<SerialNumber>,
    /// The stations whose connections were closed.
    pub closed: Vec<StationIdentity>,
    /// The lists that were signed.
    pub lists: Vec<SignedList>,
    /// Why a list is not signed or not in use. The certificates are revoked and refused anyway.
    pub problem: Option<String>,
}

/// A list of revoked certificates that was signed; [`ControlRequest::SignLists`] returns one for
/// each issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedList {
    /// The file in DER; the same list in PEM is beside it.
    pub file: String,
    /// CRL number.
    pub number: u64,
    /// The number of certificates on the list.
    pub revoked: u64,
    /// The time until which the list is valid.
    pub next_update: UnixSeconds,
    /// The list in PEM.
    pub pem: String,
}

/// A request that waits for another authority, or has failed there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingRequest {
    /// The identity of its station.
    pub station: StationIdentity,
    /// The value in SignCertificate; `None`: for all connections.
    pub certificate_type: Option<String>,
    /// The time of the last SignCertificate for it.
    pub asked_at: UnixSeconds,
    /// Why there is no certificate; `None`: the request is waiting.
    pub failure: Option<String>,
}

/// The service's reply.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ControlReply {
    /// A row of a listing; more lines follow.
    Row(Box<RawValue>),
    /// The command was carried out; its result.
    Done(Box<RawValue>),
    /// A warning before the command is carried out; more lines follow.
    Warning(String),
    /// The command was not carried out; why, and how to fix it.
    Failed(String),
    /// The station answered with an error (CALLERROR).
    Refused(String),
    /// The command was not carried out, because the station is not connected.
    NotConnected(String),
}

/// The result of [`ControlRequest::Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The URL that stations connect to.
    pub url: String,
    /// The number of connected stations.
    pub connected: u64,
    /// The logins with a password that are in progress.
    pub logins: LoginStatus,
    /// The system's clock.
    pub clock: ClockStatus,
    /// The problems that an operator has to look at, in sentences.
    pub problems: Vec<String>,
    /// The state of the ledger, and its faults.
    #[serde(default)]
    pub ledger: LedgerStatus,
}

/// The logins with a password that are in progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginStatus {
    /// The number of logins that wait for their password to be verified.
    pub waiting: usize,
    /// The current overload, if any: logins wait too long or are refused.
    pub overload: Option<OverloadStatus>,
}

/// A current overload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverloadStatus {
    /// How long the overload has lasted.
    pub seconds: u64,
    /// Logins whose password was verified since it began.
    pub served: u64,
    /// Logins that were refused (HTTP 503), because too many waited.
    pub refused: u64,
    /// Logins whose station closed the connection while they waited.
    pub gone: u64,
}

/// The state of the system's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStatus {
    /// The time that it shows.
    pub now: UnixSeconds,
    /// How often it was moved since the start of the service.
    pub steps: u64,
    /// How far it was moved the last time, in seconds; negative: back.
    pub last_step_seconds: Option<i64>,
    /// For how many more seconds the clock is in doubt, unless it is moved again.
    pub doubted_for_seconds: Option<u64>,
    /// The time that it would show if it had not been moved, if it is in doubt.
    pub expected: Option<UnixSeconds>,
}

/// The state of the ledger, and its faults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerStatus {
    /// The number of entries in its record.
    pub entries: u64,
    /// The entry of its high-water mark in the file beside it.
    pub mark_in_file: Option<u64>,
    /// The entry of its high-water mark in the token; `None`: the token keeps none.
    pub mark_in_token: Option<u64>,
    /// The certificates that differ from what was signed, and how they differ. They are not sent.
    pub not_as_signed: Vec<String>,
}

/// A connected station.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectedStation {
    /// The identity of the station.
    pub identity: StationIdentity,
    /// The version of OCPP of its connection, as a WebSocket subprotocol: `ocpp2.0.1`.
    pub subprotocol: String,
    /// The security profile of its connection, 2 or 3.
    pub security_profile: u8,
    /// The serial number of the certificate that it presented.
    pub certificate_serial_number: Option<SerialNumber>,
    /// Whether its BootNotification was accepted on this connection; a reconnect needs none.
    pub booted: bool,
}

/// A certificate that was issued, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCertificate {
    /// Its serial number.
    pub serial_number: SerialNumber,
    /// The identity of its station.
    pub station: StationIdentity,
    /// `Issued`, `Accepted` or `Rejected`.
    pub state: String,
    /// The station's reason if it rejected the certificate, or the error that took the place of an
    /// answer.
    pub reason: Option<String>,
    /// End of validity.
    pub not_after: UnixSeconds,
    /// When it was revoked.
    pub revoked_at: Option<UnixSeconds>,
    /// Why it was revoked.
    pub revocation_reason: Option<String>,
}

/// The longest line of a command or of a reply, in bytes. An inventory of several hundred chains
/// fits.
pub const LONGEST_LINE: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_line_and_comes_back_the_same() {
        let payload = RawValue::from_string(r#"{"requestedMessage":"Heartbeat"}"#.to_owned()).expect("JSON");
        let request = ControlRequest::Call {
            station: "CS001".parse().expect("an identity"),
            action: "TriggerMessage".to_owned(),
            payload,
        };
        let line = serde_json::to_string(&request).expect("encodes");
        assert_eq!(
            line,
            r#"{"call":{"station":"CS001","action":"TriggerMessage","payload":{"requestedMessage":"Heartbeat"}}}"#
        );
        let back: ControlRequest = serde_json::from_str(&line).expect("decodes");
        assert!(matches!(back, ControlRequest::Call { payload, .. } if payload.get().contains("Heartbeat")));
    }
}
