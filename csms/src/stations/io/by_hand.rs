//! Requests that an operator may send to a station by hand, decoded by their names in the version
//! of its connection.

use certificates::{HashAlgorithm, HashData};
use ocpp_transport::{CallFailure, Peer};
use ocpp_types::{Request, Version, v16, v21, v201};
use serde_json::{Value, json, value::RawValue};

/// Why an operator's request brought no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OperatorCallError {
    /// The action is not one that an operator may send.
    #[error("{action} of {version} cannot be sent by hand; what can be: {}", actions.join(", "))]
    Action {
        /// The action.
        action: String,
        /// The connection's.
        version: Version,
        /// Those that can.
        actions: &'static [&'static str],
    },
    /// A password that the service does not learn of would lock the station out.
    #[error("a password is changed with `ocpp-csms set-password`, so that this service knows it too")]
    Password,
    /// The payload breaks the action's schema; nothing was sent.
    #[error("the payload of {action} is not valid in {version}")]
    Payload {
        /// The action.
        action: &'static str,
        /// The connection's.
        version: Version,
        /// Pointer and rule.
        source: ocpp_types::DecodeError,
    },
    /// The station did not answer with a response.
    #[error("{action} brought no response")]
    Call {
        /// The action.
        action: &'static str,
        /// What came instead.
        source: CallFailure,
    },
    /// The station's response cannot be written.
    #[error("the response to {action} cannot be written")]
    Response {
        /// The action.
        action: &'static str,
        /// Why.
        source: ocpp_types::EncodeError,
    },
}

/// The actions that may be sent by hand in one version, each with what a request of it must not ask
/// for.
macro_rules! by_hand {
    ($function:ident, $version:ident: $($request:ident $(unless $forbidden:expr)?),* $(,)?) => {
        async fn $function(peer: &Peer, action: &str, payload: &str) -> Result<String, OperatorCallError> {
            const ACTIONS: &[&str] = &[$($version::$request::ACTION),*];
            match action {
                $($version::$request::ACTION => {
                    let request = decode::<$version::$request>(payload)?;
                    $(if $forbidden(&request) {
                        return Err(OperatorCallError::Password);
                    })?
                    send(peer, request).await
                })*
                _ => Err(OperatorCallError::Action {
                    action: action.to_owned(),
                    version: peer.version(),
                    actions: ACTIONS,
                }),
            }
        }
    };
}

by_hand!(call_v16, v16:
    ExtendedTriggerMessageRequest,
    TriggerMessageRequest,
    InstallCertificateRequest,
    GetInstalledCertificateIdsRequest,
    DeleteCertificateRequest,
    ChangeConfigurationRequest unless |request: &v16::ChangeConfigurationRequest| {
        request.key.eq_ignore_ascii_case("AuthorizationKey")
    },
    GetConfigurationRequest,
    ResetRequest,
);

by_hand!(call_v201, v201:
    TriggerMessageRequest,
    InstallCertificateRequest,
    GetInstalledCertificateIdsRequest,
    DeleteCertificateRequest,
    SetNetworkProfileRequest,
    SetVariablesRequest unless |request: &v201::SetVariablesRequest| {
        request.set_variable_data.iter().any(|data| is_password(&data.variable.name))
    },
    GetVariablesRequest,
    ResetRequest,
);

by_hand!(call_v21, v21:
    TriggerMessageRequest,
    InstallCertificateRequest,
    GetInstalledCertificateIdsRequest,
    DeleteCertificateRequest,
    SetNetworkProfileRequest unless |request: &v21::SetNetworkProfileRequest| {
        request.connection_data.basic_auth_password.is_some()
    },
    SetVariablesRequest unless |request: &v21::SetVariablesRequest| {
        request.set_variable_data.iter().any(|data| is_password(&data.variable.name))
    },
    GetVariablesRequest,
    ResetRequest,
);

/// Sends a request, given as JSON, to a station and returns its response as JSON.
///
/// # Errors
/// [`OperatorCallError`].
///
/// # Cancel safety
/// Dropping the future gives up waiting; the request may have been sent.
pub(crate) async fn call(peer: &Peer, action: &str, payload: &str) -> Result<String, OperatorCallError> {
    match peer.version() {
        Version::V16 => call_v16(peer, action, payload).await,
        Version::V21 => call_v21(peer, action, payload).await,
        _ => call_v201(peer, action, payload).await,
    }
}

/// Asks a station for a message, by the action that its version has for that.
///
/// # Errors
/// [`OperatorCallError`].
///
/// # Cancel safety
/// As [`call`].
pub(crate) async fn trigger(peer: &Peer, message: &str) -> Result<String, OperatorCallError> {
    let action = match peer.version() {
        // All that the security whitepaper's own action does not know is
        // DiagnosticsStatusNotification.
        Version::V16 if message != "DiagnosticsStatusNotification" => {
            v16::ExtendedTriggerMessageRequest::ACTION
        }
        _ => v201::TriggerMessageRequest::ACTION,
    };
    let message = in_words_of(peer.version(), message);
    call(peer, action, &json!({ "requestedMessage": message }).to_string()).await
}

