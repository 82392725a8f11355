//! A CSMS judges the certificate of a station.

use std::fmt;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::name_rule::{Subject, check_organization};
use crate::tls::failure::path_error;
use crate::tls::{BadCertificate, MAX_INTERMEDIATES};

/// Path by RFC 5280 (A00.FR.403), then the subject's organization (A00.FR.404). The common name is the station's
/// serial number (A00.FR.405), which only the CSMS's own records can compare: see
/// [`Peer::client_subject`](crate::Peer::client_subject).
pub(super) struct StationVerifier {
    anchors: Vec<TrustAnchor<'static>>,
    organizations: Vec<String>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl StationVerifier {
    pub(super) fn new(
        anchors: Vec<TrustAnchor<'static>>,
        organizations: Vec<String>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self { anchors, organizations, algorithms }
    }
}

impl ClientCertVerifier for StationVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    // No hints: a station with a certificate of another operator is to present it and be refused by name
    // (A00.FR.407), instead of silently falling back to no certificate.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if intermediates.len() > MAX_INTERMEDIATES {
            return Err(BadCertificate::TooManyIntermediates { count: intermediates.len() }.into());
        }
        EndEntityCert::try_from(end_entity)
            .map_err(path_error)?
            .verify_for_usage(
                self.algorithms.all,
                &self.anchors,
                intermediates,
                now,
                KeyUsage::client_auth(),
                None,
                None,
            )
            .map_err(path_error)?;
        let subject = Subject::of(end_entity).map_err(BadCertificate::from)?;
        check_organization(&subject, &self.organizations).map_err(BadCertificate::from)?;
        Ok(ClientCertVerified::assertion())
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

impl fmt::Debug for StationVerifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StationVerifier")
            .field("roots", &self.anchors.len())
            .field("organizations", &self.organizations)
            .finish_non_exhaustive()
    }
}
