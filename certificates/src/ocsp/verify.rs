//! Whether an OCSP response may be relied on: the six conditions of RFC 6960, 3.2.

use std::time::Duration;

use der::asn1::ObjectIdentifier;
use sha1::{Digest as _, Sha1};

use crate::asn1::has_unknown_critical;
use crate::certificate::{BASIC_CONSTRAINTS, Certificate, EXTENDED_KEY_USAGE, KEY_USAGE};
use crate::hash_data::CertificateId;
use crate::key_strength::check_strength;
use crate::ocsp::response::{Basic, CertificateStatus, NoAnswer, Responder};
use crate::signature::{self, BadSignature};
use crate::types::UnixSeconds;
use crate::validity::{OutsideValidity, judge_at};

/// The content of a verified response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The status of the certificate.
    pub status: CertificateStatus,
    /// The end of its validity, if the response contains one.
    pub next_update: Option<UnixSeconds>,
}

/// Verifies `der` as an answer about `id`, which `issuer` has issued, by a clock that may be off by
/// `skew`.
///
/// # Errors
/// [`OcspRefused`]
pub fn verify(
    der: &[u8],
    id: &CertificateId,
    issuer: &Certificate,
    now: UnixSeconds,
    skew: Duration,
) -> Result<Verified, OcspRefused> {
    let no_answer = |source| OcspRefused::NoAnswer { source };
    let basic = Basic::read(der).map_err(no_answer)?;
    // 1: the answer is about the requested certificate.
    let single = basic.about_certificate(id).map_err(no_answer)?;
    // 2, 3, 4: signed by the named signer, which is authorized.
    check_signer(&basic, issuer, now, skew)?;
    // 5: the status was known to be correct recently enough.
    if single.this_update > now.saturating_add(skew) {
        return Err(OcspRefused::Future);
    }
    let end = single.next_update.unwrap_or(single.this_update.saturating_add(MAX_AGE));
    // 6
    if now > end.saturating_add(skew) {
        return Err(OcspRefused::Stale);
    }
    Ok(Verified { status: single.status, next_update: single.next_update })
}

/// The start of validity of a verified response about `id`; `None` if it has no answer about it.
#[must_use]
pub fn this_update(der: &[u8], id: &CertificateId) -> Option<UnixSeconds> {
    Some(Basic::read(der).ok()?.about_certificate(id).ok()?.this_update)
}

/// RFC 6960, 4.2.2.2: the signer is the CA that issued the certificate, or a responder whose
/// certificate this CA has issued for that purpose. No other responders are trusted.
fn check_signer(
    basic: &Basic<'_>,
    issuer: &Certificate,
    now: UnixSeconds,
    skew: Duration,
) -> Result<(), OcspRefused> {
    let signed = &basic.signed;
    let verify = |spki: &[u8]| {
        signature::verify_bytes(signed.content, signed.algorithm, signed.signature, spki)
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
    let delegated = delegate.extended_key_usage().is_some_and(|purposes| purposes.contains(&OCSP_SIGNING));
    let strong = check_strength(delegate.spki()).is_ok();
    // RFC 5280, 4.2.1.3
    let may_sign = delegate.key_usage().is_none_or(|usage| usage.digital_signature());
    let understood = !has_unknown_critical(&delegate.extensions(), KNOWN_OF_SIGNERS);
    if !(issued && delegated && strong && may_sign && understood) {
        return Err(OcspRefused::UnauthorizedSigner);
    }
    judge_at([&delegate], now, skew).map_err(|(_, source)| OcspRefused::SignerValidity { source })?;
    verify(delegate.spki())
}

fn is_named(responder: &Responder<'_>, certificate: &Certificate) -> bool {
    match responder {
        Responder::Name(name) => *name == certificate.subject().as_der(),
        // SHA-1 only identifies the signer here.
        Responder::KeyHash(hash) => Sha1::digest(certificate.public_key()).as_slice() == *hash,
    }
}

/// Why an OCSP response is not relied on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OcspRefused {
    /// No answer about the certificate.
    #[error("the responder gave no answer about the certificate")]
    NoAnswer {
        /// The reason.
        #[source]
        source: NoAnswer,
    },
    /// The response names an unknown signer.
    #[error("the response names a signer that is neither the issuer nor sent along")]
    UnknownSigner,
    /// The CA has not authorized the signer.
    #[error("the signer of the response is not authorised by the issuer")]
    UnauthorizedSigner,
    /// The signer's certificate has expired, or is not valid yet.
    #[error("the certificate of the response's signer is not valid now")]
    SignerValidity {
        /// The end of its validity that was missed.
        #[source]
        source: OutsideValidity,
    },
    /// The signature does not verify.
    #[error("the signature of the response is not accepted")]
    Signature {
        /// What is wrong with it.
        #[source]
        source: BadSignature,
    },
    /// thisUpdate is in the future.
    #[error("the response is from the future; if it is not, set the clock")]
    Future,
    /// nextUpdate has passed, or is missing and the response is older than a week.
    #[error("the response is out of date")]
    Stale,
}

/// How long a response without nextUpdate is valid (M06.FR.10, M07.FR.09).
pub const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");

/// The extensions of a responder's certificate that are read, or that have no effect here: policies
/// and alternative names are not used.
const KNOWN_OF_SIGNERS: &[ObjectIdentifier] = &[
    BASIC_CONSTRAINTS,
    KEY_USAGE,
    EXTENDED_KEY_USAGE,
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.5"), // id-pkix-ocsp-nocheck
    ObjectIdentifier::new_unwrap("2.5.29.17"),            // id-ce-subjectAltName
    ObjectIdentifier::new_unwrap("2.5.29.32"),            // id-ce-certificatePolicies
];
