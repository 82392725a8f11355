//! What the station asks and what the CSMS answers, in terms of no version of OCPP.

use std::time::{Duration, SystemTime};

use ocpp_transport::{CallFailure, Registration};
use ocpp_types::{RpcErrorCode, TooLong, Version};
use station_store::{CertificateSigningUse, HashData};

/// What the station says of itself when it boots.
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
    /// Its power came up, or its program was started.
    #[default]
    PowerUp,
    /// The CSMS reset it.
    RemoteReset,
}

/// The answer to BootNotification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BootAnswer {
    pub(crate) registration: Registration,
    /// Between heartbeats, or before the next attempt to boot; zero leaves it to the station.
    pub(crate) interval: Duration,
    /// The clock of the CSMS.
    pub(crate) time: SystemTime,
}

/// A certificate to be asked for.
#[derive(Clone, Debug)]
pub(crate) struct SignRequest {
    /// PKCS #10 in PEM.
    pub(crate) csr: String,
    pub(crate) use_: CertificateSigningUse,
    /// `requestId`, where the version has it (A02.FR.24).
    pub(crate) request_id: Option<i64>,
    /// `hashRootCertificate`, where the version has it (A02.FR.27).
    pub(crate) root: Option<HashData>,
}

/// The answer to SignCertificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignAnswer {
    /// The certificate will follow (A02.FR.11).
    Accepted,
    /// It will not (A02.FR.12).
    Rejected { reason: Option<String> },
}

/// The answer to GetCertificateStatus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StatusAnswer {
    /// `ocspResult`
    Accepted { ocsp_result: String },
    /// The CSMS could not find it out (M06.FR.04).
    Failed { reason: Option<String> },
}

/// Why the CSMS gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// The connection failed, or the CSMS did.
    #[error(transparent)]
    Call(#[from] CallFailure),
    /// The message has no room for what is to be said.
    #[error("the message has no room for it")]
    TooLong(#[from] TooLong),
    /// The version of the connection has no such message.
    #[error("{version} has no {message}")]
    NoSuchMessage { message: &'static str, version: Version },
}

impl AskError {
    /// Whether the CSMS has answered, by CALLERROR.
    pub(crate) fn is_answer(&self) -> bool {
        matches!(self, Self::Call(CallFailure::CallError { .. }))
    }

    /// Whether the CSMS has answered with a CALLRESULT of which nothing can be read. An answer with
    /// the id of the message means that the message has arrived.
    pub(crate) fn has_arrived(&self) -> bool {
        matches!(self, Self::Call(CallFailure::InvalidResponse(_) | CallFailure::Unreadable(_)))
    }

    /// Whether the same message may be accepted later: the CALLERROR is about the CSMS, and not
    /// about the message.
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

/// How far an event was reported to the CSMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reporting {
    /// The CSMS has it.
    Reported,
    /// Not at all: in the version of the connection it is not critical (A04.FR.04).
    LogOnly,
}
