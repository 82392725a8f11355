//! What the station's own certificate chain must be to be taken into use (A02.FR.06).
//!
//! Path building, signatures, name constraints and critical extensions are rustls-webpki's job, because TLS judges by the
//! same library. Three things it leaves out are added here: the keyUsage of CAs and leaf, the path length of the root, and
//! the validity of the root.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::certificate::{COMMON_NAME, Certificate, CertificateError, ORGANIZATION};
use crate::key::{WeakKey, check_strength};
use crate::signature::{self, BadSignature};
use crate::validity::{OutsideValidity, judge_at};

/// What a chain is judged by.
pub(crate) struct Expected<'a> {
    /// The roots of the hierarchy that the chain must belong to.
    pub(crate) roots: &'a [&'a Certificate],
    pub(crate) now: SystemTime,
    pub(crate) skew: Duration,
    /// CN of the leaf (A00.FR.511).
    pub(crate) serial_number: &'a str,
    /// O of the leaf (A00.FR.509).
    pub(crate) organization: Option<&'a str>,
}

/// A chain that passed, leaf first, and the key of the leaf's issuer.
pub(crate) struct Verified {
    pub(crate) chain: Vec<Certificate>,
    pub(crate) issuer_key: Vec<u8>,
}

/// Reads the chain in `pem`, at most `max_characters` long.
pub(crate) fn read(pem: &str, max_characters: usize) -> Result<Vec<Certificate>, ChainRefused> {
    let characters = pem.chars().count();
    // A02.FR.16
    if characters > max_characters {
        return Err(ChainRefused::TooLarge { characters, max: max_characters });
    }
    Certificate::chain_from_pem(pem, MAX_CHAIN_LENGTH).map_err(|source| ChainRefused::Certificate { source })
}

/// Judges a chain whose leaf's key is known to be the station's.
pub(crate) fn verify(chain: Vec<Certificate>, expected: &Expected<'_>) -> Result<Verified, ChainRefused> {
    let leaf = chain.first().ok_or(ChainRefused::Certificate { source: CertificateError::Nothing })?;
    check_links(&chain)?;
    let at = judge_at(&chain, expected.now, expected.skew)
        .map_err(|(position, source)| ChainRefused::Validity { position, source })?;
    let root = find_root(&chain, at, expected)?;
    check_leaf(leaf, expected)?;
    // A00.FR.504: also inside the hierarchy.
    for (position, certificate) in chain.iter().enumerate() {
        check_strength(certificate.spki()).map_err(|source| ChainRefused::WeakKey { position, source })?;
    }
    let issuer_key = chain.get(1).unwrap_or(root).public_key().to_vec();
    Ok(Verified { chain, issuer_key })
}

/// Leaf first, each certificate signed by the one after it, no root among them.
fn check_links(chain: &[Certificate]) -> Result<(), ChainRefused> {
    for (position, certificate) in chain.iter().enumerate() {
        // The root is what the station already trusts; in the chain it would prove nothing.
        if certificate.is_self_issued() && signature::verify(certificate, certificate.spki()).is_ok() {
            return Err(ChainRefused::RootInChain { position });
        }
        if position > 0 {
            // RFC 5280, 4.2.1.3 and 4.2.1.9
            if certificate.ca().is_none()
                || certificate.key_usage().is_some_and(|usage| !usage.key_cert_sign())
            {
                return Err(ChainRefused::NotCa { position });
            }
        }
        if let Some(issuer) = chain.get(position + 1) {
            if certificate.issuer() != issuer.subject() {
                return Err(ChainRefused::OutOfOrder { position });
            }
            signature::verify(certificate, issuer.spki())
                .map_err(|source| ChainRefused::Signature { position, source })?;
        }
    }
    Ok(())
}

/// The installed root that the chain leads to.
fn find_root<'a>(
    chain: &[Certificate],
    at: SystemTime,
    expected: &Expected<'a>,
) -> Result<&'a Certificate, ChainRefused> {
    let leaf = chain[0].to_certificate_der();
    let leaf = EndEntityCert::try_from(&leaf).map_err(|source| ChainRefused::Path { source })?;
    let intermediates: Vec<CertificateDer<'_>> =
        chain[1..].iter().map(|certificate| CertificateDer::from(certificate.der())).collect();
    let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Self-issued intermediates do not count (RFC 5280, 4.2.1.9).
    let depth = chain[1..].iter().filter(|certificate| !certificate.is_self_issued()).count();

    let mut refused = ChainRefused::UnknownIssuer;
    for root in expected.roots {
        // One root at a time: two roots may share a name (a rekeyed root, a cross-signed one), and the one whose key fits
        // is the one that the hash data of the leaf need.
        let der = root.to_certificate_der();
        let anchor = match anchor_from_trusted_cert(&der) {
            Ok(anchor) => [anchor],
            Err(source) => {
                refused = ChainRefused::Path { source };
                continue;
            }
        };
        let path = leaf.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &anchor,
            &intermediates,
            UnixTime::since_unix_epoch(since_epoch),
            // A00.FR.514 strongly recommends to leave extendedKeyUsage out, so it may be absent; where it is present, it
            // must name clientAuth, since a CSMS that judges by it would refuse the connection. That is what this value
            // means in rustls-webpki.
            KeyUsage::client_auth(),
            None,
            None,
        );
        match path {
            Ok(_) => {}
            Err(webpki::Error::UnknownIssuer) => continue,
            Err(source) => {
                refused = ChainRefused::Path { source };
                continue;
            }
        }
        // RFC 5280 leaves the validity of an anchor to local policy. Ours: an expired root stays listed and deletable, but
        // nothing new is taken on its word.
        if let Err((_, source)) = judge_at(std::slice::from_ref(*root), expected.now, expected.skew) {
            refused = ChainRefused::RootValidity { source };
            continue;
        }
        if root.ca().and_then(|ca| ca.path_length).is_some_and(|length| depth > usize::from(length)) {
            refused = ChainRefused::PathLength;
            continue;
        }
        return Ok(root);
    }
    Err(refused)
}

