//! The messages of the three versions of OCPP, in and out.

use std::fmt::Write;

use ocpp_types::{BoundedString, v16, v21, v201};

use crate::{
    answer::Issued,
    certificate_use::CertificateUse,
    policy::Refused,
    root_hash::{HashAlgorithm, RootHash},
};

/// A SignCertificateRequest of OCPP 1.6, 2.0.1 or 2.1.
pub trait SignCertificate: sealed::Sealed {
    /// Its response.
    type Response;

    /// The response that says that a certificate will follow (A02.FR.11).
    fn accepted() -> Self::Response;

    /// The response that says that none will follow (A02.FR.12), with the reason where the version has a place for it.
    fn rejected(refused: &Refused) -> Self::Response;

    #[doc(hidden)]
    fn wish(&self) -> Wish<'_>;
}

/// What a request asks for, in the terms of no version.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    pub(crate) csr: &'a str,
    pub(crate) certificate_use: Option<CertificateUse>,
    /// OCPP 2.1, A02.FR.24.
    pub(crate) request_id: Option<i64>,
    /// OCPP 2.1, A02.FR.27.
    pub(crate) root: Option<RootHash>,
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for ocpp_types::v16::SignCertificateRequest {}
    impl Sealed for ocpp_types::v201::SignCertificateRequest {}
    impl Sealed for ocpp_types::v21::SignCertificateRequest {}
}

impl SignCertificate for v16::SignCertificateRequest {
    type Response = v16::SignCertificateResponse;

    fn accepted() -> Self::Response {
        Self::Response::new(v16::GenericStatusEnumType::Accepted)
    }

    fn rejected(_: &Refused) -> Self::Response {
        Self::Response::new(v16::GenericStatusEnumType::Rejected)
    }

    fn wish(&self) -> Wish<'_> {
        // OCPP 1.6 knows no other certificate than the one for its own connection.
        let certificate_use = Some(CertificateUse::ChargingStation);
        Wish { csr: &self.csr, certificate_use, request_id: None, root: None }
    }
}

impl SignCertificate for v201::SignCertificateRequest {
    type Response = v201::SignCertificateResponse;

    fn accepted() -> Self::Response {
        Self::Response::new(v201::GenericStatusEnumType::Accepted)
    }

    fn rejected(refused: &Refused) -> Self::Response {
        let mut response = Self::Response::new(v201::GenericStatusEnumType::Rejected);
        let code = BoundedString::try_from(refused.reason_code().as_str()).ok();
        response.status_info = code.map(|code| {
            let mut info = v201::StatusInfoType::new(code);
            info.additional_info = BoundedString::try_from(shortened(refused, 512)).ok();
            info
        });
        response
    }

    fn wish(&self) -> Wish<'_> {
        let certificate_use = self.certificate_type.map(|certificate_type| match certificate_type {
            v201::CertificateSigningUseEnumType::ChargingStationCertificate => {
                CertificateUse::ChargingStation
            }
            v201::CertificateSigningUseEnumType::V2GCertificate => CertificateUse::V2g,
        });
        Wish { csr: &self.csr, certificate_use, request_id: None, root: None }
    }
}

impl SignCertificate for v21::SignCertificateRequest {
    type Response = v21::SignCertificateResponse;

    fn accepted() -> Self::Response {
        Self::Response::new(v21::GenericStatusEnumType::Accepted)
    }

    fn rejected(refused: &Refused) -> Self::Response {
        let mut response = Self::Response::new(v21::GenericStatusEnumType::Rejected);
        let code = BoundedString::try_from(refused.reason_code().as_str_v21()).ok();
        response.status_info = code.map(|code| {
            let mut info = v21::StatusInfoType::new(code);
            info.additional_info = BoundedString::try_from(shortened(refused, 1024)).ok();
            info
        });
        response
    }

