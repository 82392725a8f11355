//! Sends the requests of the CSMS. A file for each version of OCPP translates them and makes no
//! decisions.

mod not_sent;
mod v16;
mod v2;
mod v201;
mod v21;

use ocpp_transport::{CallFailure, Peer};

pub(crate) use self::not_sent::NotSent;
use crate::{
    config::OcppVersion,
    ledger::{Delivery, LedgerEntry, PasswordAnswer},
    stations::connection::version_of,
};

/// Asks a station to request a new certificate (A02), and returns its answer.
pub(crate) async fn ask_to_renew(peer: &Peer) -> Result<&'static str, CallFailure> {
    match version_of(peer)? {
        OcppVersion::V16 => v16::ask_to_renew(peer).await,
        OcppVersion::V201 => v201::ask_to_renew(peer).await,
        OcppVersion::V21 => v21::ask_to_renew(peer).await,
    }
}

/// Sends a certificate in the version of this connection. The certificate may have been requested
/// in another version.
pub(crate) async fn send_certificate(peer: &Peer, entry: &LedgerEntry) -> Result<Delivery, NotSent> {
    match version_of(peer)? {
        OcppVersion::V16 => v16::send_certificate(peer, entry).await,
        OcppVersion::V201 => v201::send_certificate(peer, entry).await,
        OcppVersion::V21 => v21::send_certificate(peer, entry).await,
    }
}

/// The longest chain that the station accepts, in characters (A02.FR.16); `None` if the station
/// does not report it.
pub(crate) async fn longest_chain(peer: &Peer) -> Result<Option<usize>, CallFailure> {
    let reported = match version_of(peer)? {
        OcppVersion::V16 => v16::longest_chain(peer).await,
        OcppVersion::V201 => v201::longest_chain(peer).await,
        OcppVersion::V21 => v21::longest_chain(peer).await,
    };
    match reported {
        Ok(reported) => Ok(reported.and_then(|text| text.trim().parse().ok())),
        // The station has no such variable, and answers with an error.
        Err(CallFailure::CallError { .. } | CallFailure::InvalidResponse(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Sends a new password (A01.FR.02). Returns the station's answer, and its status as text. The
/// answer is `None` if the password takes effect after the next reboot.
pub(crate) async fn send_password(
    peer: &Peer,
    password: &str,
) -> Result<(Option<PasswordAnswer>, &'static str), CallFailure> {
    let answer = match version_of(peer)? {
        OcppVersion::V16 => v16::send_password(peer, password).await,
        OcppVersion::V201 => v201::send_password(peer, password).await,
        OcppVersion::V21 => v21::send_password(peer, password).await,
    };
    match answer {
        // An error of the protocol is a refusal.
        Err(CallFailure::CallError { .. }) => Ok((Some(PasswordAnswer::Refused), "CALLERROR")),
        answer => answer,
    }
}
