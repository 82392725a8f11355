//! What a certificate of ours looks like (OCPP 2.0.1 Part 2, A00.FR.501 to A00.FR.514).

use std::{fmt, time::SystemTime};

use der::{
    Decode, Encode,
    asn1::{Ia5String, ObjectIdentifier, OctetString},
    flagset::FlagSet,
};
use spki::SubjectPublicKeyInfoRef;
use x509_cert::{
    TbsCertificate,
    builder::{Result, profile::BuilderProfile},
    certificate::Version,
    ext::{
        Extension, ToExtension,
        pkix::{
            AuthorityKeyIdentifier, BasicConstraints, KeyUsage, KeyUsages, SubjectAltName,
            SubjectKeyIdentifier, name::GeneralName,
        },
    },
    name::Name,
    serial_number::SerialNumber,
};

use crate::{
    algorithm::SignatureAlgorithm,
    public_key::{KeyKind, PublicKey},
};

/// What kind of certificate it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The CSO's root.
    Root,
    /// A station's certificate for its connection with the CSMS.
    Station,
    /// The CSMS's own certificate, with these dNSNames.
    Server {
        /// May be empty.
        dns_names: Vec<String>,
    },
}

/// A certificate that has been decided on in every part, before anything is encoded.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) issuer: Name,
    pub(crate) subject: Name,
    pub(crate) subject_key: PublicKey,
    /// SKI of the issuer's certificate; `None` in a root.
    pub(crate) authority_key_id: Option<Vec<u8>>,
    /// Positive, [`SERIAL_BYTES`] long.
    pub(crate) serial: SerialNumber,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
    /// The issuer's algorithm.
    pub(crate) algorithm: SignatureAlgorithm,
}

/// Length of a serial number: more than 16 random bytes (A00.FR.508; RFC 5280 §4.1.2.2 allows at most 20 octets).
pub(crate) const SERIAL_BYTES: usize = 17;

/// A serial number of random bytes. Two bits are fixed, so that it is positive and always of the same length.
pub(crate) fn serial_number(mut random: [u8; SERIAL_BYTES]) -> der::Result<SerialNumber> {
    random[0] = random[0] & 0x7f | 0x40;
    SerialNumber::new(&random)
}

impl Plan {
    /// A00.FR.512: what the key may be used for, and nothing else.
    fn key_usage(&self) -> FlagSet<KeyUsages> {
        match (&self.kind, self.subject_key.kind()) {
            (Kind::Root, _) => KeyUsages::KeyCertSign | KeyUsages::CRLSign,
            // A00.FR.318: two of the CSMS's four cipher suites transport the key under the RSA certificate.
            (Kind::Server { .. }, KeyKind::Rsa { .. }) => {
                KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment
            }
            // TLS clients and ECDHE servers only sign. ISO 15118-2's keyAgreement (A00.FR.513) belongs to
            // certificates that also serve the vehicle, which are not issued here.
            _ => KeyUsages::DigitalSignature.into(),
        }
    }

    fn basic_constraints(&self) -> BasicConstraints {
        BasicConstraints { ca: self.kind == Kind::Root, path_len_constraint: None }
    }

    fn subject_alt_name(&self) -> der::Result<Option<SubjectAltName>> {
        let Kind::Server { dns_names } = &self.kind else { return Ok(None) };
        let names = dns_names.iter().map(|name| Ia5String::new(name).map(GeneralName::DnsName));
        let names = names.collect::<der::Result<Vec<_>>>()?;
        Ok((!names.is_empty()).then_some(SubjectAltName(names)))
    }

    fn subject_key_id(&self) -> der::Result<SubjectKeyIdentifier> {
        SubjectKeyIdentifier::try_from(SubjectPublicKeyInfoRef::from_der(self.subject_key.spki_der())?)
    }

