//! Why a CSMS's TLS handshake with a station failed, in the categories of OCPP's security events.

use std::io;

use rustls::PeerIncompatible;

use crate::tls::{BadCertificate, PresentedCertificate, SecurityEventKind};

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the station offers nothing newer than TLS 1.1")]
    Version,
    #[error("the station offers no permitted cipher suite")]
    CipherSuite(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the station's certificate is not valid")]
    Certificate {
        presented: Option<Box<PresentedCertificate>>,
        #[source]
        reason: BadCertificate,
    },
    #[error("the TLS handshake failed")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the connection failed during the TLS handshake")]
    Io(#[source] io::Error),
}

impl HandshakeError {
    /// Classifies an error of a TLS stream of rustls.
    pub(crate) fn from_rustls(error: io::Error) -> Self {
        let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) else {
            return Self::Io(plain(error));
        };
        match cause.clone() {
            rustls::Error::InvalidCertificate(error) => {
                Self::Certificate { presented: None, reason: BadCertificate::from_rustls(error) }
            }
            rustls::Error::PeerIncompatible(
                PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired,
            ) => Self::Version,
            error @ rustls::Error::PeerIncompatible(
                PeerIncompatible::NoCipherSuitesInCommon
                | PeerIncompatible::NoKxGroupsInCommon
                | PeerIncompatible::NoSignatureSchemesInCommon
                | PeerIncompatible::NullCompressionRequired,
            ) => Self::CipherSuite(error.into()),
            error => Self::Other(error.into()),
        }
    }

    /// Adds the certificate that was refused.
    pub(crate) fn with_presented(self, refused: Option<PresentedCertificate>) -> Self {
        match self {
            Self::Certificate { reason, presented: None } => {
                Self::Certificate { reason, presented: refused.map(Box::new) }
            }
            error => error,
        }
    }

    /// The certificate that was refused, if one was.
    pub(crate) fn presented(&self) -> Option<&PresentedCertificate> {
        match self {
            Self::Certificate { presented, .. } => presented.as_deref(),
            Self::Version | Self::CipherSuite(_) | Self::Other(_) | Self::Io(_) => None,
        }
    }

    /// The security event of the error, if there is one.
    pub(crate) fn event(&self) -> Option<SecurityEventKind> {
        match self {
            // A00.FR.313, A00.FR.416
            Self::Version => Some(SecurityEventKind::InvalidTlsVersion),
            // A00.FR.322, A00.FR.425
            Self::CipherSuite(_) => Some(SecurityEventKind::InvalidTlsCipherSuite),
            // A00.FR.407, A00.FR.408
            Self::Certificate { .. } => Some(SecurityEventKind::InvalidChargingStationCertificate),
            Self::Other(_) | Self::Io(_) => None,
        }
    }
}

/// An error of a socket for people. If the peer cuts the connection, rustls returns the URL of its
/// manual.
pub(crate) fn plain(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "the peer cut the connection"),
        _ => error,
    }
}

/// Whether a connection begins with the hello of a client that supports nothing newer than TLS 1.1.
/// A client with TLS 1.3 sends TLS 1.2 here. The libraries check other parts of such a hello first,
/// and report the parts that it cannot contain as missing.
pub(crate) fn is_too_old(first_bytes: &[u8; HELLO_VERSION_END]) -> bool {
    let &[content, record, _, _, _, message, _, _, _, major, minor] = first_bytes;
    // A handshake record with a ClientHello.
    content == 22 && record == 3 && message == 1 && u16::from_be_bytes([major, minor]) < 0x0303
}

/// The end of the version in the first bytes of a client.
pub(crate) const HELLO_VERSION_END: usize = 11;

/// The record that refuses such a hello: a fatal alert, `protocol_version`.
pub(crate) const PROTOCOL_VERSION_ALERT: [u8; 7] = [21, 3, 1, 0, 2, 2, 70];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a00_fr_313_the_version_stands_in_the_hello() {
        let hello = |version: u16| {
            let [major, minor] = version.to_be_bytes();
            [22, 3, 1, 0, 200, 1, 0, 0, 196, major, minor]
        };
        for (version, expected) in [(0x0300, true), (0x0301, true), (0x0302, true), (0x0303, false)] {
            assert_eq!(is_too_old(&hello(version)), expected, "{version:#06x}");
        }
        assert!(!is_too_old(b"GET / HTTP/"));
    }
}
