//! The station's requests to its CSMS, in OCPP 2.0.1.

super::v2::words_of_v2!(v201);

pub(super) async fn sign_certificate(peer: &Peer, request: &SignRequest) -> Result<SignAnswer, AskError> {
    // A02.FR.13; a certificate for both uses is requested without a type.
    let certificate_type = match request.use_ {
        CertificateSigningUse::ChargingStation => {
            Some(CertificateSigningUseEnumType::ChargingStationCertificate)
        }
        CertificateSigningUse::V2g => Some(CertificateSigningUseEnumType::V2GCertificate),
        CertificateSigningUse::Combined => None,
        _ => {
            return Err(AskError::NoSuchMessage {
                message: "V2G20Certificate in SignCertificate",
                version: peer.version(),
            });
        }
    };
    send_sign_certificate(peer, request, certificate_type, |_| {}).await
}
