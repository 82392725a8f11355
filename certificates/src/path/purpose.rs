//! The purpose of a certificate, and the time of its use.

use der::asn1::ObjectIdentifier;

use crate::types::UnixSeconds;

/// The purpose of the leaf of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A station connects to its CSMS: a TLS client.
    Station,
    /// A CSMS: a TLS server whose host name is the common name (A00.FR.510).
    Csms,
    /// A station that a vehicle connects to: a TLS server whose common name is its SeccId (ISO
    /// 15118).
    Secc,
}

impl Purpose {
    /// The purpose in extendedKeyUsage, and its name.
    pub(super) fn extended_key_usage(self) -> (ObjectIdentifier, &'static str) {
        match self {
            Self::Station => (CLIENT_AUTH, "clientAuth"),
            Self::Csms | Self::Secc => (SERVER_AUTH, "serverAuth"),
        }
    }
}

/// When a certificate must be valid: at some time between the two, which are the same if the clock
/// is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The earliest time.
    pub earliest: UnixSeconds,
    /// The latest time.
    pub latest: UnixSeconds,
}

impl From<UnixSeconds> for Window {
    fn from(now: UnixSeconds) -> Self {
        Self { earliest: now, latest: now }
    }
}

/// id-kp-clientAuth
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// id-kp-serverAuth
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
