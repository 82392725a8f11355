//! The protocol between a local command and the running agent. The command is one JSON line. The
//! reply is one line or more; the last one is [`ControlReply::Done`] or [`ControlReply::Failed`].

use certificates::StationIdentity;
use ocpp_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    inventory::{CertificateEntry, InventoryRow},
    renewal::{End, Target},
};

/// One command for the running agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ControlRequest {
    /// Reports the connection of the station. The reply is a [`Status`].
    Status,
    /// Reports what is installed. The reply is one [`InventoryRow`] per entry, then an
    /// [`Inventory`](crate::inventory::Inventory) without the entries.
    Inventory,
    /// Asks the CSMS for a new certificate (A03). The reply is each [`RenewalStep`] as it happens,
    /// then a [`RenewalReport`].
    Renew {
        /// What the certificate is for.
        #[serde(rename = "use")]
        use_: RenewalUse,
        /// For vehicles: the SeccId of the SECC. If absent, every SECC.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        secc_id: Option<String>,
        /// When the command ends.
        until: Until,
    },
}

/// What a renewed certificate is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RenewalUse {
    /// The connection to the CSMS: `ChargingStationCertificate`.
    #[default]
    Station,
    /// Vehicles by ISO 15118-2: `V2GCertificate`.
    V2g,
    /// Vehicles by ISO 15118-20: `V2G20Certificate`, OCPP 2.1.
    V2g20,
    /// The connection and vehicles: `certificateType` left out.
    Combined,
}

/// When a command that begins a renewal ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// When it is durable that the request will be made and sent.
    #[default]
    Begun,
    /// When the request has ended, with or without a certificate.
    Ended,
}

/// A line of the agent's reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ControlReply {
    /// A step has happened; the command continues.
    Progress(RenewalStep),
    /// A row of the result; more lines follow.
    Row(Box<InventoryRow>),
    /// The command was carried out; its result.
    Done(Box<RawValue>),
    /// The command failed; the reason and the fix.
    Failed(String),
}

/// What has happened to the request for one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalStep {
    /// Which certificate, such as `station`, `combined` or `v2g SECC-1`.
    pub subject: String,
    /// What has happened.
    pub step: Step,
}

/// A step on the way to a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Its key is being generated.
    Begun,
    /// The key is in the token, and the request can be sent.
    KeyMade,
    /// The key could not be generated. Another attempt follows, or the end.
    KeyNotMade {
        /// The reason, for people.
        reason: String,
    },
    /// The request is being sent.
    Sent,
    /// The CSMS will send a certificate. If it does not, the request is sent again at `again`.
    Accepted {
        /// `None`: the request is not sent again (A02.FR.19).
        again: Option<Timestamp>,
    },
    /// The CSMS did not answer; the request is sent again.
    NotAnswered,
    /// The request has ended.
    Ended(Outcome),
}

/// The outcome of the request for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The certificate is stored.
    Certificate,
    /// The CSMS rejected the request (A02.FR.12).
    Rejected,
    /// The CSMS cannot be asked: the version of the connection has no such request, or the CSR is
    /// too long for it.
    NotAskable,
    /// The certificate was invalid (A02.FR.07); a valid one is still accepted.
    Invalid,
    /// The request was sent as often as CertSigningRepeatTimes allows (A02.FR.19); a late
    /// certificate is still accepted.
    Exhausted,
    /// The token cannot generate a key of an allowed kind (`certificates.key_algorithms`).
    NoSuchKey,
    /// The token or the disk failed.
    NoKey,
    /// A newer request has replaced it.
    Replaced,
}

/// The result of a renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalReport {
    /// The certificates that were requested.
    pub renewals: Vec<RenewalEnd>,
    /// Whether the CSMS accepts requests. If not, they are sent as soon as it does.
    pub connected: bool,
}

/// The outcome of the request for one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalEnd {
    /// As in [`RenewalStep::subject`].
    pub subject: String,
    /// `None`: the request has not ended.
    pub outcome: Option<Outcome>,
}