    /// Every extension, in the order in which it is written. There is no extended key usage (A00.FR.514).
    fn extensions(&self) -> der::Result<Vec<Extension>> {
        let mut extensions = Vec::new();
        let mut add =
            |extension: der::Result<Extension>| extension.map(|extension| extensions.push(extension));
        add((true, &self.basic_constraints()).to_extension(&self.subject, &[]))?;
        add((true, &KeyUsage(self.key_usage())).to_extension(&self.subject, &[]))?;
        add((false, &self.subject_key_id()?).to_extension(&self.subject, &[]))?;
        if let Some(id) = &self.authority_key_id {
            let id = AuthorityKeyIdentifier {
                key_identifier: Some(OctetString::new(id.as_slice())?),
                ..Default::default()
            };
            add((false, &id).to_extension(&self.subject, &[]))?;
        }
        if let Some(names) = self.subject_alt_name()? {
            add((false, &names).to_extension(&self.subject, &[]))?;
        }
        Ok(extensions)
    }

    /// Reads the bytes that are about to be signed as a stranger would, and compares them with the plan.
    ///
    /// # Errors
    /// [`Lint`] with the first difference: then nothing is signed.
    pub(crate) fn lint(&self, to_be_signed: &[u8]) -> std::result::Result<(), Lint> {
        let tbs = TbsCertificate::from_der(to_be_signed).map_err(|_| Lint("it is not DER"))?;
        let unchanged = tbs.to_der().is_ok_and(|again| again == to_be_signed);
        check(unchanged, "it is not encoded in the one way that DER allows")?;
        check(tbs.version() == Version::V3, "its version is not 3")?;
        check(tbs.serial_number() == &self.serial, "its serial number is another one")?;
        let serial = tbs.serial_number().as_bytes();
        check(
            serial.len() == SERIAL_BYTES && serial[0] & 0xc0 == 0x40,
            "its serial number is not positive and of 17 octets",
        )?;
        check(
            self.algorithm.identifier_owned().is_ok_and(|expected| *tbs.signature() == expected),
            "its signature algorithm is not the issuer's",
        )?;
        check(tbs.issuer() == &self.issuer && !tbs.issuer().is_empty(), "its issuer is another one")?;
        check(tbs.subject() == &self.subject && !tbs.subject().is_empty(), "its subject is another one")?;
        let validity = tbs.validity();
        check(
            seconds(validity.not_before.to_system_time()) == seconds(self.not_before),
            "notBefore differs",
        )?;
        check(seconds(validity.not_after.to_system_time()) == seconds(self.not_after), "notAfter differs")?;
        check(self.not_before < self.not_after, "it ends before it begins")?;
        let spki = tbs.subject_public_key_info().to_der().map_err(|_| Lint("its public key is not DER"))?;
        check(spki == self.subject_key.spki_der(), "its public key is not the requested one")?;
        check(
            tbs.issuer_unique_id().is_none() && tbs.subject_unique_id().is_none(),
            "it has a unique identifier, which RFC 5280 forbids",
        )?;
        let expected = self.extensions().map_err(|_| Lint("its extensions cannot be encoded"))?;
        check(
            tbs.extensions().is_some_and(|found| *found == expected),
            "its extensions are not the profile's",
        )?;
        check(
            !expected.iter().any(|extension| extension.extn_id == EXTENDED_KEY_USAGE),
            "it has an extended key usage",
        )
    }
}

impl BuilderProfile for Plan {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        _subject_key: SubjectPublicKeyInfoRef<'_>,
        _issuer_key: SubjectPublicKeyInfoRef<'_>,
        _tbs: &TbsCertificate,
    ) -> Result<Vec<Extension>> {
        Ok(self.extensions()?)
    }
}

/// What is wrong with a certificate that was about to be signed: our bug, caught before the token sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lint(&'static str);

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Lint {}

fn check(holds: bool, otherwise: &'static str) -> std::result::Result<(), Lint> {
    if holds { Ok(()) } else { Err(Lint(otherwise)) }
}

/// X.509 times have no fractions.
fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|duration| duration.as_secs())
}

const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
