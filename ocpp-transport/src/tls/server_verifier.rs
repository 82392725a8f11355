//! A station judges the certificate of its CSMS.

use std::fmt;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::{DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::name_rule::{Subject, Wildcards, check_server_name};
use crate::tls::failure::path_error;
use crate::tls::{BadCertificate, MAX_INTERMEDIATES, ProvedBy};

/// Path by RFC 5280 (A00.FR.308, A00.FR.411), then the subject's common name (A00.FR.309, A00.FR.412).
pub(super) struct CsmsVerifier {
    pub(super) roots: Vec<CertificateDer<'static>>,
    /// Of the roots, in their order.
    pub(super) anchors: Vec<TrustAnchor<'static>>,
    pub(super) wildcards: Wildcards,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    pub(super) proved_by: ProvedBy,
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
        let certificate = EndEntityCert::try_from(end_entity).map_err(path_error)?;
        let path = certificate
            .verify_for_usage(
                self.algorithms.all,
                &self.anchors,
                intermediates,
                now,
                KeyUsage::server_auth(),
                // A00.FR.701: certificates of a CSMS are short-lived instead of revoked.
                None,
                None,
            )
            .map_err(path_error)?;
        let subject = Subject::of(end_entity).map_err(BadCertificate::from)?;
        check_server_name(&subject, &server_name.to_str(), self.wildcards).map_err(BadCertificate::from)?;
        let proving = self.anchors.iter().position(|anchor| anchor == path.anchor());
        if let Some(root) = proving.and_then(|position| self.roots.get(position)) {
            self.proved_by.set(root.clone());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl fmt::Debug for CsmsVerifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CsmsVerifier")
            .field("roots", &self.anchors.len())
            .field("wildcards", &self.wildcards)
            .finish_non_exhaustive()
    }
}
