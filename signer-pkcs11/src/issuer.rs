//! The issuer: what its certificate says of it, and the certificates that it plans.

use std::time::{Duration, SystemTime};

use der::{Decode, Encode};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_cert::{
    Certificate,
    ext::pkix::{BasicConstraints, KeyUsage, SubjectKeyIdentifier},
    name::Name,
};

use crate::{
    algorithm::{SignatureAlgorithm, oid},
    csr::{Subject, pem},
    issue::{IssueError, Unsigned},
    profile::{Kind, Plan, SERIAL_BYTES, serial_number},
    profiles::{Hierarchy, Profile, SubAuthority},
    public_key::{PublicKey, PublicKeyError, VerifyError},
    root_hash::{RootHash, RootIdentity},
    sign::RemoteKey,
};

/// Why a certificate cannot be an issuer's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// No certificate.
    #[error(
        "there is no certificate in the issuer's chain: give the PEM text of the issuer's certificate first, then those above it"
    )]
    Empty,
    /// Not a certificate.
    #[error("certificate {position} of the issuer's chain is not a DER certificate")]
    Malformed {
        /// Counted from 1.
        position: usize,
    },
    /// Not by the one above it.
    #[error("certificate {position} of the issuer's chain was not issued by the one that follows it")]
    Chain {
        /// Counted from 1.
        position: usize,
    },
    /// Not allowed to issue.
    #[error(
        "the issuer's certificate may not sign certificates: it needs basicConstraints CA:TRUE and the key usage keyCertSign"
    )]
    NotAnAuthority,
    /// Its key is of a kind that we do not accept.
    #[error("the issuer's public key cannot be used")]
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
    root: Option<RootIdentity>,
    /// PEM of the issuer and what is above it, without self-issued roots.
    above: String,
    /// Which certificate of the chain has a signature that webpki does not know, counted from 1.
    unknown_to_webpki: Option<usize>,
}

/// A leaf certificate that is wanted.
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
        let mut chain = Vec::new();
        for (index, der) in CertificateDer::pem_slice_iter(chain_pem.as_bytes()).enumerate() {
            let malformed = || IssuerError::Malformed { position: index + 1 };
            let der = der.map_err(|_| malformed())?;
            chain.push((Certificate::from_der(&der).map_err(|_| malformed())?, der));
        }
        let (issuer, _) = chain.first().ok_or(IssuerError::Empty)?;
        for (index, pair) in chain.windows(2).enumerate() {
            let [(below, _), (above, _)] = pair else { continue };
            let broken = || IssuerError::Chain { position: index + 1 };
            if below.tbs_certificate().issuer() != above.tbs_certificate().subject() {
                return Err(broken());
            }
            verify_certificate(below, above).map_err(|_| broken())?;
        }
        let tbs = issuer.tbs_certificate();
        let constraints = match tbs.get_extension::<BasicConstraints>() {
            Ok(Some((_, constraints))) if constraints.ca => constraints,
            _ => return Err(IssuerError::NotAnAuthority),
        };
        // RFC 5280 §4.2.1.3: without the extension every usage is allowed.
        let (may_sign, may_sign_crls) = match tbs.get_extension::<KeyUsage>() {
            Ok(Some((_, usage))) => (usage.key_cert_sign(), usage.crl_sign()),
            Ok(None) => (true, true),
            Err(_) => (false, false),
        };
        if !may_sign {
            return Err(IssuerError::NotAnAuthority);
        }
        let malformed = |_| IssuerError::Malformed { position: 1 };
        let spki = tbs.subject_public_key_info().to_der().map_err(malformed)?;
        let certified = PublicKey::from_spki_der(&spki).map_err(IssuerError::PublicKey)?;
        if certified != *key {
            return Err(IssuerError::OtherKey);
        }
        // RFC 5280 §4.2.1.1: the AKI repeats the SKI of the issuer's certificate, however that was made.
        let key_id = match tbs.get_extension::<SubjectKeyIdentifier>() {
            Ok(Some((_, id))) => id.0.as_bytes().to_vec(),
            _ => {
                let spki = spki::SubjectPublicKeyInfoRef::from_der(&spki).map_err(malformed)?;
                SubjectKeyIdentifier::try_from(spki).map_err(malformed)?.0.as_bytes().to_vec()
            }
        };
        let is_self_issued = |certificate: &Certificate| {
            certificate.tbs_certificate().issuer() == certificate.tbs_certificate().subject()
        };
        let mut counted = (1..).zip(&chain);
        let unknown = counted.find(|(_, (below, _))| !is_self_issued(below) && !is_known_to_webpki(below));
        let unknown_to_webpki = unknown.map(|(position, _)| position);
        let root = chain.last().filter(|(last, _)| is_self_issued(last));
        let root = root.map(|(root, _)| RootIdentity::of(root)).transpose().map_err(malformed)?;
        let sub_authorities = chain.iter().filter(|(certificate, _)| !is_self_issued(certificate));
        let above = sub_authorities.map(|(_, der)| pem("CERTIFICATE", der)).collect::<der::Result<String>>();
        Ok(Self {
            hierarchy,
            name: tbs.subject().clone(),
            key: key.clone(),
            algorithm,
            key_id,
            not_before: tbs.validity().not_before.to_system_time(),
            not_after: tbs.validity().not_after.to_system_time(),
            path_len: constraints.path_len_constraint,
            may_sign_crls,
            root,
            above: above.map_err(malformed)?,
            unknown_to_webpki,
        })
    }

    /// End of the issuer's own validity.
    pub(crate) fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Whether its own certificate is valid.
    pub(crate) fn is_valid_at(&self, now: SystemTime) -> bool {
        (self.not_before..self.not_after).contains(&now)
    }

    /// Which certificate of the chain, counted from 1, is signed by RSASSA-PSS with parameters that webpki does not know.
    /// It compares the whole AlgorithmIdentifier, which says the length of the salt: only that of the hash passes, and
    /// OpenSSL's default is the longest that fits.
    pub(crate) fn unknown_to_webpki(&self) -> Option<usize> {
        self.unknown_to_webpki
    }

    /// Whether its certificate allows it to sign lists of revoked certificates.
    pub(crate) fn may_sign_crls(&self) -> bool {
        self.may_sign_crls
    }

    /// The issuer's name, as it stands in its certificate.
    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// The issuer's subject key identifier.
    pub(crate) fn key_id(&self) -> &[u8] {
        &self.key_id
    }

    /// The issuer's key, as the builders want it.
    pub(crate) fn remote_key(&self) -> RemoteKey {
        RemoteKey { public_key: self.key.clone(), algorithm: self.algorithm }
    }

    /// Whether the issuer's root is the one that a station asks for (A02.FR.27 of OCPP 2.1).
    pub(crate) fn has_root(&self, wanted: &RootHash) -> bool {
        self.root.as_ref().is_some_and(|root| wanted.names(root))
    }

    /// A station's or a CSMS's certificate.
    pub(crate) fn leaf(
        &self,
        leaf: &Leaf<'_>,
        random: [u8; SERIAL_BYTES],
        now: SystemTime,
    ) -> Result<Unsigned, IssueError> {
        let profile = leaf.profile;
        let kind = Kind::Leaf { usage: profile.key_usage.clone(), dns_names: leaf.dns_names.to_vec() };
        let mut plan = self.plan(kind, leaf.subject, leaf.key, profile.validity, random, now)?;
        // A station whose clock is slow rejects what is not valid yet (A02.FR.06).
        plan.not_before = now.checked_sub(leaf.backdate).unwrap_or(now).max(self.not_before);
        plan.crl_urls.clone_from(&profile.crl_urls);
        plan.ocsp_urls.clone_from(&profile.ocsp_urls);
        Unsigned::new(plan, self.remote_key(), &self.above)
    }

    /// The certificate of an authority below this one.
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
            serial: serial_number(random).map_err(|source| IssueError::Encode(source.into()))?,
            not_before: now,
            // A chain is as long valid as its shortest part, so nothing claims more than its issuer.
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

