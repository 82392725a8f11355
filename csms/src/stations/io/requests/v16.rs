//! Sends the requests of OCPP 1.6 with its security extension.

use ocpp_transport::{CallFailure, Peer};
use ocpp_types::{
    BoundedString,
    v16::{
        CertificateSignedRequest, CertificateSignedStatusEnumType, ChangeConfigurationRequest,
        ConfigurationStatus, ExtendedTriggerMessageRequest, GetConfigurationRequest, MessageTriggerEnumType,
    },
};
use signer_pkcs11::CertificateUse;

use crate::{
    ledger::{Delivery, LedgerEntry, PasswordAnswer},
    stations::io::requests::not_sent::NotSent,
};

pub(super) async fn ask_to_renew(peer: &Peer) -> Result<&'static str, CallFailure> {
    // No connector is named: the certificate belongs to the whole charge point.
    let trigger = MessageTriggerEnumType::SignChargePointCertificate;
    Ok(peer.call(ExtendedTriggerMessageRequest::new(trigger)).await?.status.as_str())
}

pub(super) async fn send_certificate(peer: &Peer, entry: &LedgerEntry) -> Result<Delivery, NotSent> {
    // In this version the only certificate is the one for the OCPP connection.
    let own = CertificateUse::ChargingStation.as_str();
    if entry.certificate_type.as_deref().is_some_and(|certificate_type| certificate_type != own) {
        return Err(NotSent::version(peer, entry));
    }
    let chain = BoundedString::try_from(entry.chain.as_str()).map_err(|_| NotSent::Chain)?;
    let answer = peer.call(CertificateSignedRequest::new(chain)).await?;
    Ok(match answer.status {
        CertificateSignedStatusEnumType::Accepted => Delivery::Accepted,
        // The response has no field for a reason; a SecurityEventNotification may follow.
        CertificateSignedStatusEnumType::Rejected => Delivery::Rejected { reason: None },
    })
}

pub(super) async fn longest_chain(peer: &Peer) -> Result<Option<String>, CallFailure> {
    let mut request = GetConfigurationRequest::new();
    request.key = Some(vec![name("CertificateSignedMaxChainSize")]);
    let answer = peer.call(request).await?;
    let keys = answer.configuration_key.unwrap_or_default();
    let reported =
        keys.into_iter().find(|entry| entry.key.eq_ignore_ascii_case("CertificateSignedMaxChainSize"));
    Ok(reported.and_then(|entry| entry.value).map(BoundedString::into_string))
}

pub(super) async fn send_password(
    peer: &Peer,
    password: &str,
) -> Result<(Option<PasswordAnswer>, &'static str), CallFailure> {
    // The text has at most 40 digits.
    let request =
        ChangeConfigurationRequest::new(name("AuthorizationKey"), BoundedString::truncated(password));
    let status = peer.call(request).await?.status;
    let answer = match status {
        ConfigurationStatus::Accepted => Some(PasswordAnswer::Taken),
        // The station uses the old password until it has rebooted.
        ConfigurationStatus::RebootRequired => None,
        // A01.FR.04 of the security whitepaper names both.
        ConfigurationStatus::Rejected | ConfigurationStatus::NotSupported => Some(PasswordAnswer::Refused),
    };
    Ok((answer, status.as_str()))
}

fn name<const N: usize>(text: &'static str) -> BoundedString<N> {
    BoundedString::try_from(text).expect("all names are short")
}
