//! The issuer, as its certificate describes it, and the certificates that it plans.

use std::time::{Duration, SystemTime};

use certificates::{Certificate, CertificateError, CertificateId, HashData, PemError, pem};
use const_oid::db::rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER;
use der::{AnyRef, Decode, Encode, SliceReader, asn1::ObjectIdentifier};
use x509_cert::{ext::pkix::SubjectKeyIdentifier, name::Name};

use crate::{
    csr::name::Subject,
    issuing::{
        certificate::{
            plan::{Kind, Plan, SERIAL_BYTES, serial_number},
            unsigned::Unsigned,
        },
        error::IssueError,
        present::Present,
    },
    key::{
        algorithm::SignatureAlgorithm,
        error::{PublicKeyError, VerifyError},
        oid,
        public_key::PublicKey,
        signer::RemoteKey,
    },
    policy::profiles::{Hierarchy, Profile, SubAuthority},
};

/// Why a certificate cannot be used for an issuer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// No certificate.
    #[error(
        "the issuer's chain contains no certificate: give the issuer's certificate as PEM, followed by those above it"
    )]
    Empty,
    /// Not PEM of certificates.
    #[error("the issuer's chain is not PEM of certificates")]
    Pem {
        /// What is wrong with it, and in which line.
        #[source]
        source: PemError,
    },
    /// Not a certificate.
    #[error("certificate {position} of the issuer's chain cannot be read")]
    Malformed {
        /// Counted from 1.
        position: usize,
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
    /// Not issued by the certificate above it.
    #[error("certificate {position} of the issuer's chain was not issued by the one that follows it")]
    Chain {
        /// Counted from 1.
        position: usize,
    },
    /// Not allowed to issue.
    #[error(
        "the issuer cannot sign certificates: its certificate needs basicConstraints CA:TRUE and the key usage keyCertSign"
    )]
    NotAnAuthority,
    /// Its key is of an unsupported kind.
    #[error("cannot use the issuer's public key")]
    PublicKey(#[source] PublicKeyError),
    /// For another key.
    #[error("the issuer's certificate is for another key than the one in the token")]
    OtherKey,
}

/// The issuer, as its certificate describes it.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    pub(crate) hierarchy: Hierarchy,
    name: Name,
    key: PublicKey,
    algorithm: SignatureAlgorithm,
    key_id: Vec<u8>,
    not_before: SystemTime,
    not_after: SystemTime,
    path_len: Option<u8>,
    may_sign_crls: bool,
    /// The self-signed certificate at the end of the chain, if it was given.
    root: Option<CertificateId>,
    /// PEM of the issuer and the certificates above it, without self-issued roots.
    above: String,
    /// The position, counted from 1, of the certificate with a signature that webpki does not
    /// verify.
    unknown_to_webpki: Option<usize>,
}

/// The parameters of a leaf certificate.
pub(crate) struct Leaf<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) subject: &'a Subject,
    pub(crate) dns_names: &'a [String],
    pub(crate) key: &'a PublicKey,
    pub(crate) backdate: Duration,
}

