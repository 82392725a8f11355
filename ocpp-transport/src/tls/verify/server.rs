//! A station verifies the certificate of its CSMS.

use std::fmt;

use certificates::path::{self, Purpose};
use certificates::{Certificate, UnixSeconds};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::{DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::name_rule::{CertificateSubject, Wildcards, check_server_name};
use crate::tls::failure::{path_error, read};
use crate::tls::verify::handshake_signature;
use crate::tls::{BadCertificate, MAX_INTERMEDIATES, ProvedBy};

/// Verifies the path by RFC 5280 (A00.FR.308, A00.FR.411), then the subject's common name
/// (A00.FR.309, A00.FR.412).
pub(crate) struct CsmsVerifier {
    pub(crate) roots: Vec<Certificate>,
    pub(crate) wildcards: Wildcards,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
    pub(crate) proved_by: ProvedBy,
}

impl ServerCertVerifier for CsmsVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if intermediates.len() > MAX_INTERMEDIATES {
            return Err(BadCertificate::TooManyIntermediates { count: intermediates.len() }.into());
        }
        let leaf = read(end_entity)?;
        let intermediates = intermediates.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let now = UnixSeconds::from(now);
        // A00.FR.701: certificates of a CSMS are short-lived and are not revoked.
        let path = path::verify(&leaf, &intermediates, &self.roots, now.into(), Purpose::Csms)
            .map_err(path_error)?;
        let subject = CertificateSubject::read(&leaf).map_err(BadCertificate::from)?;
        check_server_name(&subject, &server_name.to_str(), self.wildcards).map_err(BadCertificate::from)?;
        self.proved_by.set(path.root.to_certificate_der());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        handshake_signature::verify_tls12(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        handshake_signature::verify_tls13(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl fmt::Debug for CsmsVerifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CsmsVerifier")
            .field("roots", &self.roots.len())
            .field("wildcards", &self.wildcards)
            .finish_non_exhaustive()
    }
}
