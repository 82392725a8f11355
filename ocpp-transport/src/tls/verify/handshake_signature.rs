//! The signature by which a peer proves in a handshake that it has the key of its certificate.
//!
//! rustls offers the same, but parses the whole certificate for it, and refuses some that RFC 5280
//! allows. Only the key is read here. [`certificates::path`] verifies the certificate.

use certificates::{Certificate, Spki};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::{CertificateError, DigitallySignedStruct, PeerMisbehaved};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

pub(crate) fn verify_tls12(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let certificate = read(certificate)?;
    let key = Spki::read(certificate.spki()).map_err(|_| CertificateError::BadEncoding)?;
    let known = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signature.scheme);
    let (_, candidates) = known.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    // In TLS 1.2 a scheme for ECDSA names a hash but no curve.
    let mut fitting = candidates.iter().filter(|one| one.public_key_alg_id().as_ref() == key.algorithm);
    let is_valid = |one: &&dyn rustls_pki_types::SignatureVerificationAlgorithm| {
        one.verify_signature(key.key, message, signature.signature()).is_ok()
    };
    match fitting.any(is_valid) {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(CertificateError::BadSignature.into()),
    }
}

pub(crate) fn verify_tls13(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let certificate = read(certificate)?;
    let key = SubjectPublicKeyInfoDer::from(certificate.spki());
    verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
}

fn read(certificate: &CertificateDer<'_>) -> Result<Certificate, CertificateError> {
    Certificate::from_der(certificate.to_vec()).map_err(|_| CertificateError::BadEncoding)
}
