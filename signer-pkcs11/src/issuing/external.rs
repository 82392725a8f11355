//! Certificates from another authority: the CSMS forwards the request, and the answer comes later
//! (A02.FR.04).

use std::{fmt, future::Future, pin::Pin, time::Duration};

use certificates::{
    Attribute, Certificate, PemError, UnixSeconds,
    path::{self, Purpose, Window},
    pem,
};

use crate::{
    issuing::{
        answer::PendingCertificate,
        certificate::{IssuedCertificate, issuer::verify_certificate},
        error::ExternalError,
        present::Present,
    },
    policy::certificate_use::CertificateUse,
};

/// The future answer of another authority.
pub type ExternalFuture<'a> = Pin<Box<dyn Future<Output = Result<String, ExternalError>> + Send + 'a>>;

/// Another authority, to which accepted requests are forwarded.
pub trait ExternalAuthority: Send + Sync + fmt::Debug {
    /// Requests the certificate, which may take seconds or days, and returns the chain as PEM: the
    /// certificate first, followed by the authorities above it. The caller checks the chain.
    fn certify<'a>(&'a self, pending: &'a PendingCertificate) -> ExternalFuture<'a>;
}

/// Checks the answer of another authority, and returns the chain for the station, without its root.
pub(crate) fn check(
    pending: &PendingCertificate,
    chain_pem: &str,
    roots: &[Certificate],
    present: Present,
    skew: Duration,
) -> Result<IssuedCertificate, ExternalError> {
    let malformed = |source| ExternalError::Malformed { source };
    let chain = Certificate::chain_from_pem(chain_pem, MAX_CHAIN).map_err(malformed)?;
    let nothing = || malformed(PemError::Nothing { expected: pem::CERTIFICATE }.into());
    let leaf = chain.first().ok_or_else(nothing)?;
    if leaf.spki() != pending.csr().spki_der() {
        return Err(ExternalError::OtherKey);
    }
    let expected = pending.subject();
    let names = |attribute, expected: &String| {
        leaf.subject().value(attribute).is_ok_and(|found| found.as_ref() == Some(expected))
    };
    if !names(Attribute::CommonName, &expected.common_name)
        || !names(Attribute::Organization, &expected.organization)
    {
        let expected = format!("CN={},O={}", expected.common_name, expected.organization);
        return Err(ExternalError::OtherSubject { found: leaf.subject().to_string(), expected });
    }
    if leaf.ca().is_some() {
        return Err(ExternalError::IsAuthority);
    }
    for (index, certificate) in chain.iter().enumerate() {
        let position = index + 1;
        if !is_valid(certificate, present, skew) {
            return Err(if index == 0 {
                ExternalError::NotValidNow
            } else {
                ExternalError::Chain { position }
            });
        }
        let above = chain.get(position).or_else(|| issuer_of(certificate, roots));
        let above = above.ok_or(ExternalError::Chain { position })?;
        if certificate.issuer() != above.subject() || verify_certificate(certificate, above).is_err() {
            return Err(ExternalError::Chain { position });
        }
    }
    let last = chain.last().and_then(|last| issuer_of(last, roots));
    if last.is_none_or(|root| !is_valid(root, present, skew)) {
        return Err(ExternalError::Chain { position: chain.len() });
    }
    // A delivered certificate satisfies the rules of the CSMS and of the station's store.
    let window = Window {
        earliest: present.earliest.into(),
        latest: UnixSeconds::from(present.latest).saturating_add(skew),
    };
    for purpose in purposes(pending.certificate_type()) {
        path::verify(leaf, chain.get(1..).unwrap_or_default(), roots, window, *purpose)
            .map_err(|source| ExternalError::Path { source })?;
    }
    let sent = chain.iter().enumerate().filter(|(index, sent)| *index == 0 || !sent.is_self_issued());
    Ok(IssuedCertificate {
        der: leaf.der().to_vec(),
        chain_pem: sent.map(|(_, certificate)| certificate.to_pem()).collect(),
        serial: leaf.serial_number(),
        not_before: leaf.not_before().to_system_time(),
        not_after: leaf.not_after().to_system_time(),
    })
}

/// What the station will use its certificate for.
fn purposes(certificate_use: Option<CertificateUse>) -> &'static [Purpose] {
    match certificate_use {
        None => &[Purpose::Station, Purpose::Secc],
        Some(CertificateUse::ChargingStation) => &[Purpose::Station],
        Some(CertificateUse::V2g | CertificateUse::V2g20) => &[Purpose::Secc],
    }
}

fn issuer_of<'a>(certificate: &Certificate, roots: &'a [Certificate]) -> Option<&'a Certificate> {
    let is_issuer = |root: &&Certificate| {
        root.subject() == certificate.issuer() && verify_certificate(certificate, root).is_ok()
    };
    roots.iter().find(is_issuer)
}

/// The other authority's clock may be ahead of this one by `skew`.
fn is_valid(certificate: &Certificate, present: Present, skew: Duration) -> bool {
    let latest = UnixSeconds::from(present.latest).saturating_add(skew);
    certificate.not_before() <= latest && UnixSeconds::from(present.earliest) <= certificate.not_after()
}

/// A leaf, and more authorities above it than any station takes.
const MAX_CHAIN: usize = 16;
