//! Why a certificate was not sent.

use ocpp_transport::{CallFailure, Peer};
use ocpp_types::Version;

use crate::ledger::LedgerEntry;

/// Why a certificate was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSent {
    /// The version of the connection has no word for what it is for; another one may have.
    #[error("{version} cannot carry a certificate of type {certificate_type}")]
    Version {
        /// The connection's.
        version: Version,
        /// The certificate's.
        certificate_type: String,
    },
    /// The ledger holds a chain that no message can carry.
    #[error("the chain is too long for CertificateSigned")]
    Chain,
    /// There was no answer.
    #[error(transparent)]
    Call(#[from] CallFailure),
}

impl NotSent {
    /// Whether the station may have the certificate all the same.
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

    /// The version of the connection has no word for what the certificate is for.
    pub(crate) fn version(peer: &Peer, entry: &LedgerEntry) -> Self {
        let certificate_type = entry.certificate_type.clone().unwrap_or_default();
        Self::Version { version: peer.version(), certificate_type }
    }
}
