//! Whether an OCSP response may be relied on: the six conditions of RFC 6960, 3.2.

use std::time::{Duration, SystemTime};

use der::Decode;
use der::asn1::ObjectIdentifier;
use sha1::{Digest as _, Sha1};
use x509_cert::ext::pkix::ExtendedKeyUsage;

use crate::certificate::Certificate;
use crate::hash::{CertificateId, HashAlgorithm};
use crate::key::check_strength;
use crate::ocsp::response::{Basic, NoAnswer, Responder, Single, read};
use crate::ocsp::{OcspStatus, REFRESH};
use crate::signature::{self, BadSignature};
use crate::validity::{OutsideValidity, judge_at};

/// What a response that passed says.
pub(super) struct Verified {
    pub(super) status: OcspStatus,
    pub(super) next_update: Option<SystemTime>,
}

/// Judges `der` as an answer about `id`, which `issuer` issued.
pub(super) fn verify(
    der: &[u8],
    id: &CertificateId,
    issuer: &Certificate,
    now: SystemTime,
    skew: Duration,
) -> Result<Verified, OcspRefused> {
    if der.len() > MAX_RESPONSE {
        return Err(OcspRefused::TooLarge { octets: der.len() });
    }
    let basic = read(der).map_err(|error| match error {
        NoAnswer::Status(code) => OcspRefused::Status { code },
        NoAnswer::Kind => OcspRefused::Kind,
        NoAnswer::Der(source) => OcspRefused::Der { source },
    })?;
    // 1: the answer is about the certificate that was asked about.
    let single =
        basic.singles.iter().find(|single| is_about(single, id)).ok_or(OcspRefused::OtherCertificate)?;
    // 2, 3, 4: signed, by the signer that it names, who may do so.
    check_signer(&basic, issuer, now, skew)?;
    // 5: the status is known to be right lately enough.
    if single.this_update > now + skew {
        return Err(OcspRefused::Future);
    }
    let end = single.next_update.unwrap_or(single.this_update + REFRESH);
    // 6
    if now > end + skew {
        return Err(OcspRefused::Stale);
    }
    Ok(Verified { status: single.status, next_update: single.next_update })
}

fn is_about(single: &Single<'_>, id: &CertificateId) -> bool {
    let digest = |bytes: &[u8]| match single.digest {
        // Most responders know no other digest. It only names the certificate here; what counts is signed otherwise.
        SHA1 => Some(Sha1::digest(bytes).to_vec()),
        SHA256 => Some(HashAlgorithm::Sha256.digest(bytes)),
        SHA384 => Some(HashAlgorithm::Sha384.digest(bytes)),
        SHA512 => Some(HashAlgorithm::Sha512.digest(bytes)),
        _ => None,
    };
    single.serial == id.serial()
        && digest(id.issuer()).as_deref() == Some(single.issuer_name_hash)
        && digest(id.issuer_key()).as_deref() == Some(single.issuer_key_hash)
}

/// RFC 6960, 4.2.2.2: the CA that issued the certificate signs itself, or a responder whose certificate this very CA has
/// issued for that purpose. There are no responders that are trusted for another reason.
fn check_signer(
    basic: &Basic<'_>,
    issuer: &Certificate,
    now: SystemTime,
    skew: Duration,
) -> Result<(), OcspRefused> {
    let verify = |spki: &[u8]| {
        signature::verify_bytes(basic.signed, basic.signature_algorithm, basic.signature, spki)
            .map_err(|source| OcspRefused::Signature { source })
    };
    if is_named(&basic.responder, issuer) {
        return verify(issuer.spki());
    }
    let delegate = basic
        .certificates
        .iter()
        .filter_map(|der| Certificate::from_der(*der).ok())
        .find(|certificate| is_named(&basic.responder, certificate))
        .ok_or(OcspRefused::UnknownSigner)?;
    let issued = delegate.issuer() == issuer.subject() && signature::verify(&delegate, issuer.spki()).is_ok();
    let purposes = delegate.extension(EXTENDED_KEY_USAGE).map(ExtendedKeyUsage::from_der);
    let delegated = matches!(purposes, Some(Ok(purposes)) if purposes.0.contains(&OCSP_SIGNING));
    let strong = check_strength(delegate.spki()).is_ok();
    let may_sign = delegate.key_usage().is_none_or(|usage| usage.digital_signature());
    if !(issued && delegated && strong && may_sign) {
        return Err(OcspRefused::UnauthorizedSigner);
    }
    judge_at(std::slice::from_ref(&delegate), now, skew)
        .map_err(|(_, source)| OcspRefused::SignerValidity { source })?;
    verify(delegate.spki())
}

fn is_named(responder: &Responder<'_>, certificate: &Certificate) -> bool {
    match responder {
        Responder::Name(name) => *name == certificate.subject(),
        Responder::KeyHash(hash) => Sha1::digest(certificate.public_key()).as_slice() == *hash,
    }
}

/// Why an OCSP response is not relied on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OcspRefused {
    /// Larger than OCPP can carry.
    #[error("the response has {octets} octets, at most {MAX_RESPONSE} are expected")]
    TooLarge {
        /// Octets of DER.
        octets: usize,
    },
    /// Not base64, as `ocspResult` has to be.
    #[error("ocspResult is not base64")]
    Base64,
    /// Not an OCSPResponse.
    #[error("the bytes are not an OCSPResponse in DER (M06.FR.08)")]
    Der {
        /// Where the encoding breaks.
        #[source]
        source: der::Error,
    },
    /// The responder answered with an error.
    #[error("the responder answered with the status {code} (RFC 6960, 4.2.1)")]
    Status {
        /// OCSPResponseStatus, for example 3: tryLater.
        code: u8,
    },
    /// Not a basic response.
    #[error("the response is not of the type id-pkix-ocsp-basic")]
    Kind,
    /// About something else.
    #[error("the response is not about the certificate that was asked about")]
    OtherCertificate,
    /// The root that issued the certificate has been deleted, so nobody's signature counts.
    #[error("the issuer of the certificate is not installed")]
    IssuerNotInstalled,
    /// Nobody known signed it.
    #[error("the response names a signer that is neither the issuer nor sent along")]
    UnknownSigner,
    /// The signer may not speak for the CA.
    #[error("the signer is not one whom the issuer has charged with OCSP")]
    UnauthorizedSigner,
    /// The signer's certificate has expired.
    #[error("the signer's certificate is not valid now")]
    SignerValidity {
        /// Which end of its validity.
        #[source]
        source: OutsideValidity,
    },
    /// The signature does not verify.
    #[error("the signature of the response does not count")]
    Signature {
        /// What is wrong with it.
        #[source]
        source: BadSignature,
    },
    /// thisUpdate is in the future.
    #[error("the response is from the future; if it is not, set the clock")]
    Future,
    /// nextUpdate has passed, or it is older than a week without one.
    #[error("the response is out of date")]
    Stale,
}

const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");

/// 18000 characters of base64, `ocspResult` of OCPP 2.1.
const MAX_RESPONSE: usize = 13_500;
