//! Whether the holder of a key signed a certificate.

use webpki::ALL_VERIFICATION_ALGS;

use crate::asn1::Spki;
use crate::certificate::Certificate;

/// Verifies the signature of `certificate` by the key in `issuer_spki`.
pub(crate) fn verify(certificate: &Certificate, issuer_spki: &[u8]) -> Result<(), BadSignature> {
    let issuer = Spki::read(issuer_spki).map_err(|_| BadSignature::Unsupported)?;
    // The algorithms of rustls-webpki: those that TLS will verify the same chain with. SHA-1 and RSA below 2048 bits are
    // not among them.
    let mut tried = false;
    for algorithm in ALL_VERIFICATION_ALGS {
        if algorithm.signature_alg_id().as_ref() == certificate.signature_algorithm()
            && algorithm.public_key_alg_id().as_ref() == issuer.algorithm
        {
            tried = true;
            if algorithm
                .verify_signature(issuer.key, certificate.signed_part(), certificate.signature())
                .is_ok()
            {
                return Ok(());
            }
        }
    }
    Err(if tried { BadSignature::Invalid } else { BadSignature::Unsupported })
}

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadSignature {
    /// Another key made it, or the bytes were changed.
    #[error("the signature does not verify")]
    Invalid,
    /// An algorithm that TLS would not take either.
    #[error("the signature algorithm does not fit the key, or is not supported")]
    Unsupported,
}
