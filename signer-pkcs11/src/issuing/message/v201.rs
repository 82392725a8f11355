//! OCPP 2.0.1.

use ocpp_types::{
    BoundedString,
    v201::{
        CertificateSignedRequest, CertificateSigningUseEnumType, GenericStatusEnumType,
        SignCertificateRequest, SignCertificateResponse, StatusInfoType,
    },
};

use crate::{
    issuing::{
        answer::Issued,
        message::{SignCertificate, shortened},
        request::SigningRequest,
    },
    policy::{
        certificate_use::CertificateUse,
        refused::{ReasonCode, Refused},
    },
};

impl SignCertificate for SignCertificateRequest {
    type Response = SignCertificateResponse;

    fn accepted() -> Self::Response {
        Self::Response::new(GenericStatusEnumType::Accepted)
    }

    fn rejected(refused: &Refused) -> Self::Response {
        let mut response = Self::Response::new(GenericStatusEnumType::Rejected);
        let code = BoundedString::try_from(reason_code(refused.reason_code())).ok();
        response.status_info = code.map(|code| {
            let mut info = StatusInfoType::new(code);
            info.additional_info = BoundedString::try_from(shortened(refused, 512)).ok();
            info
        });
        response
    }

    fn signing_request(&self) -> SigningRequest<'_> {
        let certificate_use = self.certificate_type.map(|certificate_type| match certificate_type {
            CertificateSigningUseEnumType::ChargingStationCertificate => CertificateUse::ChargingStation,
            CertificateSigningUseEnumType::V2GCertificate => CertificateUse::V2g,
        });
        SigningRequest { csr: &self.csr, certificate_use, request_id: None, root: None }
    }
}

impl From<&Issued> for CertificateSignedRequest {
    /// The chain with the leaf first, and the type of the request (A02.FR.14).
    fn from(issued: &Issued) -> Self {
        let mut request = Self::new(issued.chain().clone());
        request.certificate_type =
            issued.certificate_type.and_then(|certificate_use| match certificate_use {
                CertificateUse::ChargingStation => {
                    Some(CertificateSigningUseEnumType::ChargingStationCertificate)
                }
                CertificateUse::V2g => Some(CertificateSigningUseEnumType::V2GCertificate),
                // No request of this version asks for it.
                CertificateUse::V2g20 => None,
            });
        request
    }
}

/// The codes of OCPP 2.0.1, appendix 5.
fn reason_code(code: ReasonCode) -> &'static str {
    match code {
        ReasonCode::InvalidCsr => "InvalidCSR",
        ReasonCode::InternalError => "InternalError",
        ReasonCode::UnsupportedParam => "UnsupportedParam",
        // OCPP 2.0.1 has no code for a rate limit.
        ReasonCode::RateLimitExceeded | ReasonCode::Unspecified => "Unspecified",
    }
}