impl Issuer {
    /// Reads the issuer's certificate and those above it.
    pub(crate) fn parse(
        hierarchy: Hierarchy,
        chain_pem: &str,
        key: &PublicKey,
        algorithm: SignatureAlgorithm,
    ) -> Result<Self, IssuerError> {
        let chain = read_chain(chain_pem)?;
        let issuer = chain.first().ok_or(IssuerError::Empty)?;
        for (index, pair) in chain.windows(2).enumerate() {
            let [below, above] = pair else { continue };
            if below.issuer() != above.subject() || verify_certificate(below, above).is_err() {
                return Err(IssuerError::Chain { position: index + 1 });
            }
        }
        let constraints = issuer.ca().ok_or(IssuerError::NotAnAuthority)?;
        // RFC 5280 §4.2.1.3: without the extension every usage is allowed.
        if issuer.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
            return Err(IssuerError::NotAnAuthority);
        }
        let certified = PublicKey::from_spki_der(issuer.spki()).map_err(IssuerError::PublicKey)?;
        if certified != *key {
            return Err(IssuerError::OtherKey);
        }
        let mut counted = (1..).zip(&chain);
        let unknown = counted.find(|(_, below)| !below.is_self_issued() && !is_known_to_webpki(below));
        let unknown_to_webpki = unknown.map(|(position, _)| position);
        let root = chain.last().filter(|last| last.is_self_issued());
        let malformed = |source| malformed(1, source);
        Ok(Self {
            hierarchy,
            name: Name::from_der(issuer.subject().as_der()).map_err(malformed)?,
            key: key.clone(),
            algorithm,
            key_id: key_id(issuer).map_err(malformed)?,
            not_before: issuer.not_before().to_system_time(),
            not_after: issuer.not_after().to_system_time(),
            path_len: constraints.path_length,
            may_sign_crls: issuer.key_usage().is_none_or(|usage| usage.crl_sign()),
            root: root.map(CertificateId::of_root),
            above: chain.iter().filter(|above| !above.is_self_issued()).map(Certificate::to_pem).collect(),
            unknown_to_webpki,
        })
    }

    /// End of the issuer's own validity.
    pub(crate) fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Whether the issuer's own certificate is valid.
    pub(crate) fn is_valid_at(&self, now: SystemTime) -> bool {
        (self.not_before..self.not_after).contains(&now)
    }

    /// The position in the chain, counted from 1, of a certificate that is signed with RSASSA-PSS
    /// parameters that webpki does not verify. webpki compares the whole AlgorithmIdentifier, which
    /// contains the length of the salt. It accepts only salts as long as the hash; OpenSSL's
    /// default is the longest possible salt.
    pub(crate) fn unknown_to_webpki(&self) -> Option<usize> {
        self.unknown_to_webpki
    }

    /// Whether its certificate allows it to sign revocation lists.
    pub(crate) fn may_sign_crls(&self) -> bool {
        self.may_sign_crls
    }

    /// The issuer's name, as in its certificate.
    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// The issuer's subject key identifier.
    pub(crate) fn key_id(&self) -> &[u8] {
        &self.key_id
    }

    /// The issuer's key, in the form that the builders require.
    pub(crate) fn remote_key(&self) -> RemoteKey {
        RemoteKey { public_key: self.key.clone(), algorithm: self.algorithm }
    }

    /// Whether the issuer's root is the requested one (A02.FR.27 of OCPP 2.1).
    pub(crate) fn has_root(&self, wanted: &HashData) -> bool {
        self.root.as_ref().is_some_and(|root| root.is_named_by(wanted))
    }

    /// Plans a certificate for a station or a CSMS.
    pub(crate) fn leaf(
        &self,
        leaf: &Leaf<'_>,
        random: [u8; SERIAL_BYTES],
        present: Present,
    ) -> Result<Unsigned, IssueError> {
        let profile = leaf.profile;
        let kind = Kind::Leaf { usage: profile.key_usage.clone(), dns_names: leaf.dns_names.to_vec() };
        let mut plan = self.plan(kind, leaf.subject, leaf.key, profile.validity, random, present.earliest)?;
        plan.not_before = self.begin(present, leaf.backdate);
        if plan.not_after <= present.latest {
            return Err(IssueError::ClockInDoubt);
        }
        plan.crl_urls.clone_from(&profile.crl_urls);
        plan.ocsp_urls.clone_from(&profile.ocsp_urls);
        Unsigned::new(plan, self.remote_key(), &self.above)
    }

    /// Start of validity of an object that is signed now: a peer whose clock is slow rejects an
    /// object that is not valid yet (A02.FR.06).
    pub(crate) fn begin(&self, present: Present, backdate: Duration) -> SystemTime {
        let earliest = present.earliest;
        earliest.checked_sub(backdate).unwrap_or(earliest).max(self.not_before)
    }

    /// Plans the certificate of a subordinate authority.
    pub(crate) fn sub_authority(
        &self,
        subject: &Subject,
        key: &PublicKey,
        profile: &SubAuthority,
        random: [u8; SERIAL_BYTES],
        now: SystemTime,
    ) -> Result<Unsigned, IssueError> {
        let path_len = profile.path_len;
        // RFC 5280 §4.2.1.9
        let fits = match (self.path_len, path_len) {
            (Some(0), _) | (Some(_), None) => false,
            (Some(above), Some(below)) => below < above,
            (None, _) => true,
        };
        if !fits {
            return Err(IssueError::PathLength);
        }
        let kind = Kind::SubAuthority { path_len };
        let mut plan = self.plan(kind, subject, key, profile.validity, random, now)?;
        plan.crl_urls.clone_from(&profile.crl_urls);
        Unsigned::new(plan, self.remote_key(), &self.above)
    }

    fn plan(
        &self,
        kind: Kind,
        subject: &Subject,
        key: &PublicKey,
        validity: Duration,
        random: [u8; SERIAL_BYTES],
        now: SystemTime,
    ) -> Result<Plan, IssueError> {
        if !self.is_valid_at(now) {
            return Err(IssueError::IssuerNotValid);
        }
        Ok(Plan {
            kind,
            issuer: self.name.clone(),
            subject: subject.to_name().map_err(IssueError::Subject)?,
            subject_key: key.clone(),
            authority_key_id: Some(self.key_id.clone()),
            serial: serial_number(random),
            not_before: now,
            // A chain is valid only as long as its shortest part, so no certificate claims more
            // than its issuer.
            not_after: now.checked_add(validity).unwrap_or(self.not_after).min(self.not_after),
            crl_urls: Vec::new(),
            ocsp_urls: Vec::new(),
            algorithm: self.algorithm,
        })
    }

    #[cfg(test)]
    pub(crate) fn with_text_above(mut self, text: String) -> Self {
        self.above = text;
        self
    }
}

