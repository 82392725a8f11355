//! OCPP 1.6 with the security extension.

use ocpp_types::v16::{
    CertificateSignedRequest, GenericStatusEnumType, SignCertificateRequest, SignCertificateResponse,
};

use crate::{
    issuing::{answer::Issued, message::SignCertificate, request::SigningRequest},
    policy::{certificate_use::CertificateUse, refused::Refused},
};

impl SignCertificate for SignCertificateRequest {
    type Response = SignCertificateResponse;

    fn accepted() -> Self::Response {
        Self::Response::new(GenericStatusEnumType::Accepted)
    }

    fn rejected(_: &Refused) -> Self::Response {
        Self::Response::new(GenericStatusEnumType::Rejected)
    }

    fn signing_request(&self) -> SigningRequest<'_> {
        // OCPP 1.6 has only the certificate for the charge point's own connection.
        let certificate_use = Some(CertificateUse::ChargingStation);
        SigningRequest { csr: &self.csr, certificate_use, request_id: None, root: None }
    }
}

impl From<&Issued> for CertificateSignedRequest {
    fn from(issued: &Issued) -> Self {
        Self::new(issued.chain().clone())
    }
}