/// Installs a root on a station.
///
/// # Errors
/// [`OperatorCallError`].
///
/// # Cancel safety
/// As [`call`].
pub(crate) async fn install(
    peer: &Peer,
    certificate_type: &str,
    certificate: &str,
) -> Result<String, OperatorCallError> {
    let certificate_type = in_words_of(peer.version(), certificate_type);
    let payload = json!({ "certificateType": certificate_type, "certificate": certificate });
    call(peer, v201::InstallCertificateRequest::ACTION, &payload.to_string()).await
}

/// Lists what is installed on a station, in the shape of OCPP 2.x. In 1.6 that takes one request
/// for each use.
///
/// # Errors
/// [`OperatorCallError`].
///
/// # Cancel safety
/// As [`call`].
pub(crate) async fn inventory(peer: &Peer) -> Result<String, OperatorCallError> {
    if peer.version() != Version::V16 {
        return call(peer, v201::GetInstalledCertificateIdsRequest::ACTION, "{}").await;
    }
    let mut chains = Vec::new();
    for certificate_type in v16::CertificateUseEnumType::ALL {
        let request = v16::GetInstalledCertificateIdsRequest::new(*certificate_type);
        let action = v16::GetInstalledCertificateIdsRequest::ACTION;
        let response =
            peer.call(request).await.map_err(|source| OperatorCallError::Call { action, source })?;
        chains.extend(response.certificate_hash_data.into_iter().flatten().map(|data| {
            json!({
                "certificateType": certificate_type.as_str(),
                "certificateHashData": {
                    "hashAlgorithm": data.hash_algorithm.as_str(),
                    "issuerNameHash": data.issuer_name_hash.as_str(),
                    "issuerKeyHash": data.issuer_key_hash.as_str(),
                    "serialNumber": data.serial_number.as_str(),
                },
            })
        }));
    }
    Ok(match chains.is_empty() {
        true => json!({ "status": "NotFound" }),
        false => json!({ "status": "Accepted", "certificateHashDataChain": chains }),
    }
    .to_string())
}

/// Deletes a certificate from a station, by the hash data that it has told.
///
/// # Errors
/// [`OperatorCallError`].
///
/// # Cancel safety
/// As [`call`].
pub(crate) async fn delete(peer: &Peer, hash_data: &RawValue) -> Result<String, OperatorCallError> {
    let payload = format!(r#"{{"certificateHashData":{}}}"#, hash_data.get());
    call(peer, v201::DeleteCertificateRequest::ACTION, &payload).await
}

/// Whether a station that has [listed](inventory) this has no CSMS root left when it deletes a
/// certificate.
pub(crate) fn is_last_csms_root(version: Version, listed: &str, hash_data: &RawValue) -> bool {
    let Ok(listed) = serde_json::from_str::<Value>(listed) else { return false };
    let Ok(wanted) = serde_json::from_str::<Value>(hash_data.get()) else { return false };
    let csms_root = in_words_of(version, "CSMSRootCertificate");
    let chains = listed["certificateHashDataChain"].as_array().into_iter().flatten();
    let roots: Vec<_> = chains
        .filter(|chain| chain["certificateType"] == csms_root)
        .map(|chain| &chain["certificateHashData"])
        .collect();
    let wanted = read_hash_data(&wanted);
    matches!(roots.as_slice(), [only] if wanted.is_some() && read_hash_data(only) == wanted)
}

/// Hash data as the field of a message; `None` if it names no certificate.
fn read_hash_data(data: &Value) -> Option<HashData> {
    let member = |name: &str| data[name].as_str().unwrap_or_default();
    let algorithm = member("hashAlgorithm");
    let algorithm = HashAlgorithm::ALL.into_iter().find(|known| known.as_str() == algorithm)?;
    let (name, key) = (member("issuerNameHash"), member("issuerKeyHash"));
    HashData::parse(algorithm, name, key, member("serialNumber")).ok()
}

/// The word that a version has for the same thing, so that one command serves a mixed fleet.
fn in_words_of(version: Version, word: &str) -> &str {
    const WORDS: [(&str, &str); 2] = [
        ("SignChargePointCertificate", "SignChargingStationCertificate"),
        ("CentralSystemRootCertificate", "CSMSRootCertificate"),
    ];
    let of_1_6 = version == Version::V16;
    let pair = WORDS.iter().find(|pair| [pair.0, pair.1].contains(&word));
    pair.map_or(word, |pair| if of_1_6 { pair.0 } else { pair.1 })
}

fn decode<R: Request>(payload: &str) -> Result<R, OperatorCallError> {
    let (action, version) = (R::ACTION, R::VERSION);
    ocpp_types::decode(payload).map_err(|source| OperatorCallError::Payload { action, version, source })
}

async fn send<R: Request>(peer: &Peer, request: R) -> Result<String, OperatorCallError> {
    let action = R::ACTION;
    let response = peer.call(request).await.map_err(|source| OperatorCallError::Call { action, source })?;
    ocpp_types::encode(&response).map_err(|source| OperatorCallError::Response { action, source })
}

/// `identifierString` does not distinguish case.
fn is_password(variable: &str) -> bool {
    variable.eq_ignore_ascii_case("BasicAuthPassword")
}
