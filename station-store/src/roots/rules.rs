//! The rules for a root certificate to be installed (facts of M05 and A00.FR.5xx).
//!
//! InstallCertificate is for roots. The issuer of a sub-CA is unknown to the store, so a sub-CA
//! could not be listed, and the CSMS could never delete it. Only roots are accepted: accepted ⇒
//! listed ⇒ deletable.

use std::time::Duration;

use certificates::key_strength::{WeakKey, check_strength};
use certificates::path::{self, PathError};
use certificates::signature::{self, BadSignature};
use certificates::validity::{OutsideValidity, judge_at};
use certificates::{Certificate, CertificateError, UnixSeconds};

/// Reads the one certificate in `pem`, and checks every rule that does not depend on its signer.
pub(crate) fn read(pem: &str, now: UnixSeconds, skew: Duration) -> Result<Certificate, RootRefused> {
    let characters = pem.chars().count();
    if characters > MAX_ROOT_CHARACTERS {
        return Err(RootRefused::TooLarge { characters });
    }
    let root = Certificate::from_pem(pem).map_err(|source| RootRefused::Certificate { source })?;
    if root.ca().is_none() {
        return Err(RootRefused::NotCa);
    }
    // RFC 5280, 4.2.1.3: if keyUsage is present, a CA needs keyCertSign.
    if root.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
        return Err(RootRefused::KeyUsage);
    }
    // A00.FR.501–503
    check_strength(root.spki()).map_err(|source| RootRefused::WeakKey { source })?;
    // M05.FR.07, TC_M_07: an expired certificate is invalid.
    judge_at([&root], now, skew).map_err(|(_, source)| RootRefused::Validity { source })?;
    // TLS must be able to use an accepted root.
    path::check_root(&root).map_err(|source| RootRefused::Anchor { source })?;
    Ok(root)
}

/// Checks that a certificate is a root, that is, self-signed.
pub(crate) fn check_self_signed(root: &Certificate) -> Result<(), RootRefused> {
    if !root.is_self_issued() {
        return Err(RootRefused::NotSelfSigned);
    }
    signature::verify(root, root.spki()).map_err(|source| RootRefused::Signature { source })
}

/// Checks that the CSMS root `old` signed the one that is to replace it (M05.FR.10, .11). The chain
/// consists of these two certificates.
pub(crate) fn check_signed_by(
    new: &Certificate,
    old: &Certificate,
    now: UnixSeconds,
    skew: Duration,
) -> Result<(), RootRefused> {
    if new.issuer() != old.subject() {
        return Err(RootRefused::NotSignedByOldRoot);
    }
    signature::verify(new, old.spki()).map_err(|_| RootRefused::NotSignedByOldRoot)?;
    judge_at([old], now, skew).map_err(|(_, source)| RootRefused::OldRootValidity { source })?;
    // RFC 5280, 4.2.1.9: a root that may only issue leaves cannot issue its successor, unless the
    // successor has the same name.
    let leaves_only = old.ca().and_then(|ca| ca.path_length) == Some(0);
    if leaves_only && !new.is_self_issued() { Err(RootRefused::OldRootPathLength) } else { Ok(()) }
}

/// Why a root certificate is not installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootRefused {
    /// The text is longer than `InstallCertificateRequest.certificate` may be in any version of
    /// OCPP.
    #[error("the certificate has {characters} characters, at most {MAX_ROOT_CHARACTERS} are allowed")]
    TooLarge {
        /// Characters of the PEM text.
        characters: usize,
    },
    /// The text is not exactly one certificate.
    #[error("the root certificate cannot be read")]
    Certificate {
        /// The fault of the text.
        #[source]
        source: CertificateError,
    },
    /// basicConstraints are absent, or do not mark a certification authority.
    #[error("the certificate is not that of a certification authority (basicConstraints)")]
    NotCa,
    /// keyUsage is present without keyCertSign.
    #[error("the certificate's keyUsage does not allow it to sign certificates")]
    KeyUsage,
    /// Issuer and subject differ: the certificate is a sub-CA.
    #[error("the certificate is not a root: another one issued it; install that root instead")]
    NotSelfSigned,
    /// The key is too weak.
    #[error("the root certificate is too weak")]
    WeakKey {
        /// The weakness.
        #[source]
        source: WeakKey,
    },
    /// The certificate names itself as issuer, but its own key did not sign it.
    #[error("the certificate did not sign itself")]
    Signature {
        /// The fault of the signature.
        #[source]
        source: BadSignature,
    },
    /// AdditionalRootCertificateCheck: the installed CSMS root did not sign it (M05.FR.11).
    #[error("the installed CSMS root did not sign the new one (M05.FR.11)")]
    NotSignedByOldRoot,
    /// AdditionalRootCertificateCheck: the installed CSMS root is not valid any more.
    #[error("the installed CSMS root, which signed the new one, is not valid now")]
    OldRootValidity {
        /// The end of its validity that is violated.
        #[source]
        source: OutsideValidity,
    },
    /// AdditionalRootCertificateCheck: the installed CSMS root may issue leaves only.
    #[error("the installed CSMS root may not issue another one (pathLenConstraint)")]
    OldRootPathLength,
    /// The certificate is not valid now.
    #[error("the root certificate is not valid now")]
    Validity {
        /// The end of its validity that is violated.
        #[source]
        source: OutsideValidity,
    },
    /// TLS cannot use the certificate.
    #[error("the certificate cannot serve as a trust anchor")]
    Anchor {
        /// The reason.
        #[source]
        source: PathError,
    },
}

/// The length of `InstallCertificateRequest.certificate` in OCPP 2.1, in characters. 2.0.1 and 1.6
/// have 5500, which their types enforce.
const MAX_ROOT_CHARACTERS: usize = 10_000;
