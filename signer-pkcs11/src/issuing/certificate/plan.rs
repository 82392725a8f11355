//! The content of an issued certificate (OCPP 2.0.1 Part 2, A00.FR.501 to A00.FR.514).

use std::{fmt, time::SystemTime};

use certificates::SerialNumber;
use const_oid::db::rfc5280::{ID_AD_OCSP, ID_CE_EXT_KEY_USAGE};
use der::{
    Decode, Encode,
    asn1::{Ia5String, OctetString},
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
            AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints,
            CrlDistributionPoints, KeyUsage, KeyUsages, SubjectAltName, SubjectKeyIdentifier,
            crl::dp::DistributionPoint,
            name::{DistributionPointName, GeneralName},
        },
    },
    name::Name,
};

use crate::{
    key::{algorithm::SignatureAlgorithm, kind::KeyKind, public_key::PublicKey},
    policy::profiles::LeafUsage,
};

/// The kind of certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The root of a hierarchy.
    Root,
    /// A subordinate authority, and how many further authorities may be below it.
    SubAuthority {
        /// Absent: as many as its issuer allows.
        path_len: Option<u8>,
    },
    /// Any other certificate.
    Leaf {
        /// The key usages that the operator wants.
        usage: Vec<LeafUsage>,
        /// Names of the CSMS; empty for a station (A00.FR.511).
        dns_names: Vec<String>,
    },
}

/// A certificate that is decided in every part, before anything is encoded.
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
    pub(crate) crl_urls: Vec<String>,
    pub(crate) ocsp_urls: Vec<String>,
    /// The issuer's algorithm.
    pub(crate) algorithm: SignatureAlgorithm,
}

/// Length of a serial number: more than 16 random bytes (A00.FR.508; RFC 5280 §4.1.2.2 allows at
/// most 20 octets).
pub(crate) const SERIAL_BYTES: usize = 17;

/// A serial number of random bytes. Two bits are fixed, so that it is positive and always of the
/// same length.
pub(crate) fn serial_number(mut random: [u8; SERIAL_BYTES]) -> SerialNumber {
    random[0] = random[0] & 0x7f | 0x40;
    SerialNumber::from_octets(&random).expect("it is shorter than 20 octets")
}

impl Plan {
    /// A00.FR.512: the allowed usages of the key, and no others.
    fn key_usage(&self) -> FlagSet<KeyUsages> {
        let Kind::Leaf { usage, .. } = &self.kind else {
            return KeyUsages::KeyCertSign | KeyUsages::CRLSign;
        };
        usage.iter().fold(FlagSet::default(), |usages, usage| match (usage, self.subject_key.kind()) {
            (LeafUsage::DigitalSignature, _) => usages | KeyUsages::DigitalSignature,
            (LeafUsage::KeyEncipherment, KeyKind::Rsa { .. }) => usages | KeyUsages::KeyEncipherment,
            // RFC 8813 §3: only curves for ECDH support key agreement; an RSA key does not.
            (LeafUsage::KeyAgreement, KeyKind::P256 | KeyKind::P384 | KeyKind::P521) => {
                usages | KeyUsages::KeyAgreement
            }
            (LeafUsage::KeyEncipherment | LeafUsage::KeyAgreement, _) => usages,
        })
    }

    fn basic_constraints(&self) -> BasicConstraints {
        match self.kind {
            Kind::Root => BasicConstraints { ca: true, path_len_constraint: None },
            Kind::SubAuthority { path_len } => BasicConstraints { ca: true, path_len_constraint: path_len },
            Kind::Leaf { .. } => BasicConstraints { ca: false, path_len_constraint: None },
        }
    }

    fn subject_alt_name(&self) -> der::Result<Option<SubjectAltName>> {
        let Kind::Leaf { dns_names, .. } = &self.kind else { return Ok(None) };
        let names = dns_names.iter().map(|name| Ia5String::new(name).map(GeneralName::DnsName));
        let names = names.collect::<der::Result<Vec<_>>>()?;
        Ok((!names.is_empty()).then_some(SubjectAltName(names)))
    }

