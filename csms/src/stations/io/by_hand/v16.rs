//! The actions that may be sent by hand in OCPP 1.6.

use ocpp_transport::Peer;
use ocpp_types::{Request as _, v16};
use serde_json::json;

use crate::stations::io::by_hand::send::{OperatorCallError, by_hand, decode, send};

by_hand!(v16:
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

/// The action that asks a station for this message.
pub(super) fn trigger_action(message: &str) -> &'static str {
    // The security whitepaper's own action supports all messages except
    // DiagnosticsStatusNotification.
    match message {
        "DiagnosticsStatusNotification" => v16::TriggerMessageRequest::ACTION,
        _ => v16::ExtendedTriggerMessageRequest::ACTION,
    }
}

/// Lists the installed certificates in the format of OCPP 2.x. This takes one request for each use.
pub(super) async fn inventory(peer: &Peer) -> Result<String, OperatorCallError> {
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
