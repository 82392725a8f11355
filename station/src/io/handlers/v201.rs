//! The handlers of OCPP 2.0.1.

super::v2::words_of_v2!(v201);

fn wanted(request: &TriggerMessageRequest) -> Trigger {
    let evse = request.evse.as_ref().map(|evse| evse.id);
    let sign = |use_| Trigger::Sign { use_, evse };
    match request.requested_message {
        MessageTriggerEnumType::BootNotification => Trigger::BootNotification,
        MessageTriggerEnumType::Heartbeat => Trigger::Heartbeat,
        MessageTriggerEnumType::SignChargingStationCertificate => {
            sign(CertificateSigningUse::ChargingStation)
        }
        MessageTriggerEnumType::SignV2GCertificate => sign(CertificateSigningUse::V2g),
        MessageTriggerEnumType::SignCombinedCertificate => sign(CertificateSigningUse::Combined),
        _ => Trigger::Other,
    }
}

fn reset_of(request: &ResetRequest) -> ResetOf {
    if request.evse_id.is_some() { ResetOf::Evse } else { ResetOf::Station }
}
