//! The station's requests and the answers of the CSMS, independent of the version of OCPP.

use std::time::{Duration, SystemTime};

use ocpp_transport::{CallFailure, Registration};
use ocpp_types::{RpcErrorCode, TooLong, Version};
use station_store::{CertificateSigningUse, HashData};

/// The content of BootNotification.
#[derive(Clone, Debug)]
pub(crate) struct Boot {
    pub(crate) model: String,
    pub(crate) vendor: String,
    pub(crate) serial_number: String,
    pub(crate) firmware_version: Option<String>,
    pub(crate) reason: BootReason,
}

/// Why a station starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BootReason {
    /// The station was powered up, or its program was started.
    #[default]
    PowerUp,
    /// The CSMS reset it.
    RemoteReset,
}

/// The answer to BootNotification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BootAnswer {
    pub(crate) registration: Registration,
    /// The interval between heartbeats, or before the next attempt to boot. Zero: the station
    /// chooses.
    pub(crate) interval: Duration,
    /// The time of the CSMS.
    pub(crate) time: SystemTime,
}

/// A request for a certificate.
#[derive(Clone, Debug)]
pub(crate) struct SignRequest {
    /// PKCS #10 in PEM.
    pub(crate) csr: String,
    pub(crate) use_: CertificateSigningUse,
    /// `requestId`, if the version has it (A02.FR.24).
    pub(crate) request_id: Option<i64>,
    /// `hashRootCertificate`, if the version has it (A02.FR.27).
    pub(crate) root: Option<HashData>,
}

/// The answer to SignCertificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignAnswer {
    /// The certificate will follow (A02.FR.11).
    Accepted,
    /// No certificate will follow (A02.FR.12).
    Rejected { reason: Option<String> },
}

/// The answer to GetCertificateStatus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StatusAnswer {
    /// `ocspResult`
    Accepted { ocsp_result: String },
    /// The CSMS could not obtain the status (M06.FR.04).
    Failed { reason: Option<String> },
}

/// Why the CSMS gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// The connection or the CSMS failed.
    #[error(transparent)]
    Call(#[from] CallFailure),
    /// A value is too long for the message.
    #[error("the message has no room for it")]
    TooLong(#[from] TooLong),
    /// The version of the connection has no such message.
    #[error("{version} has no {message}")]
    NoSuchMessage { message: &'static str, version: Version },
}

impl AskError {
    /// Whether the CSMS has answered, with a CALLERROR.
    pub(crate) fn is_answer(&self) -> bool {
        matches!(self, Self::Call(CallFailure::CallError { .. }))
    }

    /// Whether the CSMS has answered with a CALLRESULT that cannot be parsed. An answer with the id
    /// of the message proves that the message has arrived.
    pub(crate) fn has_arrived(&self) -> bool {
        matches!(self, Self::Call(CallFailure::InvalidResponse(_) | CallFailure::Unreadable(_)))
    }

    /// Whether the same message may be accepted later: the CALLERROR concerns the CSMS, not the
    /// message.
    pub(crate) fn may_pass(&self) -> bool {
        use RpcErrorCode as Code;
        let Self::Call(CallFailure::CallError { code, .. }) = self else { return false };
        !matches!(
            code,
            Code::NotImplemented
                | Code::NotSupported
                | Code::MessageTypeNotSupported
                | Code::ProtocolError
                | Code::FormatViolation
                | Code::PropertyConstraintViolation
                | Code::OccurrenceConstraintViolation
                | Code::TypeConstraintViolation
        )
    }
}

/// Whether an event was reported to the CSMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reporting {
    /// The CSMS has received it.
    Reported,
    /// The event was not reported: in the version of the connection it is not critical (A04.FR.04).
    LogOnly,
}
