//! Why a certificate was not sent.

use ocpp_transport::{CallFailure, Peer};
use ocpp_types::Version;

use crate::ledger::LedgerEntry;

/// Why a certificate was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSent {
    /// The version of the connection has no value for the use of the certificate. Another version
    /// may have one.
    #[error("{version} cannot carry a certificate of type {certificate_type}")]
    Version {
        /// The version of the connection.
        version: Version,
        /// The type of the certificate.
        certificate_type: String,
    },
    /// The chain in the ledger is too long for any message.
    #[error("the chain is too long for CertificateSigned")]
    Chain,
    /// There was no answer.
    #[error(transparent)]
    Call(#[from] CallFailure),
}

impl NotSent {
    /// Whether the station may have received the certificate anyway.
    pub(crate) fn was_sent(&self) -> bool {
        matches!(
            self,
            Self::Call(
                CallFailure::CallError { .. }
                    | CallFailure::Timeout
                    | CallFailure::Disconnected
                    | CallFailure::InvalidResponse(_)
                    | CallFailure::Unreadable(_)
            )
        )
    }

    /// The version of the connection has no value for the use of the certificate.
    pub(crate) fn version(peer: &Peer, entry: &LedgerEntry) -> Self {
        let certificate_type = entry.certificate_type.clone().unwrap_or_default();
        Self::Version { version: peer.version(), certificate_type }
    }
}