/// Whether a certificate's signature is none by RSASSA-PSS, or one that webpki verifies.
fn is_known_to_webpki(certificate: &Certificate) -> bool {
    let algorithm = certificate.signature_algorithm();
    let known = [
        SignatureAlgorithm::RsaPssSha256,
        SignatureAlgorithm::RsaPssSha384,
        SignatureAlgorithm::RsaPssSha512,
    ];
    algorithm.oid != oid::RSASSA_PSS
        || known.iter().any(|known| known.identifier_owned().is_ok_and(|known| known == *algorithm))
}

/// Whether `above`'s key has signed `below`.
pub(crate) fn verify_certificate(below: &Certificate, above: &Certificate) -> Result<(), VerifyError> {
    let malformed = |_| VerifyError::Malformed;
    let spki = above.tbs_certificate().subject_public_key_info().to_der().map_err(malformed)?;
    let key = PublicKey::from_spki_der(&spki).map_err(|_| VerifyError::Malformed)?;
    let algorithm = below.signature_algorithm().to_der().map_err(malformed)?;
    let algorithm = der::AnyRef::from_der(&algorithm).map_err(malformed)?;
    let signed = below.tbs_certificate().to_der().map_err(malformed)?;
    let signature = below.signature().as_bytes().ok_or(VerifyError::Malformed)?;
    key.verify(algorithm.value(), &signed, signature)
}

#[cfg(test)]
mod tests {
    use super::{Certificate, CertificateDer, Decode, Encode, Hierarchy, Issuer, PemObject, PublicKey};
    use crate::algorithm::SignatureAlgorithm;

    /// The position of the certificate that webpki does not know.
    fn unknown(chain_pem: &str) -> Option<usize> {
        let first = CertificateDer::from_pem_slice(chain_pem.as_bytes()).unwrap();
        let spki =
            Certificate::from_der(&first).unwrap().tbs_certificate().subject_public_key_info().to_der();
        let key = PublicKey::from_spki_der(&spki.unwrap()).unwrap();
        let issuer = Issuer::parse(Hierarchy::Cso, chain_pem, &key, SignatureAlgorithm::EcdsaSha256);
        issuer.unwrap().unknown_to_webpki()
    }

    #[test]
    fn a00_fr_505_a_chain_by_pss_with_another_salt_than_peers_verify() {
        // Both by `openssl x509 -req -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:…` below the same root.
        assert_eq!(unknown(include_str!("../tests/it/pss-max.pem")), Some(1));
        assert_eq!(unknown(include_str!("../tests/it/pss-digest.pem")), None);
    }
}
