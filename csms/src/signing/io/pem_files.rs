//! Reads the files of certificates, keys and revocation lists. All functions block.

use std::{fs, path::Path};

use certificates::pem;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::service::io::server_error::ServerError;

/// The certificates of a PEM file, at least one.
pub(crate) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    pem::certificates(&read(path)?, MAX_CERTIFICATES).map_err(ServerError::pem(path))
}

/// The revocation lists of a file, PEM or DER.
pub(crate) fn read_crls(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, ServerError> {
    pem::revocation_lists(&read(path)?, MAX_LISTS).map_err(ServerError::pem(path))
}

/// The private key of a PEM file.
pub(crate) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, ServerError> {
    pem::private_key(&read(path)?).map_err(ServerError::pem(path))
}

fn read(path: &Path) -> Result<Vec<u8>, ServerError> {
    fs::read(path).map_err(ServerError::file(path))
}

/// Certificates in one file: more roots than any operator has.
const MAX_CERTIFICATES: usize = 1000;

/// Lists in one file: one for each issuer.
const MAX_LISTS: usize = 1000;
