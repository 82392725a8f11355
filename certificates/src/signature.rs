//! Whether a key has signed a certificate.

use webpki::ALL_VERIFICATION_ALGS;

use crate::asn1::Spki;
use crate::certificate::Certificate;

/// Verifies the signature of `certificate` with the key in `issuer_spki`.
///
/// # Errors
/// [`BadSignature`]
pub fn verify(certificate: &Certificate, issuer_spki: &[u8]) -> Result<(), BadSignature> {
    let (signed, signature) = (certificate.signed_part(), certificate.signature());
    verify_bytes(signed, certificate.signature_algorithm(), signature, issuer_spki)
}

/// Verifies `signature` over `signed` with the key in `signer_spki`; `algorithm` is the content of
/// an AlgorithmIdentifier.
///
/// # Errors
/// [`BadSignature`]
pub fn verify_bytes(
    signed: &[u8],
    algorithm: &[u8],
    signature: &[u8],
    signer_spki: &[u8],
) -> Result<(), BadSignature> {
    let signer = Spki::read(signer_spki).map_err(|_| BadSignature::Unsupported)?;
    // The algorithms of rustls-webpki, with which TLS verifies the same chain. SHA-1 and RSA below
    // 2048 bits are not among them.
    let mut tried = false;
    for known in ALL_VERIFICATION_ALGS {
        if known.signature_alg_id().as_ref() == algorithm
            && known.public_key_alg_id().as_ref() == signer.algorithm
        {
            tried = true;
            if known.verify_signature(signer.key, signed, signature).is_ok() {
                return Ok(());
            }
        }
    }
    Err(if tried { BadSignature::Invalid } else { BadSignature::Unsupported })
}

/// Why a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadSignature {
    /// Another key made it, or the bytes were changed.
    #[error("the signature does not verify")]
    Invalid,
    /// An algorithm that TLS does not accept either.
    #[error("the signature algorithm does not fit the key, or is not supported")]
    Unsupported,
}
