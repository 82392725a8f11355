//! The TLS of the service, from the files and keys that its configuration names.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use ocpp_transport::tls::{ClientTrust, RevocationPolicy, ServerKey, ServerTls, SoftwareKey};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject};
use signer_pkcs11::{Hierarchy, Token};
use x509_cert::{Certificate, der::Decode as _};

use crate::{
    config::Config,
    io::{ServerError, authority::find_key},
};

/// Reads certificates, keys, roots and revocation lists, `own_lists` being those of the service's own authority. Blocks.
pub(crate) fn server_tls(
    config: &Config,
    token: Option<&Token>,
    own_lists: &[PathBuf],
) -> Result<ServerTls, ServerError> {
    let chain = read_certificates(&config.tls.certificate_file)?;
    warn_of_expiry(&config.tls.certificate_file, &chain);
    let clients = client_trust(config, own_lists)?;
    let software = match (&config.tls.key, &config.tls.key_file) {
        (Some(uri), _) => {
            let key = ServerKey::new(chain, find_key(token, "tls.key", uri)?.signing_key());
            return Ok(ServerTls::rustls(key, &clients)?);
        }
        (None, Some(file)) => SoftwareKey { chain, key: read_key(file)? },
        // `Config::parse` sees to it that there is one.
        (None, None) => return Err(ServerError::NoTlsKey),
    };
    match &config.tls.rsa {
        None => Ok(ServerTls::rustls(ServerKey::software(software)?, &clients)?),
        Some(rsa) => {
            let chain = read_certificates(&rsa.certificate_file)?;
            warn_of_expiry(&rsa.certificate_file, &chain);
            with_rsa(software, SoftwareKey { chain, key: read_key(&rsa.key_file)? }, &clients)
        }
    }
}

#[cfg(feature = "openssl")]
fn with_rsa(own: SoftwareKey, rsa: SoftwareKey, clients: &ClientTrust) -> Result<ServerTls, ServerError> {
    Ok(ServerTls::openssl(&[own, rsa], clients)?)
}

#[cfg(not(feature = "openssl"))]
fn with_rsa(_: SoftwareKey, _: SoftwareKey, _: &ClientTrust) -> Result<ServerTls, ServerError> {
    Err(ServerError::WithoutOpenSsl)
}

fn client_trust(config: &Config, own_lists: &[PathBuf]) -> Result<ClientTrust, ServerError> {
    let mut crls = Vec::new();
    for file in &config.tls.crl_files {
        crls.extend(read_crls(file)?);
    }
    // One that could not be signed yet is not there.
    for file in own_lists.iter().filter(|file| file.exists()) {
        crls.extend(read_crls(file)?);
    }
    let revocation = match config.tls.require_crls {
        true => RevocationPolicy::Required,
        false => RevocationPolicy::IfListed,
    };
    // A00.FR.429
    let permitted = config.stations.iter().filter(|station| station.expired_certificate_permitted);
    Ok(ClientTrust::new(client_roots(config)?, vec![config.organization.clone()])
        .with_crls(crls)
        .with_revocation(revocation)
        .with_expired_permitted(permitted.map(|station| station.serial_number.clone())))
}

/// The roots of stations' certificates; where none are named, the issuers of the operator's own hierarchy.
fn client_roots(config: &Config) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    if let Some(file) = &config.tls.client_roots_file {
        return read_certificates(file);
    }
    let mut roots = read_certificates(&config.ca.certificate_file)?;
    for issuer in config.ca.issuers.iter().filter(|issuer| issuer.hierarchy == Hierarchy::Cso) {
        roots.extend(read_certificates(&issuer.certificate_file)?);
    }
    Ok(roots)
}

/// The certificates of a PEM file, at least one.
pub(crate) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    read_pem(path)
}

fn read_crls(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, ServerError> {
    let bytes = read(path)?;
    // As authorities publish them; PEM is what people turn them into.
    if bytes.first() == Some(&DER_SEQUENCE) {
        return Ok(vec![bytes.into()]);
    }
    read_pem(path)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, ServerError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(pem_error(path))
}

fn read_pem<T: PemObject>(path: &Path) -> Result<Vec<T>, ServerError> {
    let objects = T::pem_slice_iter(&read(path)?).collect::<Result<Vec<_>, _>>().map_err(pem_error(path))?;
    if objects.is_empty() {
        return Err(pem_error(path)(rustls_pki_types::pem::Error::NoItemsFound));
    }
    Ok(objects)
}

fn read(path: &Path) -> Result<Vec<u8>, ServerError> {
    fs::read(path).map_err(|source| ServerError::File { path: path.to_path_buf(), source })
}

fn pem_error(path: &Path) -> impl Fn(rustls_pki_types::pem::Error) -> ServerError {
    move |source| ServerError::Pem { path: path.to_path_buf(), source }
}

/// A CSMS whose own certificate has expired starts all the same, and every station refuses it (A00.FR.310).
fn warn_of_expiry(path: &Path, chain: &[CertificateDer<'static>]) {
    let leaf = chain.first().and_then(|leaf| Certificate::from_der(leaf).ok());
    let not_after = leaf.map(|leaf| leaf.tbs_certificate().validity().not_after);
    if let Some(not_after) = not_after.filter(|not_after| not_after.to_system_time() <= SystemTime::now()) {
        tracing::error!(
            file = %path.display(),
            %not_after,
            "the certificate of this service has expired, and no station will connect; put a new one there and run `ocpp-csms reload`"
        );
    }
}

/// The first byte of everything in DER that is no PEM.
const DER_SEQUENCE: u8 = 0x30;
