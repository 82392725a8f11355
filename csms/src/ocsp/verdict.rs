//! Whether a certificate is revoked, by an OCSP response or a revocation list that is proved (M07): the station learns the
//! verdict only, so it is this side that has to verify.

use std::time::{Duration, SystemTime};

use der::{
    Decode as _, Encode as _, Reader as _, Tag, TagNumber, Tagged as _,
    asn1::{AnyRef, ObjectIdentifier},
};
use sha1::{Digest as _, Sha1};
use webpki::ALL_VERIFICATION_ALGS;
use x509_cert::{
    Certificate,
    crl::CertificateList,
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage},
};

use crate::ocsp::{
    request::CertificateId,
    response::{Basic, NoAnswer, Responder, Status, sequence, whole_octets, without_zeros},
};

/// An authority whose word counts about the certificates that it has issued.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    certificate: Certificate,
    /// DER of its Name.
    name: Vec<u8>,
    /// The bits of its key, without tag, length and count of unused bits.
    key: Vec<u8>,
}

/// What is known of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) status: Status,
    /// Until when it holds.
    pub(crate) next_update: Option<SystemTime>,
}

/// Why what was fetched proves nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unproved {
    #[error("the responder gave no answer")]
    Answer(#[from] NoAnswer),
    #[error("the bytes are no revocation list in DER")]
    List(#[source] der::Error),
    #[error("it is signed by nobody whom the issuer has charged with it")]
    Signer,
    #[error("its signature does not verify")]
    Signature,
    #[error("it is out of date, or from the future")]
    Stale,
    #[error("it covers only a part of what the issuer has issued")]
    Partial,
    #[error("it is of another issuer")]
    OtherIssuer,
}

impl Authority {
    pub(crate) fn parse(der: &[u8]) -> der::Result<Self> {
        let certificate = Certificate::from_der(der)?;
        let tbs = certificate.tbs_certificate();
        let name = tbs.subject().to_der()?;
        let key = tbs.subject_public_key_info().subject_public_key.raw_bytes().to_vec();
        Ok(Self { certificate, name, key })
    }

    /// Whether it may issue at all.
    pub(crate) fn is_authority(&self) -> bool {
        let constraints = self.certificate.tbs_certificate().get_extension::<BasicConstraints>();
        matches!(constraints, Ok(Some((_, constraints))) if constraints.ca)
    }

    pub(crate) fn is_issuer_of(&self, id: &CertificateId) -> bool {
        id.digest.of(&self.name) == id.issuer_name_hash && id.digest.of(&self.key) == id.issuer_key_hash
    }

    fn may_sign_lists(&self) -> bool {
        match self.certificate.tbs_certificate().get_extension::<KeyUsage>() {
            Ok(Some((_, usage))) => usage.crl_sign(),
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Whether its key has signed these bytes; `algorithm` is the content of an AlgorithmIdentifier.
    fn has_signed(&self, signed: &[u8], algorithm: &[u8], signature: &[u8]) -> bool {
        let spki = self.certificate.tbs_certificate().subject_public_key_info();
        let Ok(key_algorithm) = spki.algorithm.to_der() else { return false };
        let Ok(key_algorithm) = AnyRef::from_der(&key_algorithm) else { return false };
        // The algorithms of rustls-webpki: those that TLS takes, too. SHA-1 and short RSA keys are not among them.
        ALL_VERIFICATION_ALGS.iter().any(|known| {
            known.signature_alg_id().as_ref() == algorithm
                && known.public_key_alg_id().as_ref() == key_algorithm.value()
                && known.verify_signature(&self.key, signed, signature).is_ok()
        })
    }

    fn is_valid_at(&self, now: SystemTime) -> bool {
        let validity = self.certificate.tbs_certificate().validity();
        let (from, to) = (validity.not_before.to_system_time(), validity.not_after.to_system_time());
        from <= now + SKEW && now <= to + SKEW
    }
}

/// What an OCSP response says (RFC 6960, 3.2).
pub(crate) fn by_response(
    der: &[u8],
    id: &CertificateId,
    issuer: &Authority,
    now: SystemTime,
) -> Result<Verdict, Unproved> {
    let basic = Basic::read(der)?;
    let single = basic.about(id)?;
    check_signer(&basic, issuer, now)?;
    check_time(single.this_update, single.next_update, now)?;
    Ok(Verdict { status: single.status, next_update: single.next_update })
}

/// RFC 6960, 4.2.2.2: the issuer itself, or a responder whose certificate it has issued for that purpose.
fn check_signer(basic: &Basic<'_>, issuer: &Authority, now: SystemTime) -> Result<(), Unproved> {
    let has_signed = |signer: &Authority| match signer.has_signed(
        basic.signed,
        basic.signature_algorithm,
        basic.signature,
    ) {
        true => Ok(()),
        false => Err(Unproved::Signature),
    };
    if is_named(&basic.responder, issuer) {
        return has_signed(issuer);
    }
    let sent_along = basic.certificates.iter().filter_map(|der| Some((*der, Authority::parse(der).ok()?)));
    let (der, delegate) = sent_along
        .into_iter()
        .find(|(_, certificate)| is_named(&basic.responder, certificate))
        .ok_or(Unproved::Signer)?;
    let tbs = delegate.certificate.tbs_certificate();
    let purposes = tbs.get_extension::<ExtendedKeyUsage>();
    let charged = matches!(purposes, Ok(Some((_, purposes))) if purposes.0.contains(&OCSP_SIGNING));
    let issued = tbs.issuer().to_der().is_ok_and(|name| name == issuer.name)
        && Signed::read(der).is_ok_and(|signed| signed.is_by(issuer));
    if !(charged && issued && delegate.is_valid_at(now)) {
        return Err(Unproved::Signer);
    }
    has_signed(&delegate)
}

fn is_named(responder: &Responder<'_>, certificate: &Authority) -> bool {
    match responder {
        Responder::Name(name) => *name == certificate.name,
        // SHA-1 only names it here.
        Responder::KeyHash(hash) => Sha1::digest(&certificate.key).as_slice() == *hash,
    }
}

/// What a revocation list says (M07.FR.05 to M07.FR.07).
pub(crate) fn by_list(
    der: &[u8],
    id: &CertificateId,
    issuer: &Authority,
    now: SystemTime,
) -> Result<Verdict, Unproved> {
    let list: CertificateList = CertificateList::from_der(der).map_err(Unproved::List)?;
    let tbs = &list.tbs_cert_list;
    if tbs.issuer.to_der().map_err(Unproved::List)? != issuer.name {
        return Err(Unproved::OtherIssuer);
    }
    if !issuer.may_sign_lists() {
        return Err(Unproved::Signer);
    }
    if !Signed::read(der).map_err(Unproved::List)?.is_by(issuer) {
        return Err(Unproved::Signature);
    }
    let this_update = tbs.this_update.to_system_time();
    // RFC 5280, 5.1.2.5 demands one.
    let next_update = tbs.next_update.as_ref().ok_or(Unproved::Stale)?.to_system_time();
    check_time(this_update, Some(next_update), now)?;
    let mut whole = true;
    for extension in tbs.crl_extensions.iter().flatten() {
        match extension.extn_id {
            DISTRIBUTION_POINT => whole &= covers_all(extension.extn_value.as_bytes())?,
            // What is not understood may change what the list means: a list of differences, for one.
            _ if extension.critical => return Err(Unproved::Partial),
            _ => {}
        }
    }
    let revoked = tbs.revoked_certificates.iter().flatten();
    let status = match revoked
        .into_iter()
        .any(|entry| without_zeros(entry.serial_number.as_bytes()) == id.serial_number)
    {
        true => Status::Revoked,
        false if whole => Status::Good,
        false => return Err(Unproved::Partial),
    };
    Ok(Verdict { status, next_update: Some(next_update) })
}

/// Whether an IssuingDistributionPoint (RFC 5280, 5.2.5) leaves the list whole: it may name where the list is found.
fn covers_all(der: &[u8]) -> Result<bool, Unproved> {
    let mut fields = sequence(der).map_err(Unproved::List)?;
    let mut whole = true;
    while !fields.is_finished() {
        match AnyRef::decode(&mut fields).map_err(Unproved::List)?.tag() {
            Tag::ContextSpecific { number: TagNumber(0), .. } => {}
            // indirectCRL: its entries may be of other issuers.
            Tag::ContextSpecific { number: TagNumber(4), .. } => return Err(Unproved::Partial),
            _ => whole = false,
        }
    }
    Ok(whole)
}

fn check_time(
    this_update: SystemTime,
    next_update: Option<SystemTime>,
    now: SystemTime,
) -> Result<(), Unproved> {
    // M07.FR.09: a week, where nothing else is said.
    let end = next_update.unwrap_or(this_update + WEEK);
    match this_update <= now + SKEW && now <= end + SKEW {
        true => Ok(()),
        false => Err(Unproved::Stale),
    }
}

/// SIGNED of X.509: certificates and lists have the same shape.
struct Signed<'a> {
    bytes: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    fn read(der: &'a [u8]) -> Result<Self, der::Error> {
        let mut fields = sequence(der)?;
        let bytes = fields.tlv_bytes()?;
        let algorithm = AnyRef::decode(&mut fields)?;
        algorithm.tag().assert_eq(Tag::Sequence)?;
        let signature = whole_octets(&mut fields)?;
        fields.finish()?;
        Ok(Self { bytes, algorithm: algorithm.value(), signature })
    }

    fn is_by(&self, signer: &Authority) -> bool {
        signer.has_signed(self.bytes, self.algorithm, self.signature)
    }
}

const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");

/// id-ce-issuingDistributionPoint; x509-cert has another number for it.
const DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");

/// Clocks may differ by this much.
const SKEW: Duration = Duration::from_secs(300);

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
