//! What an operator's command says to the running service, and what it gets back: one JSON line each way.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use signer_pkcs11::RevocationReason;

/// One command for the running service.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ControlRequest {
    /// Where does it listen, and who is connected?
    Status,
    /// Send a request to a station and bring back its response.
    Call {
        /// The station's identity.
        station: String,
        /// The action, such as `DeleteCertificate`.
        action: String,
        /// The payload, checked against the action's schema before it is sent.
        payload: Box<RawValue>,
    },
    /// Ask a station for a message.
    Trigger {
        /// The station's identity.
        station: String,
        /// The message, in the words of any version.
        message: String,
    },
    /// Install a root certificate on a station.
    Install {
        /// The station's identity.
        station: String,
        /// What it is for, in the words of any version.
        certificate_type: String,
        /// PEM.
        certificate: String,
    },
    /// List what is installed on a station, in the shape of OCPP 2.x.
    Inventory {
        /// The station's identity.
        station: String,
    },
    /// Delete a certificate from a station.
    Delete {
        /// The station's identity.
        station: String,
        /// As the station has told it.
        hash_data: Box<RawValue>,
    },
    /// The certificates that were issued.
    Certificates,
    /// Give a station a new password (A01).
    SetPassword {
        /// The station's identity.
        station: String,
        /// The password; left out: random characters that nobody gets to see.
        password: Option<Secret>,
    },
    /// Read the configuration again, with certificates, revocation lists and stations.
    Reload,
    /// What was counted since the start, a text that Prometheus reads.
    Metrics,
    /// Let a station enrol anew with its password although it has used a certificate.
    Release {
        /// The station's identity.
        station: String,
    },
    /// Revoke a certificate, or all valid ones of a station.
    Revoke {
        /// The certificate's serial number, hexadecimal.
        serial_number: Option<String>,
        /// The station's identity.
        station: Option<String>,
        /// Why.
        reason: RevocationReason,
    },
    /// Sign the lists of revoked certificates anew.
    SignLists,
    /// Issue the CSMS's own certificate anew.
    IssueServerCertificate,
    /// The requests that wait for another authority, or have failed there.
    Requests,
}

/// A password on its way to the service. `Debug` does not show it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// What [`ControlRequest::Reload`] brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The stations whose connections were closed, for their certificates are revoked or nobody knows them any more.
    pub closed: Vec<String>,
}

/// What [`ControlRequest::Revoke`] brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// The certificates that were not revoked before.
    pub serial_numbers: Vec<String>,
    /// The stations whose connections were closed.
    pub closed: Vec<String>,
    /// The lists that were signed.
    pub lists: Vec<SignedList>,
    /// Why a list is not signed or not in force. The certificates are revoked all the same, and refused.
    pub problem: Option<String>,
}

/// A list of revoked certificates that was signed; [`ControlRequest::SignLists`] brings one for each issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedList {
    /// Where it was written, DER; PEM is beside it.
    pub file: String,
    /// CRL number.
    pub number: u64,
    /// How many certificates are on it.
    pub revoked: u64,
    /// Until when it is to be used, in seconds since 1970.
    pub next_update: u64,
    /// The list.
    pub pem: String,
}

/// A request that waits for another authority, or has failed there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingRequest {
    /// The identity of its station.
    pub station: String,
    /// As SignCertificate carried it; `None`: for all connections.
    pub certificate_type: Option<String>,
    /// Seconds since 1970.
    pub asked_at: i64,
    /// Why there is no certificate; `None`: it waits.
    pub failure: Option<String>,
}

/// The service's reply.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ControlReply {
    /// It was done; what it brought.
    Done(Box<RawValue>),
    /// It was not done; why, and what to do.
    Failed(String),
}

/// What [`ControlRequest::Status`] brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Where stations connect.
    pub url: String,
    /// The stations that are connected.
    pub stations: Vec<ConnectedStation>,
}

/// A station that is connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectedStation {
    /// Its identity.
    pub identity: String,
    /// The version of OCPP that it speaks, as the WebSocket subprotocol is called: `ocpp2.0.1`.
    pub subprotocol: String,
    /// The security profile of its connection, 2 or 3.
    pub security_profile: u8,
    /// The serial number of the certificate that it presented, hexadecimal.
    pub certificate_serial_number: Option<String>,
    /// Whether its BootNotification was accepted on this connection; a reconnect needs none.
    pub booted: bool,
}

/// A certificate that was issued, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCertificate {
    /// Hexadecimal.
    pub serial_number: String,
    /// The identity of its station.
    pub station: String,
    /// `Issued`, `Accepted` or `Rejected`.
    pub state: String,
    /// The station's reason, where it rejected.
    pub reason: Option<String>,
    /// Seconds since 1970.
    pub not_after: i64,
    /// When it was revoked, in seconds since 1970.
    pub revoked_at: Option<i64>,
    /// Why it was revoked.
    pub revocation_reason: Option<String>,
}

/// The longest line of a command or a reply, in bytes: an inventory of several hundred chains fits.
pub const LONGEST_LINE: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_line_and_comes_back_the_same() {
        let payload = RawValue::from_string(r#"{"requestedMessage":"Heartbeat"}"#.to_owned()).expect("JSON");
        let request = ControlRequest::Call {
            station: "CS001".to_owned(),
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
