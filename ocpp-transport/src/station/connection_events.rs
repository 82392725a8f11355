//! The security events of a station that cannot connect (A00), one for each episode.

use std::collections::BTreeSet;
use std::fmt;

use crate::tls::TlsFailure;

/// A security event that a connected station reports about its earlier, failed attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// The CSMS's certificate was not valid (A00.FR.310, A00.FR.413).
    InvalidCsmsCertificate,
    /// The CSMS offers nothing newer than TLS 1.1 (A00.FR.317, A00.FR.420).
    InvalidTlsVersion,
    /// The CSMS offers no permitted cipher suite (A00.FR.323, A00.FR.426).
    InvalidTlsCipherSuite,
    /// The CSMS refused the station's password or certificate (A00.FR.207, A00.FR.324, A00.FR.407).
    FailedToAuthenticateAtCsms,
}

impl ConnectionEvent {
    /// The event for a failure of TLS, if there is one.
    #[must_use]
    pub fn of_tls(failure: &TlsFailure) -> Option<Self> {
        match failure {
            TlsFailure::BadServerCertificate { .. } => Some(Self::InvalidCsmsCertificate),
            TlsFailure::Version => Some(Self::InvalidTlsVersion),
            TlsFailure::CipherSuite => Some(Self::InvalidTlsCipherSuite),
            TlsFailure::OwnCertificateRefused { .. } => Some(Self::FailedToAuthenticateAtCsms),
            _ => None,
        }
    }

    /// The event for the HTTP status of a refusal, if there is one.
    #[must_use]
    pub fn of_status(status: u16) -> Option<Self> {
        matches!(status, 401 | 403).then_some(Self::FailedToAuthenticateAtCsms)
    }

    /// The name in OCPP's list.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidCsmsCertificate => "InvalidCsmsCertificate",
            Self::InvalidTlsVersion => "InvalidTLSVersion",
            Self::InvalidTlsCipherSuite => "InvalidTLSCipherSuite",
            Self::FailedToAuthenticateAtCsms => "FailedToAuthenticateAtCsms",
        }
    }
}

impl fmt::Display for ConnectionEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The events that were reported since the last connection. While the CSMS cannot be reached, one
/// notification of each event is enough, however many attempts fail (A00.FR.316, A00.FR.419, note).
#[derive(Debug, Default)]
pub(crate) struct Episode {
    reported: BTreeSet<ConnectionEvent>,
}

impl Episode {
    /// An attempt has failed with this event. Returns whether to report it.
    pub(crate) fn handle_event(&mut self, event: ConnectionEvent) -> bool {
        self.reported.insert(event)
    }

    /// A connection is established: the next event begins a new episode.
    pub(crate) fn handle_connected(&mut self) {
        self.reported.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a00_fr_316_a00_fr_419_one_event_for_repeated_failures() {
        let mut episode = Episode::default();
        assert!(episode.handle_event(ConnectionEvent::InvalidCsmsCertificate));
        assert!(!episode.handle_event(ConnectionEvent::InvalidCsmsCertificate));
        assert!(episode.handle_event(ConnectionEvent::InvalidTlsVersion));
        episode.handle_connected();
        assert!(episode.handle_event(ConnectionEvent::InvalidCsmsCertificate));
    }
}
