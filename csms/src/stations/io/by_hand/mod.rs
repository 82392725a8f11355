//! Requests that an operator may send to a station by hand, in the version of its connection.

mod send;
mod v16;
mod v201;
mod v21;

use ocpp_transport::Peer;
use ocpp_types::{
    Request as _,
    v201::{
        DeleteCertificateRequest, GetInstalledCertificateIdsRequest, InstallCertificateRequest,
        TriggerMessageRequest,
    },
};
use serde_json::{json, value::RawValue};

pub(crate) use self::send::OperatorCallError;
use crate::{
    config::OcppVersion,
    stations::{connection::version_of, words::in_words_of},
};

/// Sends a request, given as JSON, to a station and returns its response as JSON.
///
/// # Errors
/// [`OperatorCallError`].
///
/// # Cancel safety
/// Dropping the future stops the wait. The request may have been sent.
pub(crate) async fn call(peer: &Peer, action: &str, payload: &str) -> Result<String, OperatorCallError> {
    match version(peer)? {
        OcppVersion::V16 => v16::call(peer, action, payload).await,
        OcppVersion::V201 => v201::call(peer, action, payload).await,
        OcppVersion::V21 => v21::call(peer, action, payload).await,
    }
}

/// Asks a station to send a message, with the action of the connection's version.
///
/// # Errors
/// [`OperatorCallError`].
///
/// # Cancel safety
/// See [`call`].
pub(crate) async fn trigger(peer: &Peer, message: &str) -> Result<String, OperatorCallError> {
    let version = version(peer)?;
    let action = match version {
        OcppVersion::V16 => v16::trigger_action(message),
        OcppVersion::V201 | OcppVersion::V21 => TriggerMessageRequest::ACTION,
    };
    let message = in_words_of(version, message);
    call(peer, action, &json!({ "requestedMessage": message }).to_string()).await
}

/// Installs a root on a station.
///
/// # Errors
/// [`OperatorCallError`].
///
/// # Cancel safety
/// See [`call`].
pub(crate) async fn install(
    peer: &Peer,
    certificate_type: &str,
    certificate: &str,
) -> Result<String, OperatorCallError> {
    let certificate_type = in_words_of(version(peer)?, certificate_type);
    let payload = json!({ "certificateType": certificate_type, "certificate": certificate });
    // The action and its fields have the same names in every version.
    call(peer, InstallCertificateRequest::ACTION, &payload.to_string()).await
}

/// Lists the certificates that are installed on a station, in the format of OCPP 2.x.
///
/// # Errors
/// [`OperatorCallError`].
///
/// # Cancel safety
/// See [`call`].
pub(crate) async fn inventory(peer: &Peer) -> Result<String, OperatorCallError> {
    match version(peer)? {
        OcppVersion::V16 => v16::inventory(peer).await,
        OcppVersion::V201 | OcppVersion::V21 => {
            call(peer, GetInstalledCertificateIdsRequest::ACTION, "{}").await
        }
    }
}

/// Deletes a certificate from a station, by the hash data that it has reported.
///
/// # Errors
/// [`OperatorCallError`].
///
/// # Cancel safety
/// See [`call`].
pub(crate) async fn delete(peer: &Peer, hash_data: &RawValue) -> Result<String, OperatorCallError> {
    let payload = format!(r#"{{"certificateHashData":{}}}"#, hash_data.get());
    // The action and its fields have the same names in every version.
    call(peer, DeleteCertificateRequest::ACTION, &payload).await
}

fn version(peer: &Peer) -> Result<OcppVersion, OperatorCallError> {
    version_of(peer).map_err(OperatorCallError::Version)
}
