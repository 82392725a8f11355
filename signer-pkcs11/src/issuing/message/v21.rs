//! OCPP 2.1.

use certificates::{HashAlgorithm, HashData};
use ocpp_types::{
    BoundedString,
    v21::{
        CertificateSignedRequest, CertificateSigningUseEnumType, GenericStatusEnumType,
        HashAlgorithmEnumType, SignCertificateRequest, SignCertificateResponse, StatusInfoType,
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
            info.additional_info = BoundedString::try_from(shortened(refused, 1024)).ok();
            info
        });
        response
    }

    fn signing_request(&self) -> SigningRequest<'_> {
        let certificate_use = self.certificate_type.map(|certificate_type| match certificate_type {
            CertificateSigningUseEnumType::ChargingStationCertificate => CertificateUse::ChargingStation,
            CertificateSigningUseEnumType::V2GCertificate => CertificateUse::V2g,
            CertificateSigningUseEnumType::V2G20Certificate => CertificateUse::V2g20,
        });
        let root = self.hash_root_certificate.as_ref().map(|hash| {
            let algorithm = match hash.hash_algorithm {
                HashAlgorithmEnumType::SHA256 => HashAlgorithm::Sha256,
                HashAlgorithmEnumType::SHA384 => HashAlgorithm::Sha384,
                HashAlgorithmEnumType::SHA512 => HashAlgorithm::Sha512,
            };
            HashData::parse(algorithm, &hash.issuer_name_hash, &hash.issuer_key_hash, &hash.serial_number)
        });
        SigningRequest { csr: &self.csr, certificate_use, request_id: self.request_id, root }
    }
}

impl From<&Issued> for CertificateSignedRequest {
    /// As in OCPP 2.0.1, with the id of the request (A02.FR.25).
    fn from(issued: &Issued) -> Self {
        let mut request = Self::new(issued.chain().clone());
        request.request_id = issued.request_id;
        request.certificate_type = issued.certificate_type.map(|certificate_use| match certificate_use {
            CertificateUse::ChargingStation => CertificateSigningUseEnumType::ChargingStationCertificate,
            CertificateUse::V2g => CertificateSigningUseEnumType::V2GCertificate,
            CertificateUse::V2g20 => CertificateSigningUseEnumType::V2G20Certificate,
        });
        request
    }
}

/// The codes of OCPP 2.1, appendix 5.
fn reason_code(code: ReasonCode) -> &'static str {
    match code {
        ReasonCode::InvalidCsr => "InvalidCSR",
        ReasonCode::InternalError => "InternalError",
        ReasonCode::UnsupportedParam => "UnsupportedParam",
        ReasonCode::RateLimitExceeded => "RateLimitExceeded",
        ReasonCode::Unspecified => "Unspecified",
    }
}
