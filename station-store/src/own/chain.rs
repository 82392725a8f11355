//! The rules for the station's own certificate chain (A02.FR.06).
//!
//! [`certificates::path`] validates the path, as TLS does. This module adds the order of the chain
//! and the validity of the root. The rules for the leaf are in `leaf`. `tests/it/paths.rs` compares
//! the result with OpenSSL's.

use std::time::Duration;

use certificates::key_strength::check_strength;
use certificates::path::{self, PathError, Purpose};
use certificates::pem::{self, PemError};
use certificates::signature;
use certificates::validity::judge_at;
use certificates::{Certificate, UnixSeconds};

use crate::own::leaf::{self, Names};
use crate::own::refused::{ChainRefused, MAX_CHILDREN};
use crate::uses::{CertificateSigningUse, RootUse};

/// The criteria for a chain.
pub(crate) struct Expected<'a> {
    pub(crate) use_: CertificateSigningUse,
    /// The roots of each hierarchy.
    pub(crate) roots: &'a dyn Fn(RootUse) -> Vec<&'a Certificate>,
    pub(crate) now: UnixSeconds,
    pub(crate) skew: Duration,
    pub(crate) names: Names<'a>,
}

/// A chain that passed, leaf first.
pub(crate) struct Verified {
    pub(crate) chain: Vec<Certificate>,
    /// The key of the root that issued the last certificate of the chain, if that root is
    /// installed.
    pub(crate) anchor_key: Option<Vec<u8>>,
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

/// Checks a chain whose leaf's key is known to be the station's.
pub(crate) fn verify(chain: Vec<Certificate>, expected: &Expected<'_>) -> Result<Verified, ChainRefused> {
    let leaf = chain.first().ok_or_else(nothing)?;
    check_links(&chain)?;
    let at = judge_at(&chain, expected.now, expected.skew)
        .map_err(|(position, source)| ChainRefused::Validity { position, source })?;
    let mut anchor_key = None;
    // A02.FR.06: the hierarchy of the CSO for the connection, that of ISO 15118 for vehicles, both
    // for a certificate that serves both. The same root may be installed for both.
    if expected.use_.connects() {
        let path = find_path(&chain, at, RootUse::Csms, Purpose::Station, expected)?;
        anchor_key = path.issuer_of_last.map(|root| root.public_key().to_vec());
    }
    if expected.use_.is_for_vehicles() {
        // ISO 15118: the charging station is the TLS server for the vehicle.
        let path = find_path(&chain, at, RootUse::V2g, Purpose::Secc, expected)?;
        // CertificateHashDataChainType.childCertificateHashData has room for four.
        if chain.len() > 1 + MAX_CHILDREN {
            return Err(ChainRefused::TooManyChildren { children: chain.len() - 1 });
        }
        // A chain that cannot be listed is not accepted: the hash data of the last certificate need
        // the key of its issuer.
        let root = path.issuer_of_last.ok_or(ChainRefused::BeyondRoot { position: chain.len() - 1 })?;
        anchor_key = Some(root.public_key().to_vec());
    }
    leaf::check(leaf, expected.use_, expected.names)?;
    // A00.FR.504: this also applies inside the hierarchy.
    for (position, certificate) in chain.iter().enumerate() {
        check_strength(certificate.spki()).map_err(|source| ChainRefused::WeakKey { position, source })?;
    }
    Ok(Verified { chain, anchor_key })
}

fn nothing() -> ChainRefused {
    ChainRefused::Certificate { source: PemError::Nothing { expected: pem::CERTIFICATE }.into() }
}

/// Checks the order: leaf first, each certificate signed by the next one, no root among them.
fn check_links(chain: &[Certificate]) -> Result<(), ChainRefused> {
    for (position, certificate) in chain.iter().enumerate() {
        // The station already trusts the root; in the chain it would prove nothing.
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

/// A path from the leaf to an installed root.
struct Path<'a> {
    /// The root that issued the last certificate of the chain. `None` if the path ends at a root,
    /// but the chain continues with a cross-signed certificate of the same name and key.
    issuer_of_last: Option<&'a Certificate>,
}

/// Finds the installed root for `use_` to which the chain leads, by names and keys.
fn find_path<'a>(
    chain: &[Certificate],
    at: UnixSeconds,
    use_: RootUse,
    purpose: Purpose,
    expected: &Expected<'a>,
) -> Result<Path<'a>, ChainRefused> {
    let (leaf, intermediates) = chain.split_first().ok_or_else(nothing)?;
    let last = intermediates.last().unwrap_or(leaf);

    let mut found = None;
    let mut refused = ChainRefused::UnknownIssuer { use_ };
    for root in (expected.roots)(use_) {
        // One root at a time: two roots may share a name (a rekeyed root, a cross-signed one). The
        // hash data of the chain need the root whose key matches.
        match path::verify(leaf, intermediates, std::slice::from_ref(root), at.into(), purpose) {
            Ok(_) => {}
            Err(PathError::UnknownIssuer) => continue,
            Err(source) => {
                refused = ChainRefused::Path { source };
                continue;
            }
        }
        // RFC 5280 leaves the validity of an anchor to local policy. The policy here: an expired
        // root stays listed and deletable, but no new certificate is accepted under it.
        if let Err((_, source)) = judge_at([root], expected.now, expected.skew) {
            refused = ChainRefused::RootValidity { source };
            continue;
        }
        if last.issuer() == root.subject() && signature::verify(last, root.spki()).is_ok() {
            return Ok(Path { issuer_of_last: Some(root) });
        }
        found = Some(Path { issuer_of_last: None });
    }
    found.ok_or(refused)
}

/// A leaf, and as many sub-CAs as a path may have.
pub(crate) const MAX_CHAIN_LENGTH: usize = 1 + path::MAX_SUB_CAS;
