//! Traits and types that all messages share.

use core::{fmt, str::FromStr};

use serde_core::{Serialize, de::DeserializeOwned};

/// A message that asks for an answer: the payload of a CALL.
pub trait Request: Serialize + DeserializeOwned + Send + 'static {
    /// The action's name on the wire: `SignCertificate`.
    const ACTION: &'static str;
    /// The version of OCPP that it belongs to.
    const VERSION: Version;
    /// The payload of the CALLRESULT.
    type Response: Serialize + DeserializeOwned + Send + 'static;
}

/// A message that is sent and never answered: the payload of a SEND (OCPP 2.1).
pub trait Notification: Serialize + DeserializeOwned + Send + 'static {
    /// The action's name on the wire: `NotifyPeriodicEventStream`.
    const ACTION: &'static str;
    /// The version of OCPP that it belongs to.
    const VERSION: Version;
}

/// A version of OCPP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Version {
    /// OCPP 1.6, with its security extension.
    V16,
    /// OCPP 2.0.1.
    V201,
    /// OCPP 2.1.
    V21,
}

impl Version {
    /// All versions that this crate knows, oldest first, whether or not they are compiled in.
    pub const ALL: &'static [Self] = &[Self::V16, Self::V201, Self::V21];

    /// The name of the WebSocket subprotocol, as registered with IANA (OCPP-J 3.1.2).
    #[must_use]
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::V16 => "ocpp1.6",
            Self::V201 => "ocpp2.0.1",
            Self::V21 => "ocpp2.1",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::V16 => "OCPP 1.6",
            Self::V201 => "OCPP 2.0.1",
            Self::V21 => "OCPP 2.1",
        })
    }
}

impl FromStr for Version {
    type Err = UnknownSubprotocol;

    /// Parses the name of the WebSocket subprotocol.
    fn from_str(subprotocol: &str) -> Result<Self, UnknownSubprotocol> {
        Self::ALL
            .iter()
            .copied()
            .find(|version| version.subprotocol() == subprotocol)
            .ok_or(UnknownSubprotocol)
    }
}

/// A name that is not a known WebSocket subprotocol of OCPP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownSubprotocol;

impl fmt::Display for UnknownSubprotocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a known subprotocol; use one of")?;
        Version::ALL.iter().try_for_each(|version| write!(formatter, " {}", version.subprotocol()))
    }
}

impl core::error::Error for UnknownSubprotocol {}

/// The allowed sender of an action's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// The charging station only.
    ChargingStation,
    /// The CSMS only.
    Csms,
    /// Either side.
    Both,
}

impl fmt::Display for Sender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::ChargingStation => "the charging station",
            Self::Csms => "the CSMS",
            Self::Both => "either side",
        })
    }
}