    fn wish(&self) -> Wish<'_> {
        let certificate_use = self.certificate_type.map(|certificate_type| match certificate_type {
            v21::CertificateSigningUseEnumType::ChargingStationCertificate => CertificateUse::ChargingStation,
            v21::CertificateSigningUseEnumType::V2GCertificate => CertificateUse::V2g,
            v21::CertificateSigningUseEnumType::V2G20Certificate => CertificateUse::V2g20,
        });
        let root = self.hash_root_certificate.as_ref().map(|hash| RootHash {
            algorithm: match hash.hash_algorithm {
                v21::HashAlgorithmEnumType::SHA256 => HashAlgorithm::Sha256,
                v21::HashAlgorithmEnumType::SHA384 => HashAlgorithm::Sha384,
                v21::HashAlgorithmEnumType::SHA512 => HashAlgorithm::Sha512,
            },
            issuer_name_hash: hash.issuer_name_hash.to_string(),
            issuer_key_hash: hash.issuer_key_hash.to_string(),
            serial_number: hash.serial_number.to_string(),
        });
        Wish { csr: &self.csr, certificate_use, request_id: self.request_id, root }
    }
}

impl From<&Issued> for v16::CertificateSignedRequest {
    fn from(issued: &Issued) -> Self {
        Self::new(issued.chain().clone())
    }
}

impl From<&Issued> for v201::CertificateSignedRequest {
    /// The chain with the leaf first, and the type that the request had (A02.FR.14).
    fn from(issued: &Issued) -> Self {
        let mut request = Self::new(issued.chain().clone());
        request.certificate_type =
            issued.certificate_type.and_then(|certificate_use| match certificate_use {
                CertificateUse::ChargingStation => {
                    Some(v201::CertificateSigningUseEnumType::ChargingStationCertificate)
                }
                CertificateUse::V2g => Some(v201::CertificateSigningUseEnumType::V2GCertificate),
                // No request of this version asks for it.
                CertificateUse::V2g20 => None,
            });
        request
    }
}

impl From<&Issued> for v21::CertificateSignedRequest {
    /// As in OCPP 2.0.1, with the id that the request had (A02.FR.25).
    fn from(issued: &Issued) -> Self {
        let mut request = Self::new(issued.chain().clone());
        request.request_id = issued.request_id;
        request.certificate_type = issued.certificate_type.map(|certificate_use| match certificate_use {
            CertificateUse::ChargingStation => v21::CertificateSigningUseEnumType::ChargingStationCertificate,
            CertificateUse::V2g => v21::CertificateSigningUseEnumType::V2GCertificate,
            CertificateUse::V2g20 => v21::CertificateSigningUseEnumType::V2G20Certificate,
        });
        request
    }
}

/// The reason in at most so many characters: it may quote names from the request.
fn shortened(refused: &Refused, most: usize) -> String {
    let mut text = String::new();
    // Writing into a String never fails.
    let _ = write!(text, "{refused}");
    if text.chars().count() > most {
        text = text.chars().take(most - 1).chain(['…']).collect();
    }
    text
}

#[cfg(test)]
mod tests {
    use ocpp_types::{v21, v201};

    use super::SignCertificate;
    use crate::policy::Refused;

    #[test]
    fn a_long_quotation_is_shortened() {
        let refused = Refused::CommonName { found: "ü".repeat(1200), expected: "SN-0001".into() };
        let info = v201::SignCertificateRequest::rejected(&refused).status_info.unwrap();
        let text = info.additional_info.unwrap();
        assert!(text.chars().count() == 512 && text.ends_with('…'));
        let info = v21::SignCertificateRequest::rejected(&refused).status_info.unwrap();
        assert_eq!(info.additional_info.unwrap().chars().count(), 1024);
    }

    #[test]
    fn every_reason_is_a_word_of_the_version_that_hears_it() {
        let refused = Refused::TooMany { certificates: 1, window: core::time::Duration::from_secs(60) };
        let info = v201::SignCertificateRequest::rejected(&refused).status_info.unwrap();
        assert_eq!(info.reason_code.as_str(), "Unspecified");
        let info = v21::SignCertificateRequest::rejected(&refused).status_info.unwrap();
        assert_eq!(info.reason_code.as_str(), "RateLimitExceeded");
    }
}
