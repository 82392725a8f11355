//! Why the TLS handshake of a CSMS with a station failed, told apart as OCPP's security events need it.

use std::io;

use rustls::PeerIncompatible;

use crate::tls::{BadCertificate, SecurityEventKind};

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the station offers nothing newer than TLS 1.1")]
    Version(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the station offers no permitted cipher suite")]
    CipherSuite(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the station's certificate is not valid")]
    Certificate(#[source] BadCertificate),
    #[error("the TLS handshake failed")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the connection failed during the TLS handshake")]
    Io(#[source] io::Error),
}

impl HandshakeError {
    /// Sorts an error of a TLS stream of rustls.
    pub(crate) fn from_rustls(error: io::Error) -> Self {
        let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) else {
            return Self::Io(error);
        };
        match cause.clone() {
            rustls::Error::InvalidCertificate(error) => Self::Certificate(BadCertificate::from_rustls(error)),
            error @ rustls::Error::PeerIncompatible(
                PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired,
            ) => Self::Version(error.into()),
            error @ rustls::Error::PeerIncompatible(
                PeerIncompatible::NoCipherSuitesInCommon
                | PeerIncompatible::NoKxGroupsInCommon
                | PeerIncompatible::NoSignatureSchemesInCommon
                | PeerIncompatible::NullCompressionRequired,
            ) => Self::CipherSuite(error.into()),
            error => Self::Other(error.into()),
        }
    }

    /// The security event that it is, if any.
    pub(crate) fn event(&self) -> Option<SecurityEventKind> {
        match self {
            // A00.FR.313, A00.FR.416
            Self::Version(_) => Some(SecurityEventKind::InvalidTlsVersion),
            // A00.FR.322, A00.FR.425
            Self::CipherSuite(_) => Some(SecurityEventKind::InvalidTlsCipherSuite),
            // A00.FR.407, A00.FR.408
            Self::Certificate(_) => Some(SecurityEventKind::InvalidChargingStationCertificate),
            Self::Other(_) | Self::Io(_) => None,
        }
    }
}
