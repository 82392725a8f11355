//! The decision about a SignCertificateRequest, by everything that can be known without the token.

use ocpp_types::BoundedString;
use sha2::{Digest as _, Sha256};

use crate::{
    certificate_use::CertificateUse,
    csr::{Csr, Subject},
    edition::Wish,
    issue::{IssueError, IssuedCertificate, MAX_CHAIN_CHARACTERS},
    policy::{self, IssuancePolicy, Refused, StationIdentity},
    profiles::{Hierarchy, Profile},
    root_hash::RootHash,
    settings::CaSettings,
};

/// A request that was accepted: what to issue, to whom. Nothing of it came from the CSR but the public key.
#[derive(Clone, Debug)]
pub struct PendingCertificate {
    pub(crate) csr: Csr,
    pub(crate) station: StationIdentity,
    pub(crate) subject: Subject,
    pub(crate) profile: Profile,
    pub(crate) root: Option<RootHash>,
    certificate_type: Option<CertificateUse>,
    request_id: Option<i64>,
    longest_chain: usize,
}

/// A certificate, and whom and what it was asked for.
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
    pub station: StationIdentity,
    pub(crate) request: RequestHash,
    chain: BoundedString<MAX_CHAIN_CHARACTERS>,
}

/// What makes two requests the same: station, use, id and every byte of the CSR.
pub(crate) type RequestHash = [u8; 32];

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
    pub fn certificate_type(&self) -> Option<CertificateUse> {
        self.certificate_type
    }

    /// As in the request (OCPP 2.1).
    pub fn request_id(&self) -> Option<i64> {
        self.request_id
    }

    /// Sets how many characters the station takes: its variable MaxCertificateChainSize (A02.FR.16). Without it, as many
    /// as CertificateSigned holds.
    pub fn with_longest_chain(mut self, characters: usize) -> Self {
        self.longest_chain = characters.min(MAX_CHAIN_CHARACTERS);
        self
    }

    pub(crate) fn hierarchy(&self) -> Hierarchy {
        self.profile.hierarchy
    }

    pub(crate) fn request_hash(&self) -> RequestHash {
        let mut hash = Sha256::new();
        let certificate_use = self.certificate_type.map_or("", CertificateUse::as_str);
        let request_id = self.request_id.map(|id| id.to_string()).unwrap_or_default();
        let identity = self.station.identity.as_bytes();
        for part in [identity, certificate_use.as_bytes(), request_id.as_bytes(), self.csr.der()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// A02.FR.16: the station rejects a longer chain than it can store.
    pub(crate) fn check_length(&self, certificate: &IssuedCertificate) -> Result<(), IssueError> {
        let (characters, limit) = (certificate.chain_pem.chars().count(), self.longest_chain);
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
    wish: Wish<'_>,
    station: &StationIdentity,
    settings: &CaSettings,
    policy: &dyn IssuancePolicy,
) -> Result<PendingCertificate, Refused> {
    let profiles = &settings.profiles;
    let profile = match wish.certificate_use {
        Some(CertificateUse::ChargingStation) => &profiles.station,
        Some(other) => profiles.v2g.as_ref().ok_or(Refused::UseNotOffered(other))?,
        // Absent: for all connections that the station has. Where no combined certificates are issued, that is this one.
        None => profiles.combined.as_ref().unwrap_or(&profiles.station),
    };
    let csr = Csr::parse(wish.csr)?;
    let subject = policy::subject_for(&csr, station, wish.certificate_use, profile, settings, policy)?;
    Ok(PendingCertificate {
        csr,
        station: station.clone(),
        subject,
        profile: profile.clone(),
        root: wish.root,
        certificate_type: wish.certificate_use,
        request_id: wish.request_id,
        longest_chain: MAX_CHAIN_CHARACTERS,
    })
}