    fn crl_distribution_points(&self) -> der::Result<Option<CrlDistributionPoints>> {
        let points = self.crl_urls.iter().map(|url| {
            Ok(DistributionPoint {
                distribution_point: Some(DistributionPointName::FullName(vec![uri(url)?])),
                reasons: None,
                crl_issuer: None,
            })
        });
        let points = points.collect::<der::Result<Vec<_>>>()?;
        Ok((!points.is_empty()).then_some(CrlDistributionPoints(points)))
    }

    fn authority_info_access(&self) -> der::Result<Option<AuthorityInfoAccessSyntax>> {
        let responders = self
            .ocsp_urls
            .iter()
            .map(|url| Ok(AccessDescription { access_method: ID_AD_OCSP, access_location: uri(url)? }));
        let responders = responders.collect::<der::Result<Vec<_>>>()?;
        Ok((!responders.is_empty()).then_some(AuthorityInfoAccessSyntax(responders)))
    }

    fn subject_key_id(&self) -> der::Result<SubjectKeyIdentifier> {
        SubjectKeyIdentifier::try_from(SubjectPublicKeyInfoRef::from_der(self.subject_key.spki_der())?)
    }

    /// All extensions in the order in which they are encoded. There is no extended key usage
    /// (A00.FR.514).
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
        if let Some(points) = self.crl_distribution_points()? {
            add((false, &points).to_extension(&self.subject, &[]))?;
        }
        if let Some(responders) = self.authority_info_access()? {
            add((false, &responders).to_extension(&self.subject, &[]))?;
        }
        Ok(extensions)
    }

    /// Parses the bytes to be signed as a recipient would, and compares them with the plan.
    ///
    /// # Errors
    /// [`Lint`] with the first difference. Nothing is signed then.
    pub(crate) fn lint(&self, to_be_signed: &[u8]) -> std::result::Result<(), Lint> {
        let tbs = TbsCertificate::from_der(to_be_signed).map_err(|_| Lint("it is not DER"))?;
        let unchanged = tbs.to_der().is_ok_and(|again| again == to_be_signed);
        check(unchanged, "it is not in the unique encoding of DER")?;
        check(tbs.version() == Version::V3, "its version is not 3")?;
        check(tbs.serial_number().as_bytes() == self.serial.octets(), "its serial number differs")?;
        let serial = tbs.serial_number().as_bytes();
        check(
            serial.len() == SERIAL_BYTES && serial[0] & 0xc0 == 0x40,
            "its serial number is not positive and of 17 octets",
        )?;
        check(
            self.algorithm.identifier_owned().is_ok_and(|expected| *tbs.signature() == expected),
            "its signature algorithm is not the issuer's",
        )?;
        check(tbs.issuer() == &self.issuer && !tbs.issuer().is_empty(), "its issuer differs")?;
        check(tbs.subject() == &self.subject && !tbs.subject().is_empty(), "its subject differs")?;
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
            "its extensions differ from the profile",
        )?;
        check(
            !expected.iter().any(|extension| extension.extn_id == ID_CE_EXT_KEY_USAGE),
            "it has an extended key usage",
        )?;
        check(!self.key_usage().is_empty(), "its key has no usage")
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

/// What is wrong with a certificate that was about to be signed. This is a bug of this crate, found
/// before the token signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lint(&'static str);

impl Lint {
    pub(crate) fn new(text: &'static str) -> Self {
        Self(text)
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Lint {}

fn check(holds: bool, otherwise: &'static str) -> std::result::Result<(), Lint> {
    if holds { Ok(()) } else { Err(Lint(otherwise)) }
}

/// X.509 times have no fractions of a second.
fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|duration| duration.as_secs())
}

fn uri(url: &str) -> der::Result<GeneralName> {
    Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(url)?))
}
