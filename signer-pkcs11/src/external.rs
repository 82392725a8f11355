//! Certificates from another authority: the CSMS passes the request on, and the answer comes later (A02.FR.04).

use std::{error::Error, fmt, future::Future, pin::Pin, time::SystemTime};

use der::{Decode, Encode};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_cert::{Certificate, ext::pkix::BasicConstraints};

use crate::{
    answer::PendingCertificate, csr::pem, issue::IssuedCertificate, issuer::verify_certificate, name,
};

/// The answer of another authority, when it comes.
pub type ExternalFuture<'a> = Pin<Box<dyn Future<Output = Result<String, ExternalError>> + Send + 'a>>;

/// An authority elsewhere, to which accepted requests are forwarded.
pub trait ExternalAuthority: Send + Sync + fmt::Debug {
    /// Has a request certified, which may take seconds or days, and returns the chain as PEM: the certificate first, then
    /// the authorities above it. What comes back is checked by the caller.
    fn certify<'a>(&'a self, pending: &'a PendingCertificate) -> ExternalFuture<'a>;
}

/// Why there is no certificate from another authority, or why it is not passed on to the station.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalError {
    /// The other authority did not answer, or said no.
    #[error("it did not answer, or said no")]
    Unanswered(#[source] Box<dyn Error + Send + Sync>),
    /// Not a chain of certificates.
    #[error("its answer is not a chain of certificates in PEM")]
    Malformed,
    /// A certificate for another key.
    #[error("its certificate is for another key than the request's")]
    OtherKey,
    /// A certificate for somebody else.
    #[error("its certificate has the subject \"{found}\"; the station needs \"{expected}\"")]
    OtherSubject {
        /// As certified.
        found: String,
        /// As it must be.
        expected: String,
    },
    /// A certificate that the station would have to reject (A02.FR.06).
    #[error("its certificate is not valid now")]
    NotValidNow,
    /// A certificate by which the station could issue others.
    #[error("its certificate is an authority's")]
    IsAuthority,
    /// The chain does not lead to a root that is trusted.
    #[error("its chain is broken at certificate {position}")]
    Chain {
        /// Counted from 1.
        position: usize,
    },
}

impl ExternalError {
    /// For the cause that an authority's own protocol gives.
    pub fn unanswered(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unanswered(cause.into())
    }
}

/// Checks what another authority has answered, and makes of it what is sent to the station: the chain without its root.
pub(crate) fn check(
    pending: &PendingCertificate,
    chain_pem: &str,
    roots: &[Certificate],
    now: SystemTime,
) -> Result<IssuedCertificate, ExternalError> {
    let mut chain = Vec::new();
    for der in CertificateDer::pem_slice_iter(chain_pem.as_bytes()) {
        let der = der.map_err(|_| ExternalError::Malformed)?;
        chain.push(Certificate::from_der(&der).map_err(|_| ExternalError::Malformed)?);
    }
    let leaf = chain.first().ok_or(ExternalError::Malformed)?;
    let tbs = leaf.tbs_certificate();
    let spki = tbs.subject_public_key_info().to_der().map_err(|_| ExternalError::Malformed)?;
    if spki != pending.csr().spki_der() {
        return Err(ExternalError::OtherKey);
    }
    let found = name::read(tbs.subject()).map_err(|_| ExternalError::Malformed)?;
    let expected = pending.subject();
    if found.common_name.as_ref() != Some(&expected.common_name)
        || found.organization.as_ref() != Some(&expected.organization)
    {
        let expected = format!("CN={},O={}", expected.common_name, expected.organization);
        return Err(ExternalError::OtherSubject { found: tbs.subject().to_string(), expected });
    }
    if matches!(tbs.get_extension::<BasicConstraints>(), Ok(Some((_, constraints))) if constraints.ca) {
        return Err(ExternalError::IsAuthority);
    }
    for (index, certificate) in chain.iter().enumerate() {
        let position = index + 1;
        if !is_valid(certificate, now) {
            return Err(if index == 0 {
                ExternalError::NotValidNow
            } else {
                ExternalError::Chain { position }
            });
        }
        let above = chain.get(position).or_else(|| issuer_of(certificate, roots));
        let above = above.ok_or(ExternalError::Chain { position })?;
        let names_fit = certificate.tbs_certificate().issuer() == above.tbs_certificate().subject();
        if !names_fit || verify_certificate(certificate, above).is_err() {
            return Err(ExternalError::Chain { position });
        }
    }
    let last = chain.last().and_then(|last| issuer_of(last, roots));
    if last.is_none_or(|root| !is_valid(root, now)) {
        return Err(ExternalError::Chain { position: chain.len() });
    }
    let sent = chain.iter().enumerate().filter(|(index, certificate)| {
        let tbs = certificate.tbs_certificate();
        *index == 0 || tbs.issuer() != tbs.subject()
    });
    let texts = sent.map(|(_, certificate)| pem("CERTIFICATE", &certificate.to_der()?));
    let validity = tbs.validity();
    Ok(IssuedCertificate {
        der: leaf.to_der().map_err(|_| ExternalError::Malformed)?,
        chain_pem: texts.collect::<der::Result<String>>().map_err(|_| ExternalError::Malformed)?,
        serial: hex::encode(tbs.serial_number().as_bytes()).trim_start_matches('0').to_owned(),
        not_before: validity.not_before.to_system_time(),
        not_after: validity.not_after.to_system_time(),
    })
}

fn issuer_of<'a>(certificate: &Certificate, roots: &'a [Certificate]) -> Option<&'a Certificate> {
    let issuer = certificate.tbs_certificate().issuer();
    roots.iter().find(|root| {
        root.tbs_certificate().subject() == issuer && verify_certificate(certificate, root).is_ok()
    })
}

fn is_valid(certificate: &Certificate, now: SystemTime) -> bool {
    let validity = certificate.tbs_certificate().validity();
    (validity.not_before.to_system_time()..=validity.not_after.to_system_time()).contains(&now)
}