/// The state of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The id of its process.
    pub pid: u32,
    /// The version of the program.
    pub program_version: String,
    /// The identity in the connection URL.
    pub identity: StationIdentity,
    /// The connection to the CSMS.
    pub link: Link,
    /// The renewals that are under way or planned, each certificate once.
    pub renewals: Vec<RenewalStatus>,
    /// How many security events wait to be reported (A04).
    pub events_waiting: usize,
    /// The files that cannot be written now.
    #[serde(default)]
    pub disk_faults: Vec<DiskFault>,
}

/// A file of the station that cannot be written now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskFault {
    /// Its name in the station's folder.
    pub file: String,
    /// The start of the fault.
    pub since: Timestamp,
    /// Why the last attempt failed.
    pub reason: String,
    /// The fix.
    pub remedy: String,
}

/// The connection to the CSMS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Link {
    /// There is no connection; the station keeps trying.
    Down {
        /// The slot of the network profile of the last attempt.
        slot: Option<u32>,
        /// Why the last attempt failed.
        error: Option<String>,
    },
    /// The connection is up.
    Up {
        /// The slot of its network profile.
        slot: u32,
        /// The URL of the CSMS.
        url: String,
        /// The version of OCPP, as in the subprotocol.
        ocpp_version: String,
        /// The security profile, 2 or 3.
        security_profile: u8,
        /// The start of the connection.
        since: Timestamp,
        /// The answer of the CSMS to BootNotification: `Accepted`, `Pending` or `Rejected`. `None`:
        /// it has not answered yet.
        registration: Option<String>,
        /// The certificate that the station presented. `None`: the station used its password.
        certificate: Option<Box<CertificateEntry>>,
    },
}

/// The state of the renewal of one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalStatus {
    /// As in [`RenewalStep::subject`].
    pub subject: String,
    /// What the renewal is waiting for, for people.
    pub state: String,
    /// When the renewal acts by itself. `None`: it does not.
    pub next: Option<Timestamp>,
}

impl From<End> for Outcome {
    fn from(end: End) -> Self {
        match end {
            End::Certificate => Self::Certificate,
            End::Rejected => Self::Rejected,
            End::NotAskable => Self::NotAskable,
            End::Invalid => Self::Invalid,
            End::Exhausted => Self::Exhausted,
            End::NoSuchKey => Self::NoSuchKey,
            End::NoKey => Self::NoKey,
            End::Replaced => Self::Replaced,
        }
    }
}

/// The name of a renewal's certificate, for people.
#[must_use]
pub fn subject_name(subject: &Target) -> String {
    match subject {
        Target::Station => "station".to_owned(),
        Target::Combined => "combined".to_owned(),
        Target::Vehicle { secc_id } => format!("v2g {secc_id}"),
        Target::Vehicle20 { secc_id } => format!("v2g20 {secc_id}"),
    }
}

/// The longest line of a command or of a reply, in bytes: a chain of the longest certificates fits.
pub const MAX_LINE: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, request: &ControlRequest) {
        assert_eq!(serde_json::to_string(request).expect("encodes"), line);
        assert_eq!(&serde_json::from_str::<ControlRequest>(line).expect("decodes"), request);
    }

    #[test]
    fn a_command_is_one_line_and_comes_back_the_same() {
        check(r#""inventory""#, &ControlRequest::Inventory);
        check(r#""status""#, &ControlRequest::Status);
        let (use_, secc_id) = (RenewalUse::V2g, Some("SECC 1".to_owned()));
        let request = ControlRequest::Renew { use_, secc_id, until: Until::Ended };
        check(r#"{"renew":{"use":"v2g","secc_id":"SECC 1","until":"ended"}}"#, &request);
        serde_json::from_str::<ControlRequest>(r#"{"renew":{"use":"v2g","until":"ended","colour":1}}"#)
            .expect_err("an unknown member");
        serde_json::from_str::<ControlRequest>(r#""reboot""#).expect_err("an unknown command");
    }
}
