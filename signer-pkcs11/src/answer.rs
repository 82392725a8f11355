//! The OCPP side: a SignCertificateRequest in, its response and what follows out.

use std::fmt::Write;

use ocpp_types::{
    BoundedString,
    v201::{
        CertificateSignedRequest, CertificateSigningUseEnumType, GenericStatusEnumType,
        SignCertificateRequest, SignCertificateResponse, StatusInfoType,
    },
};

use crate::{
    csr::{Csr, Subject},
    issue::IssuedCertificate,
    policy::{self, Refused, StationIdentity},
    settings::CaSettings,
};

/// A request that was accepted: what to issue, to whom. Nothing of it came from the CSR but the public key.
#[derive(Clone, Debug)]
pub struct PendingCertificate {
    csr: Csr,
    station: StationIdentity,
    subject: Subject,
    certificate_type: Option<CertificateSigningUseEnumType>,
}

/// A certificate, and whom and what it was asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Issued {
    /// The certificate and its chain.
    pub certificate: IssuedCertificate,
    /// As in the request.
    pub certificate_type: Option<CertificateSigningUseEnumType>,
    /// The station that asked.
    pub station: StationIdentity,
    chain: BoundedString<10000>,
}

impl PendingCertificate {
    /// The request, its possession proven.
    pub fn csr(&self) -> &Csr {
        &self.csr
    }

    /// The station that asked.
    pub fn station(&self) -> &StationIdentity {
        &self.station
    }

    /// The subject of the certificate to come.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// As in the request; absent means one certificate for all connections.
    pub fn certificate_type(&self) -> Option<CertificateSigningUseEnumType> {
        self.certificate_type
    }

    pub(crate) fn issued(self, certificate: IssuedCertificate) -> Result<Issued, crate::issue::IssueError> {
        let characters = certificate.chain_pem.len();
        let chain = BoundedString::try_from(certificate.chain_pem.as_str())
            .map_err(|_| crate::issue::IssueError::ChainTooLong { characters })?;
        Ok(Issued { certificate, certificate_type: self.certificate_type, station: self.station, chain })
    }
}

impl Issued {
    /// The message that brings the certificate to the station: the chain with the leaf first, and the type that the
    /// request had (A02.FR.14).
    pub fn certificate_signed(&self) -> CertificateSignedRequest {
        let mut request = CertificateSignedRequest::new(self.chain.clone());
        request.certificate_type = self.certificate_type;
        request
    }
}

/// Decides about a request by everything that can be known without the token (A02.FR.11, A02.FR.12).
pub(crate) fn answer(
    request: &SignCertificateRequest,
    station: &StationIdentity,
    settings: &CaSettings,
) -> (SignCertificateResponse, Result<PendingCertificate, Refused>) {
    let decision = decide(request, station, settings);
    let response = match &decision {
        Ok(_) => SignCertificateResponse::new(GenericStatusEnumType::Accepted),
        Err(refused) => rejected(refused),
    };
    (response, decision)
}

fn decide(
    request: &SignCertificateRequest,
    station: &StationIdentity,
    settings: &CaSettings,
) -> Result<PendingCertificate, Refused> {
    match request.certificate_type {
        // Absent: for all connections that the station has. Where no V2G certificates are issued, that is this one.
        None | Some(CertificateSigningUseEnumType::ChargingStationCertificate) => {}
        Some(other) => return Err(Refused::UseNotOffered(other)),
    }
    let csr = Csr::parse(&request.csr)?;
    let subject = policy::subject_for(&csr, station, settings)?;
    let certificate_type = request.certificate_type;
    Ok(PendingCertificate { csr, station: station.clone(), subject, certificate_type })
}

fn rejected(refused: &Refused) -> SignCertificateResponse {
    let mut response = SignCertificateResponse::new(GenericStatusEnumType::Rejected);
    response.status_info = BoundedString::try_from(refused.reason_code()).ok().map(|reason_code| {
        let mut info = StatusInfoType::new(reason_code);
        info.additional_info = BoundedString::try_from(shortened(refused).as_str()).ok();
        info
    });
    response
}

/// The reason in at most [`ADDITIONAL_INFO`] characters: it may quote names from the request.
fn shortened(refused: &Refused) -> String {
    let mut text = String::new();
    // Writing into a String never fails.
    let _ = write!(text, "{refused}");
    if text.chars().count() > ADDITIONAL_INFO {
        text = text.chars().take(ADDITIONAL_INFO - 1).chain(['…']).collect();
    }
    text
}

/// Most characters of `additionalInfo` in OCPP 2.0.1.
const ADDITIONAL_INFO: usize = 512;

#[cfg(test)]
mod tests {
    use super::{ADDITIONAL_INFO, rejected, shortened};
    use crate::policy::Refused;

    #[test]
    fn a_long_quotation_is_shortened() {
        let found = "ü".repeat(600);
        let refused = Refused::CommonName { found, expected: "SN-0001".into() };
        let text = shortened(&refused);
        assert_eq!(text.chars().count(), ADDITIONAL_INFO);
        assert!(text.ends_with('…'));
        let info = rejected(&refused).status_info.unwrap();
        assert_eq!(info.additional_info.unwrap().as_str(), text);
    }
}