/// The certificates of a chain in PEM, which may be none.
pub(crate) fn read_chain(chain_pem: &str) -> Result<Vec<Certificate>, IssuerError> {
    let chain = match pem::certificates(chain_pem.as_bytes(), MAX_CHAIN) {
        Err(PemError::Nothing { .. }) => return Ok(Vec::new()),
        other => other.map_err(|source| IssuerError::Pem { source })?,
    };
    let certificates = chain.into_iter().enumerate().map(|(index, der)| {
        let position = index + 1;
        Certificate::from_der(der.to_vec()).map_err(|source| IssuerError::Malformed { position, source })
    });
    certificates.collect()
}

/// RFC 5280 §4.2.1.1: the AKI repeats the SKI of the issuer's certificate, however that was
/// computed.
fn key_id(issuer: &Certificate) -> der::Result<Vec<u8>> {
    let id = match issuer.extension(ID_CE_SUBJECT_KEY_IDENTIFIER) {
        Some(value) => SubjectKeyIdentifier::from_der(value)?,
        None => SubjectKeyIdentifier::try_from(spki::SubjectPublicKeyInfoRef::from_der(issuer.spki())?)?,
    };
    Ok(id.0.as_bytes().to_vec())
}

fn malformed(position: usize, source: der::Error) -> IssuerError {
    IssuerError::Malformed { position, source: source.into() }
}

/// Whether webpki verifies the certificate's signature, as far as RSASSA-PSS is concerned.
fn is_known_to_webpki(certificate: &Certificate) -> bool {
    let algorithm = certificate.signature_algorithm();
    let is = |known: &SignatureAlgorithm| {
        let known = known.identifier_owned().and_then(|known| known.to_der());
        known.is_ok_and(|known| AnyRef::from_der(&known).is_ok_and(|known| known.value() == algorithm))
    };
    let known = [
        SignatureAlgorithm::RsaPssSha256,
        SignatureAlgorithm::RsaPssSha384,
        SignatureAlgorithm::RsaPssSha512,
    ];
    let oid = SliceReader::new(algorithm).and_then(|mut reader| ObjectIdentifier::decode(&mut reader));
    oid != Ok(oid::RSASSA_PSS) || known.iter().any(is)
}

/// Whether the key of `above` has signed `below`.
pub(crate) fn verify_certificate(below: &Certificate, above: &Certificate) -> Result<(), VerifyError> {
    let key = PublicKey::from_spki_der(above.spki()).map_err(|_| VerifyError::Malformed)?;
    key.verify(below.signature_algorithm(), below.signed_part(), below.signature())
}

/// Certificates that are read of one chain or file of roots.
const MAX_CHAIN: usize = 1000;

#[cfg(test)]
mod tests {
    use super::{Hierarchy, Issuer, PublicKey, read_chain};
    use crate::key::algorithm::SignatureAlgorithm;

    /// The position of the certificate that webpki does not know.
    fn unknown(chain_pem: &str) -> Option<usize> {
        let chain = read_chain(chain_pem).unwrap();
        let key = PublicKey::from_spki_der(chain[0].spki()).unwrap();
        let issuer = Issuer::parse(Hierarchy::Cso, chain_pem, &key, SignatureAlgorithm::EcdsaSha256);
        issuer.unwrap().unknown_to_webpki()
    }

    #[test]
    fn a00_fr_505_a_chain_by_pss_with_another_salt_than_peers_verify() {
        // Both by `openssl x509 -req -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:…` below
        // the same root.
        assert_eq!(unknown(include_str!("../../../tests/it/pss-max.pem")), Some(1));
        assert_eq!(unknown(include_str!("../../../tests/it/pss-digest.pem")), None);
    }
}
