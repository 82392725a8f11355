//! The root that has proved the CSMS's certificate.

use std::sync::{Arc, Mutex, PoisonError};

use rustls_pki_types::CertificateDer;

/// The root that has proved the certificate of the CSMS, known since the handshake.
///
/// Pass a new one to [`client_config_proving`](crate::tls::client_config_proving) for each attempt
/// to connect, and read it when the connection is established. OCPP 1.6 forbids the deletion of
/// this root meanwhile, and with `AdditionalRootCertificateCheck` it shows whether a new root has
/// proved a CSMS.
#[derive(Clone, Debug, Default)]
pub struct ProvedBy(Arc<Mutex<Option<CertificateDer<'static>>>>);

impl ProvedBy {
    /// The root; `None` until a handshake has proved a certificate.
    #[must_use]
    pub fn root(&self) -> Option<CertificateDer<'static>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, root: CertificateDer<'static>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(root);
    }
}
