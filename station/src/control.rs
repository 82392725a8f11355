//! What a local command says to the running agent, and what it gets back: one JSON line each way.

use ocpp_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::inventory::CertificateEntry;

/// One command for the running agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ControlRequest {
    /// Where is the station connected, and with what? Brings a [`Status`].
    Status,
    /// What is installed? Brings an [`Inventory`](crate::inventory::Inventory).
    Inventory,
}

/// A line of the agent's reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ControlReply {
    /// It was done; what it brought.
    Done(Box<RawValue>),
    /// It was not done; why, and what to do.
    Failed(String),
}

/// How the agent is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its process.
    pub pid: u32,
    /// The version of the program.
    pub program_version: String,
    /// The identity in the connection URL.
    pub identity: String,
    /// The connection to the CSMS.
    pub link: Link,
    /// How many security events wait to be reported (A04).
    pub events_waiting: usize,
}

/// The connection to the CSMS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Link {
    /// There is none; the station tries again and again.
    Down {
        /// The slot of the network profile that was tried last.
        slot: Option<u32>,
        /// Why the last attempt failed.
        error: Option<String>,
    },
    /// It stands.
    Up {
        /// The slot of its network profile.
        slot: u32,
        /// Where.
        url: String,
        /// The version of OCPP, as in the subprotocol.
        ocpp_version: String,
        /// The security profile, 2 or 3.
        security_profile: u8,
        /// Since when.
        since: Timestamp,
        /// What the CSMS answered to BootNotification, `Accepted`, `Pending` or `Rejected`; `None`: nothing yet.
        registration: Option<String>,
        /// The certificate that the station presented; `None`: it used its password.
        certificate: Option<Box<CertificateEntry>>,
    },
}

/// The longest line of a command or a reply, in bytes: an inventory of several hundred certificates fits.
pub const LONGEST_LINE: usize = 1024 * 1024;

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
        serde_json::from_str::<ControlRequest>(r#""reboot""#).expect_err("an unknown command");
    }
}
