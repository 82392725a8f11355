//! The station's requests to its CSMS, independent of the version of OCPP.
//!
//! Each function selects the message of the version that both sides agreed on. One file per version
//! translates it, and decides nothing.

mod message;
mod v16;
mod v2;
mod v201;
mod v21;

use std::time::SystemTime;

use ocpp_transport::{Peer, Registration};
use ocpp_types::Version;
use station_store::OcspDue;

pub use self::message::BootReason;
pub(crate) use self::message::{
    AskError, Boot, BootAnswer, Reporting, SignAnswer, SignRequest, StatusAnswer,
};
use crate::security_events::QueuedEvent;

/// BootNotification. `register` gets the answer before the next frame of the CSMS is handled.
pub(crate) async fn boot(
    peer: &Peer,
    boot: &Boot,
    register: impl FnOnce(Registration) + Send + 'static,
) -> Result<BootAnswer, AskError> {
    match peer.version() {
        Version::V16 => v16::boot(peer, boot, register).await,
        Version::V201 => v201::boot(peer, boot, register).await,
        Version::V21 => v21::boot(peer, boot, register).await,
        version => Err(AskError::NoSuchMessage { message: "BootNotification", version }),
    }
}

/// Heartbeat; returns the time of the CSMS.
pub(crate) async fn heartbeat(peer: &Peer) -> Result<SystemTime, AskError> {
    match peer.version() {
        Version::V16 => v16::heartbeat(peer).await,
        Version::V201 => v201::heartbeat(peer).await,
        Version::V21 => v21::heartbeat(peer).await,
        version => Err(AskError::NoSuchMessage { message: "Heartbeat", version }),
    }
}

/// SecurityEventNotification (A04).
pub(crate) async fn security_event(peer: &Peer, event: &QueuedEvent) -> Result<Reporting, AskError> {
    match peer.version() {
        Version::V16 => v16::security_event(peer, event).await,
        Version::V201 => v201::security_event(peer, event).await,
        Version::V21 => v21::security_event(peer, event).await,
        version => Err(AskError::NoSuchMessage { message: "SecurityEventNotification", version }),
    }
}

/// SignCertificate (A02, A03).
pub(crate) async fn sign_certificate(peer: &Peer, request: &SignRequest) -> Result<SignAnswer, AskError> {
    match peer.version() {
        Version::V16 => v16::sign_certificate(peer, request).await,
        Version::V201 => v201::sign_certificate(peer, request).await,
        Version::V21 => v21::sign_certificate(peer, request).await,
        version => Err(AskError::NoSuchMessage { message: "SignCertificate", version }),
    }
}

/// GetCertificateStatus (M06).
pub(crate) async fn certificate_status(peer: &Peer, due: OcspDue) -> Result<StatusAnswer, AskError> {
    match peer.version() {
        Version::V16 => v16::certificate_status(peer),
        Version::V201 => v201::certificate_status(peer, due).await,
        Version::V21 => v21::certificate_status(peer, due).await,
        version => Err(AskError::NoSuchMessage { message: "GetCertificateStatus", version }),
    }
}
