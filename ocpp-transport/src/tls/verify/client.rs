//! A CSMS verifies the certificate of a station, for rustls.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::tls::presented::note_refused;
use crate::tls::verify::handshake_signature;
use crate::tls::verify::trust::StationRules;

/// Passes the certificates of a station to [`StationRules`].
#[derive(Debug)]
pub(crate) struct StationVerifier(pub(crate) Arc<StationRules>);

impl ClientCertVerifier for StationVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    // No hints: a station with a certificate of another operator should present it and be refused
    // with a security event (A00.FR.407), instead of silently presenting no certificate.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        match self.0.judge(end_entity, intermediates, now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(reason) => {
                note_refused(end_entity);
                Err(reason.into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        handshake_signature::verify_tls12(message, certificate, signature, self.0.algorithms())
            .inspect_err(|_| note_refused(certificate))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        handshake_signature::verify_tls13(message, certificate, signature, self.0.algorithms())
            .inspect_err(|_| note_refused(certificate))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.algorithms().supported_schemes()
    }
}