/// What A00.FR.5xx ask of a station certificate.
fn check_leaf(leaf: &Certificate, expected: &Expected<'_>) -> Result<(), ChainRefused> {
    // A00.FR.511: the whole CN, once; "contains" would let CS10 pass for CS1.
    match leaf.subject_values(COMMON_NAME).as_slice() {
        [name] if name == expected.serial_number => {}
        _ => return Err(ChainRefused::CommonName { expected: expected.serial_number.to_owned() }),
    }
    // A00.FR.509
    if let Some(organization) = expected.organization
        && !leaf.subject_values(ORGANIZATION).iter().any(|name| name == organization)
    {
        return Err(ChainRefused::Organization { expected: organization.to_owned() });
    }
    // A00.FR.512: keyUsage may be absent; where it restricts, it must leave what TLS needs.
    if leaf.key_usage().is_some_and(|usage| !usage.digital_signature()) {
        return Err(ChainRefused::KeyUsage);
    }
    Ok(())
}

/// Why a chain in CertificateSigned is not taken into use. Positions count from the leaf, which is 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainRefused {
    /// Longer than MaxCertificateChainSize (A02.FR.16).
    #[error("the chain has {characters} characters, at most {max} are allowed (A02.FR.16)")]
    TooLarge {
        /// Characters of the PEM text.
        characters: usize,
        /// The most that this station takes.
        max: usize,
    },
    /// Not a chain of PEM certificates.
    #[error("the chain cannot be read")]
    Certificate {
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
    /// The leaf's key belongs to no pending CSR.
    #[error("the leaf's key is not that of a pending certificate signing request")]
    UnknownKey,
    /// certificateType differs from that of the CSR.
    #[error("the certificate was requested for another use than certificateType says")]
    OtherUse,
    /// A self-signed certificate in the chain.
    #[error("certificate {position} of the chain is a root; a chain ends below the root")]
    RootInChain {
        /// Where it stands.
        position: usize,
    },
    /// An issuer that is not a certification authority.
    #[error("certificate {position} of the chain is not that of a certification authority")]
    NotCa {
        /// Where it stands.
        position: usize,
    },
    /// The next certificate is not its issuer.
    #[error("certificate {position} of the chain is not followed by its issuer")]
    OutOfOrder {
        /// Where it stands.
        position: usize,
    },
    /// The next certificate's key did not sign it.
    #[error("certificate {position} of the chain was not signed by the one after it")]
    Signature {
        /// Where it stands.
        position: usize,
        /// What is wrong with the signature.
        #[source]
        source: BadSignature,
    },
    /// Not valid now (A02.FR.06).
    #[error("certificate {position} of the chain is not valid now")]
    Validity {
        /// Where it stands.
        position: usize,
        /// Which end of its validity.
        #[source]
        source: OutsideValidity,
    },
    /// No installed root issued the chain.
    #[error("the chain leads to no installed CSMSRootCertificate; install its root first")]
    UnknownIssuer,
    /// A rule of RFC 5280 is broken.
    #[error("the certification path is not valid")]
    Path {
        /// What rustls-webpki says.
        #[source]
        source: webpki::Error,
    },
    /// The root that issued the chain has expired.
    #[error("the root of the chain is not valid now")]
    RootValidity {
        /// Which end of its validity.
        #[source]
        source: OutsideValidity,
    },
    /// More sub-CAs than the root allows.
    #[error("the chain is longer than its root allows (pathLenConstraint)")]
    PathLength,
    /// The leaf's CN is not the station's serial number (A00.FR.511).
    #[error("the common name is not the station's serial number {expected} (A00.FR.511)")]
    CommonName {
        /// The serial number.
        expected: String,
    },
    /// The leaf's O is not the configured organization (A00.FR.509).
    #[error("the organization is not {expected} (A00.FR.509)")]
    Organization {
        /// The configured organization.
        expected: String,
    },
    /// keyUsage is present without digitalSignature.
    #[error("the certificate's keyUsage does not allow it to sign, as TLS needs (A00.FR.512)")]
    KeyUsage,
    /// Too weak a key.
    #[error("certificate {position} of the chain is too weak")]
    WeakKey {
        /// Where it stands.
        position: usize,
        /// How weak.
        #[source]
        source: WeakKey,
    },
}

/// Leaf, and as many sub-CAs as rustls-webpki follows.
pub(crate) const MAX_CHAIN_LENGTH: usize = 7;
