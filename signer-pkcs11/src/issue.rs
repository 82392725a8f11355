//! Certificates: decided, encoded, linted, and assembled once the token has signed. No token is touched here.

use std::time::{Duration, SystemTime};

use der::{Decode, Encode};
use x509_cert::{
    builder::{Builder, CertificateBuilder},
    time::{Time, Validity},
};

use crate::{
    csr::{Subject, SubjectError, pem},
    external::ExternalError,
    policy::Refused,
    profile::{Kind, Lint, Plan, SERIAL_BYTES, serial_number},
    public_key::{PublicKeyError, VerifyError},
    record::RecordError,
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
    #[error("the chain has {characters} characters; the station takes at most {limit}")]
    ChainTooLong {
        /// As counted.
        characters: usize,
        /// MaxCertificateChainSize, or what CertificateSigned holds.
        limit: usize,
    },
    /// The issuer's certificate has no cRLSign.
    #[error(
        "the issuer's certificate does not allow it to sign lists of revoked certificates (key usage cRLSign)"
    )]
    NoCrlSign,
    /// A sub-authority that its issuer may not certify.
    #[error("the issuer's basicConstraints allow no such authority below it: choose a smaller path length")]
    PathLength,
    /// The request is refused after all.
    #[error("the request is refused")]
    Refused(#[source] Refused),
    /// No issuer of the hierarchy.
    #[error("there is no issuer for such certificates")]
    NoIssuer,
    /// Without a record nothing is signed, and nothing leaves.
    #[error("what is to be signed cannot be put on record, so nothing is issued")]
    Record(#[source] RecordError),
    /// Another authority did not issue the certificate, or not this one.
    #[error("the other authority did not issue the certificate")]
    External(#[source] ExternalError),
    /// No randomness for a serial number.
    #[error("the operating system gives no randomness")]
    Random,
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
        crl_urls: Vec::new(),
        ocsp_urls: Vec::new(),
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
    pub(crate) fn new(plan: Plan, key: RemoteKey, above: &str) -> Result<Self, IssueError> {
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

    /// Serial number in lower-case hexadecimal.
    pub(crate) fn serial(&self) -> String {
        hex::encode(self.plan.serial.as_bytes())
    }

    /// The subject, as RFC 4514 writes it.
    pub(crate) fn subject(&self) -> String {
        self.plan.subject.to_string()
    }

    /// End of validity.
    pub(crate) fn not_after(&self) -> SystemTime {
        self.plan.not_after
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
            return Err(IssueError::ChainTooLong { characters, limit: MAX_CHAIN_CHARACTERS });
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{IssueError, MAX_CHAIN_CHARACTERS, Unsigned, root};
    use crate::{
        algorithm::SignatureAlgorithm,
        issuer::{Issuer, Leaf},
        name::Subject,
        profile::SERIAL_BYTES,
        profiles::{Hierarchy, Profile},
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
        Issuer::parse(Hierarchy::Cso, &pem, key.public_key(), SignatureAlgorithm::EcdsaSha256).unwrap()
    }

    fn leaf(issuer: &Issuer, random: [u8; SERIAL_BYTES]) -> Unsigned {
        let key = SoftwareKey::generate();
        let leaf = Leaf {
            profile: &Profile::station(),
            subject: &Subject::new("CS-0001", "Example"),
            dns_names: &[],
            key: key.public_key(),
            backdate: Duration::from_secs(300),
        };
        issuer.leaf(&leaf, random, now()).unwrap()
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
        let issuer = issuer(&key).with_text_above("x".repeat(MAX_CHAIN_CHARACTERS));
        let unsigned = leaf(&issuer, [1; SERIAL_BYTES]);
        let signature = key.sign_blocking(unsigned.to_be_signed()).unwrap();
        let error = unsigned.assemble(&signature).unwrap_err();
        assert!(
            matches!(error, IssueError::ChainTooLong { characters, .. } if characters > MAX_CHAIN_CHARACTERS)
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
