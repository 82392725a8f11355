//! The listening address, and the rules for connections.

mod limits;

use std::{net::SocketAddr, time::Duration};

use ocpp_types::Version;
use serde::Deserialize;

pub use self::limits::LimitsSection;
use crate::config::{
    duration::{duration, duration_or_never},
    error::ConfigError,
};

/// The listening address, and the rules for connections.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenSection {
    /// Address and port; with port 0 the operating system chooses a free port.
    pub address: SocketAddr,
    /// The path before the station's identity, such as `/ocpp`.
    pub path: String,
    /// The time in seconds over which a shutdown spreads the closing of connections; default 10.
    #[serde(default = "ten")]
    pub drain_seconds: u32,
    /// Messages per second that are read from one station for an unlimited time, after a burst of
    /// ten times as many; default 50.
    #[serde(default = "fifty")]
    pub messages_per_second: u32,
    /// The versions of OCPP that are served; default all. A station gets the first version of its
    /// own offer that is in this list.
    #[serde(default = "all_versions")]
    pub versions: Vec<OcppVersion>,
    /// The answer to a station that offers none of the served versions.
    #[serde(default)]
    pub no_common_subprotocol: NoCommonSubprotocol,
    /// The interval of WebSocket pings, such as `"60s"`, the default. With `"never"` no ping is
    /// sent, and a half-open connection is detected only by the next message to the station.
    #[serde(default = "minute", deserialize_with = "duration_or_never")]
    pub ping_interval: Duration,
    /// How long after a ping the station has to send something, such as `"20s"`, the default. After
    /// that its connection is closed.
    #[serde(default = "twenty_seconds", deserialize_with = "duration")]
    pub ping_timeout: Duration,
    /// The limits of connections and attempts.
    #[serde(default)]
    pub limits: LimitsSection,
}

impl ListenSection {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.messages_per_second == 0 {
            return Err(ConfigError::value("listen.messages_per_second", "has to be 1 or more"));
        }
        if let Err((member, rule)) = self.limits.check() {
            return Err(ConfigError::value(format!("listen.limits.{member}"), rule));
        }
        if self.versions.is_empty() {
            let rule = "has to name one of \"1.6\", \"2.0.1\" and \"2.1\"";
            return Err(ConfigError::value("listen.versions", rule));
        }
        Ok(())
    }
}

/// A version of OCPP that stations speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub enum OcppVersion {
    /// OCPP 1.6 with its security extension.
    #[serde(rename = "1.6")]
    V16,
    /// OCPP 2.0.1.
    #[serde(rename = "2.0.1")]
    V201,
    /// OCPP 2.1.
    #[serde(rename = "2.1")]
    V21,
}

impl From<OcppVersion> for Version {
    fn from(version: OcppVersion) -> Self {
        match version {
            OcppVersion::V16 => Self::V16,
            OcppVersion::V201 => Self::V201,
            OcppVersion::V21 => Self::V21,
        }
    }
}

impl TryFrom<Version> for OcppVersion {
    type Error = UnknownVersion;

    fn try_from(version: Version) -> Result<Self, UnknownVersion> {
        match version {
            Version::V16 => Ok(Self::V16),
            Version::V201 => Ok(Self::V201),
            Version::V21 => Ok(Self::V21),
            unknown => Err(UnknownVersion(unknown)),
        }
    }
}

/// A version of OCPP that the service does not support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this service does not know {0}")]
pub struct UnknownVersion(Version);

/// The answer to a station that offers none of the served versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoCommonSubprotocol {
    /// HTTP 400, as the certification tests expect (TC_B_58).
    #[default]
    Refuse,
    /// HTTP 101 without a subprotocol, followed by an immediate close, as the text of the
    /// specification requires.
    OpenAndClose,
}

fn minute() -> Duration {
    Duration::from_secs(60)
}

fn twenty_seconds() -> Duration {
    Duration::from_secs(20)
}

fn ten() -> u32 {
    10
}

fn all_versions() -> Vec<OcppVersion> {
    vec![OcppVersion::V21, OcppVersion::V201, OcppVersion::V16]
}

fn fifty() -> u32 {
    50
}
