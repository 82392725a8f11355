//! Certificates: decided, encoded, linted, and assembled once the token has signed. No token is touched here.

use std::time::{Duration, SystemTime};

use der::{Decode, Encode};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_cert::{
    Certificate,
    builder::{Builder, CertificateBuilder},
    ext::pkix::{BasicConstraints, KeyUsage, SubjectKeyIdentifier},
    name::Name,
    time::{Time, Validity},
};

use crate::{
    algorithm::SignatureAlgorithm,
    csr::{Subject, SubjectError, pem},
    profile::{Kind, Lint, Plan, SERIAL_BYTES, serial_number},
    public_key::{PublicKey, PublicKeyError, VerifyError},
    server_name::ServerName,
    settings::CaSettings,
    sign::{RemoteKey, SignError},
};

/// Why a certificate is not issued, although the request was accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// Now is outside the validity of the issuer's certificate.
    #[error("the issuer's certificate is not valid now: renew it")]
    IssuerNotValid,
    /// The subject cannot be written.
    #[error("the subject cannot be written into a certificate")]
    Subject(#[source] SubjectError),
    /// Not a host name that a server certificate may bear.
    #[error(
        "\"{0}\" is not a fully qualified domain name of a CSMS; wildcards and addresses are not allowed (A00.FR.510)"
    )]
    ServerName(String),
    /// The public key is not on the allow-list.
    #[error("the public key is refused")]
    PublicKey(#[source] PublicKeyError),
    /// The encoder refused, which is our bug.
    #[error("the certificate cannot be encoded")]
    Encode(#[source] x509_cert::builder::Error),
    /// The encoded certificate is not what was decided, which is our bug. Nothing was signed.
    #[error("the certificate was not signed, because it is not what was decided")]
    Lint(#[source] Lint),
    /// No signature.
    #[error("the certificate cannot be signed")]
    Sign(#[source] SignError),
    /// The token's signature does not verify. Nothing leaves.
    #[error("the token's signature over the certificate does not verify, so it is thrown away")]
    OwnSignature(#[source] VerifyError),
    /// OCPP bounds the chain.
    #[error("the chain has {characters} characters; CertificateSigned holds at most {MAX_CHAIN_CHARACTERS}")]
    ChainTooLong {
        /// As counted.
        characters: usize,
    },
    /// No randomness for a serial number.
    #[error("the operating system gives no randomness")]
    Random,
}

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

/// Most characters of `CertificateSignedRequest.certificateChain`.
pub const MAX_CHAIN_CHARACTERS: usize = 10_000;

/// A certificate that has just been issued, its signature verified.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IssuedCertificate {
    /// The certificate.
    pub der: Vec<u8>,
    /// PEM: the certificate, then the sub-CAs above it in chain order, without the root.
    pub chain_pem: String,
    /// Serial number in lower-case hexadecimal, without leading zeros.
    pub serial: String,
    /// Start of validity.
    pub not_before: SystemTime,
    /// End of validity.
    pub not_after: SystemTime,
}

/// The issuer, as its certificate describes it.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    name: Name,
    key: PublicKey,
    algorithm: SignatureAlgorithm,
    key_id: Vec<u8>,
    not_before: SystemTime,
    not_after: SystemTime,
    /// PEM of the issuer and what is above it, without self-issued roots.
    above: String,
}

impl Issuer {
    /// Reads the issuer's certificate and those above it.
    pub(crate) fn parse(
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
        let is_authority =
            matches!(tbs.get_extension::<BasicConstraints>(), Ok(Some((_, constraints))) if constraints.ca);
        // RFC 5280 §4.2.1.3: without the extension every usage is allowed.
        let may_sign = match tbs.get_extension::<KeyUsage>() {
            Ok(Some((_, usage))) => usage.key_cert_sign(),
            Ok(None) => true,
            Err(_) => false,
        };
        if !is_authority || !may_sign {
            return Err(IssuerError::NotAnAuthority);
        }
        let spki =
            tbs.subject_public_key_info().to_der().map_err(|_| IssuerError::Malformed { position: 1 })?;
        let certified = PublicKey::from_spki_der(&spki).map_err(IssuerError::PublicKey)?;
        if certified != *key {
            return Err(IssuerError::OtherKey);
        }
        // RFC 5280 §4.2.1.1: the AKI repeats the SKI of the issuer's certificate, however that was made.
        let key_id = match tbs.get_extension::<SubjectKeyIdentifier>() {
            Ok(Some((_, id))) => id.0.as_bytes().to_vec(),
            _ => SubjectKeyIdentifier::try_from(
                spki::SubjectPublicKeyInfoRef::try_from(spki.as_slice())
                    .map_err(|_| IssuerError::Malformed { position: 1 })?,
            )
            .map_err(|_| IssuerError::Malformed { position: 1 })?
            .0
            .into_bytes()
            .to_vec(),
        };
        let sub_authorities = chain.iter().filter(|(certificate, _)| {
            certificate.tbs_certificate().issuer() != certificate.tbs_certificate().subject()
        });
        let above = sub_authorities.map(|(_, der)| pem("CERTIFICATE", der)).collect::<der::Result<String>>();
        Ok(Self {
            name: tbs.subject().clone(),
            key: key.clone(),
            algorithm,
            key_id,
            not_before: tbs.validity().not_before.to_system_time(),
            not_after: tbs.validity().not_after.to_system_time(),
            above: above.map_err(|_| IssuerError::Malformed { position: 1 })?,
        })
    }

    /// End of the issuer's own validity.
    pub(crate) fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// A station's certificate.
    pub(crate) fn station(
        &self,
        subject: &Subject,
        key: &PublicKey,
        settings: &CaSettings,
        random: [u8; SERIAL_BYTES],
        now: SystemTime,
    ) -> Result<Unsigned, IssueError> {
        self.leaf(Kind::Station, subject, key, settings.station_validity, settings, random, now)
    }

    /// The CSMS's own certificate.
    pub(crate) fn server(
        &self,
        server: &ServerName,
        key: &PublicKey,
        settings: &CaSettings,
        random: [u8; SERIAL_BYTES],
        now: SystemTime,
    ) -> Result<Unsigned, IssueError> {
        let subject = Subject::new(&server.common_name, &settings.organization);
        let kind = Kind::Server { dns_names: server.dns_names.clone() };
        self.leaf(kind, &subject, key, settings.server_validity, settings, random, now)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "everything a certificate is made of, named at the two callers"
    )]
    fn leaf(
        &self,
        kind: Kind,
        subject: &Subject,
        key: &PublicKey,
        validity: Duration,
        settings: &CaSettings,
        random: [u8; SERIAL_BYTES],
        now: SystemTime,
    ) -> Result<Unsigned, IssueError> {
        if now < self.not_before || now >= self.not_after {
            return Err(IssueError::IssuerNotValid);
        }
        // A chain is as long valid as its shortest part, so a leaf never claims more than its issuer.
        let not_before = now.checked_sub(settings.backdate).unwrap_or(now).max(self.not_before);
        let not_after = now.checked_add(validity).unwrap_or(self.not_after).min(self.not_after);
        let plan = Plan {
            kind,
            issuer: self.name.clone(),
            subject: subject.to_name().map_err(IssueError::Subject)?,
            subject_key: key.clone(),
            authority_key_id: Some(self.key_id.clone()),
            serial: serial_number(random).map_err(|source| IssueError::Encode(source.into()))?,
            not_before,
            not_after,
            algorithm: self.algorithm,
        };
        let issuer_key = RemoteKey { public_key: self.key.clone(), algorithm: self.algorithm };
        Unsigned::new(plan, issuer_key, &self.above)
    }
}

/// A self-signed root.
pub(crate) fn root(
    subject: &Subject,
    key: RemoteKey,
    validity: Duration,
    random: [u8; SERIAL_BYTES],
    now: SystemTime,
) -> Result<Unsigned, IssueError> {
    let name = subject.to_name().map_err(IssueError::Subject)?;
    let plan = Plan {
        kind: Kind::Root,
        issuer: name.clone(),
        subject: name,
        subject_key: key.public_key.clone(),
        authority_key_id: None,
        serial: serial_number(random).map_err(|source| IssueError::Encode(source.into()))?,
        not_before: now,
        not_after: now.checked_add(validity).ok_or(IssueError::IssuerNotValid)?,
        algorithm: key.algorithm,
    };
    Unsigned::new(plan, key, "")
}

/// A certificate that waits for its signature: encoded, and found to be what was decided.
pub(crate) struct Unsigned {
    builder: CertificateBuilder<Plan>,
    plan: Plan,
    key: RemoteKey,
    to_be_signed: Vec<u8>,
    above: String,
}

impl Unsigned {
    fn new(plan: Plan, key: RemoteKey, above: &str) -> Result<Self, IssueError> {
        let encode = |source: der::Error| IssueError::Encode(source.into());
        let validity = Validity::new(
            Time::try_from(plan.not_before).map_err(encode)?,
            Time::try_from(plan.not_after).map_err(encode)?,
        );
        let spki = spki::SubjectPublicKeyInfoOwned::from_der(plan.subject_key.spki_der()).map_err(encode)?;
        let mut builder = CertificateBuilder::new(plan.clone(), plan.serial.clone(), validity, spki)
            .map_err(IssueError::Encode)?;
        let to_be_signed = builder.finalize(&key).map_err(IssueError::Encode)?;
        plan.lint(&to_be_signed).map_err(IssueError::Lint)?;
        Ok(Self { builder, plan, key, to_be_signed, above: above.to_owned() })
    }

    /// What the issuer's key signs.
    pub(crate) fn to_be_signed(&self) -> &[u8] {
        &self.to_be_signed
    }

    /// Puts the signature in, after it has been verified with the issuer's public key.
    pub(crate) fn assemble(self, signature: &[u8]) -> Result<IssuedCertificate, IssueError> {
        let encode = |source: der::Error| IssueError::Encode(source.into());
        let bits = self.key.verified(&self.to_be_signed, signature).map_err(IssueError::OwnSignature)?;
        let certificate = self.builder.assemble(bits, &self.key).map_err(IssueError::Encode)?;
        let der = certificate.to_der().map_err(encode)?;
        let chain_pem = pem("CERTIFICATE", &der).map_err(encode)? + &self.above;
        let characters = chain_pem.len();
        if characters > MAX_CHAIN_CHARACTERS {
            return Err(IssueError::ChainTooLong { characters });
        }
        Ok(IssuedCertificate {
            der,
            chain_pem,
            serial: hex::encode(self.plan.serial.as_bytes()),
            not_before: self.plan.not_before,
            not_after: self.plan.not_after,
        })
    }
}

/// Whether `above`'s key has signed `below`.
fn verify_certificate(below: &Certificate, above: &Certificate) -> Result<(), VerifyError> {
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
    use std::time::{Duration, SystemTime};

    use super::{IssueError, Issuer, MAX_CHAIN_CHARACTERS, Unsigned, root};
    use crate::{
        algorithm::SignatureAlgorithm,
        name::Subject,
        profile::SERIAL_BYTES,
        settings::CaSettings,
        sign::{RemoteKey, Signer, software::SoftwareKey},
    };

    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn root_of(key: &SoftwareKey) -> Unsigned {
        let remote = RemoteKey::of(key);
        root(&Subject::new("Root", "Example"), remote, 30 * YEAR, [1; SERIAL_BYTES], now()).unwrap()
    }

    fn issuer(key: &SoftwareKey) -> Issuer {
        let unsigned = root_of(key);
        let signature = key.sign_blocking(unsigned.to_be_signed()).unwrap();
        let pem = unsigned.assemble(&signature).unwrap().chain_pem;
        Issuer::parse(&pem, key.public_key(), SignatureAlgorithm::EcdsaSha256).unwrap()
    }

    fn leaf(issuer: &Issuer, random: [u8; SERIAL_BYTES]) -> Unsigned {
        let subject = Subject::new("CS-0001", "Example");
        let key = SoftwareKey::generate();
        issuer.station(&subject, key.public_key(), &CaSettings::new("Example"), random, now()).unwrap()
    }

    #[test]
    fn a_certificate_without_a_token() {
        let key = SoftwareKey::generate();
        let unsigned = leaf(&issuer(&key), [0xff; SERIAL_BYTES]);
        let signature = key.sign_blocking(unsigned.to_be_signed()).unwrap();
        let certificate = unsigned.assemble(&signature).unwrap();
        assert_eq!(certificate.serial, format!("7f{}", "ff".repeat(SERIAL_BYTES - 1)));
        // Where the randomness is all zeros, the serial number is positive still, and as long.
        let zeros = leaf(&issuer(&key), [0; SERIAL_BYTES]);
        let signature = key.sign_blocking(zeros.to_be_signed()).unwrap();
        assert_eq!(
            zeros.assemble(&signature).unwrap().serial,
            format!("40{}", "00".repeat(SERIAL_BYTES - 1))
        );
        assert_eq!(certificate.not_before, now(), "not before the issuer");
        assert_eq!(certificate.not_after, now() + YEAR);
    }

    #[test]
    fn a_signature_that_does_not_verify_never_leaves() {
        let key = SoftwareKey::generate();
        let issuer = issuer(&key);
        let other = SoftwareKey::generate();
        let unsigned = leaf(&issuer, [1; SERIAL_BYTES]);
        let signature = other.sign_blocking(unsigned.to_be_signed()).unwrap();
        assert!(matches!(unsigned.assemble(&signature), Err(IssueError::OwnSignature(_))));
        let unsigned = leaf(&issuer, [1; SERIAL_BYTES]);
        let signature = key.sign_blocking(b"something else").unwrap();
        assert!(matches!(unsigned.assemble(&signature), Err(IssueError::OwnSignature(_))));
        assert!(matches!(leaf(&issuer, [1; SERIAL_BYTES]).assemble(&[]), Err(IssueError::OwnSignature(_))));
    }

    #[test]
    fn the_lint_notices_every_flipped_bit() {
        let key = SoftwareKey::generate();
        for unsigned in [leaf(&issuer(&key), [1; SERIAL_BYTES]), root_of(&key)] {
            let bytes = unsigned.to_be_signed().to_vec();
            unsigned.plan.lint(&bytes).unwrap();
            for position in 0..bytes.len() {
                for bit in 0..8 {
                    let mut tampered = bytes.clone();
                    tampered[position] ^= 1 << bit;
                    assert!(unsigned.plan.lint(&tampered).is_err(), "byte {position}, bit {bit}");
                }
            }
        }
    }

    #[test]
    fn a_chain_too_long_for_the_message() {
        let key = SoftwareKey::generate();
        let mut issuer = issuer(&key);
        issuer.above = "x".repeat(MAX_CHAIN_CHARACTERS);
        let unsigned = leaf(&issuer, [1; SERIAL_BYTES]);
        let signature = key.sign_blocking(unsigned.to_be_signed()).unwrap();
        let error = unsigned.assemble(&signature).unwrap_err();
        assert!(
            matches!(error, IssueError::ChainTooLong { characters } if characters > MAX_CHAIN_CHARACTERS)
        );
    }

    #[test]
    fn dates_beyond_2049() {
        // RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on; the lint reads both.
        let bytes = root_of(&SoftwareKey::generate()).to_be_signed().to_vec();
        let contains = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(contains(b"270115080000Z") && contains(b"20570107080000Z"));
    }
}
