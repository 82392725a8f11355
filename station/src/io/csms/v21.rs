//! The station's requests to its CSMS, in OCPP 2.1.

use ocpp_types::v21::CertificateHashDataType;
use station_store::message::HashDataMessage as _;

super::v2::words_of_v2!(v21);

pub(super) async fn sign_certificate(peer: &Peer, request: &SignRequest) -> Result<SignAnswer, AskError> {
    // A02.FR.13; a certificate for both uses is requested without a type.
    let certificate_type = match request.use_ {
        CertificateSigningUse::ChargingStation => {
            Some(CertificateSigningUseEnumType::ChargingStationCertificate)
        }
        CertificateSigningUse::V2g => Some(CertificateSigningUseEnumType::V2GCertificate),
        CertificateSigningUse::V2g20 => Some(CertificateSigningUseEnumType::V2G20Certificate),
        _ => None,
    };
    let complete = |message: &mut SignCertificateRequest| {
        // A02.FR.24, A03.FR.20
        message.request_id = request.request_id;
        // A02.FR.27, A03.FR.23
        message.hash_root_certificate = request.root.as_ref().map(CertificateHashDataType::of_hash_data);
    };
    send_sign_certificate(peer, request, certificate_type, complete).await
}
