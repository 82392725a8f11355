//! Certificates: encoded, linted, and assembled after the token has signed. No token is called
//! here.

use std::time::{Duration, SystemTime};

use certificates::{SerialNumber, pem};
use der::{Decode, Encode};
use x509_cert::{
    builder::{Builder, CertificateBuilder},
    time::{Time, Validity},
};

use crate::{
    csr::name::Subject,
    issuing::{
        certificate::{
            IssuedCertificate, MAX_CHAIN_CHARACTERS,
            plan::{Kind, Plan, SERIAL_BYTES, serial_number},
        },
        error::IssueError,
    },
    key::signer::RemoteKey,
};

/// Plans a self-signed root.
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
        serial: serial_number(random),
        not_before: now,
        not_after: now.checked_add(validity).ok_or(IssueError::IssuerNotValid)?,
        crl_urls: Vec::new(),
        ocsp_urls: Vec::new(),
        algorithm: key.algorithm,
    };
    Unsigned::new(plan, key, "")
}

/// A certificate that is encoded, equals its plan, and is not signed yet.
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
        let serial = x509_cert::serial_number::SerialNumber::new(plan.serial.octets()).map_err(encode)?;
        let mut builder =
            CertificateBuilder::new(plan.clone(), serial, validity, spki).map_err(IssueError::Encode)?;
        let to_be_signed = builder.finalize(&key).map_err(IssueError::Encode)?;
        plan.lint(&to_be_signed).map_err(IssueError::Lint)?;
        Ok(Self { builder, plan, key, to_be_signed, above: above.to_owned() })
    }

    /// Its serial number.
    pub(crate) fn serial(&self) -> SerialNumber {
        self.plan.serial
    }

    /// The subject in the format of RFC 4514.
    pub(crate) fn subject(&self) -> String {
        self.plan.subject.to_string()
    }

    /// End of validity.
    pub(crate) fn not_after(&self) -> SystemTime {
        self.plan.not_after
    }

    /// The bytes that the issuer's key signs.
    pub(crate) fn to_be_signed(&self) -> &[u8] {
        &self.to_be_signed
    }

    /// Verifies the signature with the issuer's public key and adds it.
    pub(crate) fn assemble(self, signature: &[u8]) -> Result<IssuedCertificate, IssueError> {
        let encode = |source: der::Error| IssueError::Encode(source.into());
        let bits = self.key.verified(&self.to_be_signed, signature).map_err(IssueError::OwnSignature)?;
        let certificate = self.builder.assemble(bits, &self.key).map_err(IssueError::Encode)?;
        let der = certificate.to_der().map_err(encode)?;
        let chain_pem = pem::encode(pem::CERTIFICATE, &der) + &self.above;
        let characters = chain_pem.len();
        if characters > MAX_CHAIN_CHARACTERS {
            return Err(IssueError::ChainTooLong { characters, limit: MAX_CHAIN_CHARACTERS });
        }
        Ok(IssuedCertificate {
            der,
            chain_pem,
            serial: self.plan.serial,
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
        csr::name::Subject,
        issuing::{
            certificate::{
                issuer::{Issuer, Leaf},
                plan::SERIAL_BYTES,
            },
            present::Present,
        },
        key::{
            algorithm::SignatureAlgorithm,
            signer::{RemoteKey, Signer, software::SoftwareKey},
        },
        policy::profiles::{Hierarchy, Profile},
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
        leaf_at(issuer, random, Present::at(now())).unwrap()
    }

    fn leaf_at(
        issuer: &Issuer,
        random: [u8; SERIAL_BYTES],
        present: Present,
    ) -> Result<Unsigned, IssueError> {
        let key = SoftwareKey::generate();
        let leaf = Leaf {
            profile: &Profile::station(),
            subject: &Subject::new("CS-0001", "Example"),
            dns_names: &[],
            key: key.public_key(),
            backdate: Duration::from_secs(300),
        };
        issuer.leaf(&leaf, random, present)
    }

    #[test]
    fn a_certificate_without_a_token() {
        let key = SoftwareKey::generate();
        let unsigned = leaf(&issuer(&key), [0xff; SERIAL_BYTES]);
        let signature = key.sign_blocking(unsigned.to_be_signed()).unwrap();
        let certificate = unsigned.assemble(&signature).unwrap();
        assert_eq!(certificate.serial.to_string(), format!("7f{}", "ff".repeat(SERIAL_BYTES - 1)));
        // If all random bytes are zero, the serial number is still positive and has the same
        // length.
        let zeros = leaf(&issuer(&key), [0; SERIAL_BYTES]);
        let signature = key.sign_blocking(zeros.to_be_signed()).unwrap();
        assert_eq!(
            zeros.assemble(&signature).unwrap().serial.to_string(),
            format!("40{}", "00".repeat(SERIAL_BYTES - 1))
        );
        assert_eq!(certificate.not_before, now(), "not before the issuer");
        assert_eq!(certificate.not_after, now() + YEAR);
    }

    #[test]
    fn while_the_clock_is_in_doubt_a_certificate_is_valid_at_both_times_or_not_issued() {
        let key = SoftwareKey::generate();
        let issuer = issuer(&key);
        let day = Duration::from_secs(24 * 3600);
        for other in [now() + 20 * day, now() + YEAR - day] {
            let unsigned = leaf_at(&issuer, [1; SERIAL_BYTES], Present::either(other, now())).unwrap();
            assert!(unsigned.plan.not_before <= now() && unsigned.plan.not_after > other);
            assert_eq!(unsigned.plan.not_after, now() + YEAR, "no longer than the profile says");
        }
        let present = Present::either(now(), now() + YEAR);
        assert!(matches!(leaf_at(&issuer, [1; SERIAL_BYTES], present), Err(IssueError::ClockInDoubt)));
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
        // RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on; the lint reads
        // both.
        let bytes = root_of(&SoftwareKey::generate()).to_be_signed().to_vec();
        let contains = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(contains(b"270115080000Z") && contains(b"20570107080000Z"));
    }
}
