//! A SignCertificateRequest, independent of the version of OCPP.

use certificates::{HashData, HashDataError};

use crate::policy::certificate_use::CertificateUse;

/// The content of a request, independent of the version of OCPP.
#[derive(Clone, Debug)]
pub struct SigningRequest<'a> {
    pub(crate) csr: &'a str,
    pub(crate) certificate_use: Option<CertificateUse>,
    /// OCPP 2.1, A02.FR.24.
    pub(crate) request_id: Option<i64>,
    /// OCPP 2.1, A02.FR.27. An error names no root.
    pub(crate) root: Option<Result<HashData, HashDataError>>,
}
