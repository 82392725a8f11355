//! The handlers of OCPP 2.1.

super::v2::words_of_v2!(v21);

fn wanted(request: &TriggerMessageRequest) -> Trigger {
    let evse = request.evse.as_ref().map(|evse| evse.id.get());
    let sign = |use_| Trigger::Sign { use_, evse };
    match request.requested_message {
        MessageTriggerEnumType::BootNotification => Trigger::BootNotification,
        MessageTriggerEnumType::Heartbeat => Trigger::Heartbeat,
        MessageTriggerEnumType::SignChargingStationCertificate => {
            sign(CertificateSigningUse::ChargingStation)
        }
        // A02.FR.22, A02.FR.23
        MessageTriggerEnumType::SignV2GCertificate => sign(CertificateSigningUse::V2g),
        MessageTriggerEnumType::SignV2G20Certificate => sign(CertificateSigningUse::V2g20),
        MessageTriggerEnumType::SignCombinedCertificate => sign(CertificateSigningUse::Combined),
        _ => Trigger::Other,
    }
}

/// `ImmediateAndResume` is treated as `Immediate`: there is no transaction to resume after the
/// reset.
fn reset_of(request: &ResetRequest) -> ResetOf {
    if request.evse_id.is_some() { ResetOf::Evse } else { ResetOf::Station }
}
