//! The decision about a SignCertificateRequest, without calling the token.

use std::{sync::Arc, time::Instant};

use certificates::{HashData, HashDataError};
use ocpp_types::BoundedString;
use sha2::{Digest as _, Sha256};

use crate::{
    csr::{Csr, name::Subject},
    issuing::{
        admissions::{RequestHash, Reservation},
        certificate::{IssuedCertificate, MAX_CHAIN_CHARACTERS},
        error::IssueError,
        request::SigningRequest,
    },
    policy::{
        applicant::Applicant,
        certificate_use::CertificateUse,
        issuance::IssuancePolicy,
        profiles::{Hierarchy, Profile},
        refused::Refused,
        settings::CaSettings,
        subject::subject_for,
    },
};

/// An accepted request: what to issue, and for whom. Only the public key comes from the CSR.
#[derive(Clone, Debug)]
pub struct PendingCertificate {
    pub(crate) csr: Csr,
    pub(crate) station: Applicant,
    pub(crate) subject: Subject,
    pub(crate) profile: Profile,
    pub(crate) root: Option<Result<HashData, HashDataError>>,
    certificate_type: Option<CertificateUse>,
    request_id: Option<i64>,
    max_chain_characters: usize,
    /// Its place within the station's limit.
    pub(crate) reservation: Option<Arc<Reservation>>,
}

/// An issued certificate and its request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Issued {
    /// The certificate and its chain.
    pub certificate: IssuedCertificate,
    /// As in the request; absent means one certificate for all connections.
    pub certificate_type: Option<CertificateUse>,
    /// As in the request (OCPP 2.1).
    pub request_id: Option<i64>,
    /// The station that asked.
    pub station: Applicant,
    pub(crate) request: RequestHash,
    chain: BoundedString<MAX_CHAIN_CHARACTERS>,
}

impl PendingCertificate {
    /// The request. Possession of its key is proven.
    #[must_use]
    pub fn csr(&self) -> &Csr {
        &self.csr
    }

    /// The station that asked.
    #[must_use]
    pub fn station(&self) -> &Applicant {
        &self.station
    }

    /// The subject of the future certificate.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// As in the request; absent means one certificate for all connections.
    #[must_use]
    pub fn certificate_type(&self) -> Option<CertificateUse> {
        self.certificate_type
    }

    /// As in the request (OCPP 2.1).
    #[must_use]
    pub fn request_id(&self) -> Option<i64> {
        self.request_id
    }

    /// Sets how many characters the station accepts: its variable MaxCertificateChainSize
    /// (A02.FR.16). Default: the limit of CertificateSigned.
    #[must_use]
    pub fn with_max_chain_characters(mut self, characters: usize) -> Self {
        self.max_chain_characters = characters.min(MAX_CHAIN_CHARACTERS);
        self
    }

    /// Counts the request against its station's limit although another authority issues its
    /// certificate later. A request that is dropped without a certificate and without this call
    /// does not count.
    pub fn count(&self, now: Instant) {
        if let Some(reservation) = &self.reservation {
            reservation.use_up(now);
        }
    }

    pub(crate) fn hierarchy(&self) -> Hierarchy {
        self.profile.hierarchy
    }

    pub(crate) fn request_hash(&self) -> RequestHash {
        let mut hash = Sha256::new();
        let certificate_use = self.certificate_type.map_or("", CertificateUse::as_str);
        let request_id = self.request_id.map(|id| id.to_string()).unwrap_or_default();
        let identity = self.station.identity.as_str().as_bytes();
        for part in [identity, certificate_use.as_bytes(), request_id.as_bytes(), self.csr.der()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// A02.FR.16: the station rejects a chain that it cannot store.
    pub(crate) fn check_length(&self, certificate: &IssuedCertificate) -> Result<(), IssueError> {
        let (characters, limit) = (certificate.chain_pem.chars().count(), self.max_chain_characters);
        if characters <= limit { Ok(()) } else { Err(IssueError::ChainTooLong { characters, limit }) }
    }

    pub(crate) fn issued(&self, certificate: IssuedCertificate) -> Result<Issued, IssueError> {
        self.check_length(&certificate)?;
        let characters = certificate.chain_pem.chars().count();
        let chain = BoundedString::try_from(certificate.chain_pem.as_str())
            .map_err(|_| IssueError::ChainTooLong { characters, limit: MAX_CHAIN_CHARACTERS })?;
        Ok(Issued {
            certificate,
            certificate_type: self.certificate_type,
            request_id: self.request_id,
            station: self.station.clone(),
            request: self.request_hash(),
            chain,
        })
    }
}

impl Issued {
    pub(crate) fn chain(&self) -> &BoundedString<MAX_CHAIN_CHARACTERS> {
        &self.chain
    }
}

/// Decides about a request (A02.FR.11, A02.FR.12).
pub(crate) fn decide(
    request: SigningRequest<'_>,
    station: &Applicant,
    settings: &CaSettings,
    policy: &dyn IssuancePolicy,
) -> Result<PendingCertificate, Refused> {
    let profiles = &settings.profiles;
    let profile = match request.certificate_use {
        Some(CertificateUse::ChargingStation) => &profiles.station,
        Some(other) => profiles.v2g.as_ref().ok_or(Refused::UseNotOffered(other))?,
        // Absent: for all connections of the station. If no combined certificates are issued, it
        // has one connection.
        None => profiles.combined.as_ref().unwrap_or(&profiles.station),
    };
    let csr = Csr::parse(request.csr)?;
    let subject = subject_for(&csr, station, request.certificate_use, profile, settings, policy)?;
    Ok(PendingCertificate {
        csr,
        station: station.clone(),
        subject,
        profile: profile.clone(),
        root: request.root,
        certificate_type: request.certificate_use,
        request_id: request.request_id,
        max_chain_characters: MAX_CHAIN_CHARACTERS,
        reservation: None,
    })
}
