//! The TLS of the service, from the files and keys that its configuration names.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use certificates::{RevocationList, SerialNumber};
use ocpp_transport::tls::{ClientTrust, RevocationPolicy, ServerKey, ServerTls, SoftwareKey};
use ocpp_types::Timestamp;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use signer_pkcs11::{Hierarchy, Token};

use crate::{
    config::{Config, TlsKey},
    service::io::server_error::ServerError,
    signing::io::{
        pem_files::{read_certificates, read_crls, read_key},
        token::find_key,
    },
};

/// The sources of TLS that the configuration does not name.
pub(crate) struct TlsFiles<'a> {
    /// The CSMS's own certificates; the one of `tls.rsa` is the last.
    pub(crate) own: &'a [PathBuf],
    /// The lists of the service's own authority.
    pub(crate) lists: &'a [PathBuf],
    /// The distance of the other time in seconds; `None` if the clock is not in doubt.
    pub(crate) other_time: Option<i64>,
    /// The latest time that may be the present one.
    pub(crate) latest: SystemTime,
    /// The serial numbers of certificates that were issued while the clock was ahead.
    pub(crate) early: &'a BTreeSet<SerialNumber>,
}

/// Reads certificates, keys, roots and revocation lists. Blocks.
pub(crate) fn server_tls(
    config: &Config,
    token: Option<&Token>,
    files: &TlsFiles<'_>,
) -> Result<ServerTls, ServerError> {
    let chain = read_certificates(files.own.first().unwrap_or(&config.tls.certificate_file))?;
    let clients = client_trust(config, files)?;
    match &config.tls.key {
        TlsKey::Token(uri) => {
            let key = ServerKey::new(chain, find_key(token, "tls.key", uri)?.signing_key());
            Ok(ServerTls::rustls(key, &clients)?)
        }
        TlsKey::File { path, rsa: None } => {
            let software = SoftwareKey { chain, key: read_key(path)? };
            Ok(ServerTls::rustls(ServerKey::software(software)?, &clients)?)
        }
        TlsKey::File { path, rsa: Some(rsa) } => {
            let software = SoftwareKey { chain, key: read_key(path)? };
            let chain = read_certificates(files.own.get(1).unwrap_or(&rsa.certificate_file))?;
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

fn client_trust(config: &Config, files: &TlsFiles<'_>) -> Result<ClientTrust, ServerError> {
    let mut crls = Vec::new();
    for file in &config.tls.crl_files {
        let lists = read_crls(file)?;
        if let Some(begin) =
            lists.iter().filter_map(|list| begin(list)).find(|begin| *begin > files.latest + SKEW)
        {
            // The certificates on the list are revoked anyway.
            tracing::error!(
                file = %file.display(),
                this_update = %Timestamp::from(begin),
                "a list of revoked certificates begins in the future: is the clock of this machine or of its issuer wrong?"
            );
        }
        crls.extend(lists);
    }
    // A list that could not be signed yet does not exist.
    for file in files.lists.iter().filter(|file| file.exists()) {
        crls.extend(read_crls(file)?);
    }
    let revocation = match config.tls.require_crls {
        true => RevocationPolicy::Required,
        false => RevocationPolicy::IfListed,
    };
    // A00.FR.429
    let permitted = config.stations.iter().filter(|station| station.expired_certificate_permitted);
    // Without roots the transport asks for no certificate.
    let roots = if config.tls.request_client_certificate { client_roots(config)? } else { Vec::new() };
    Ok(ClientTrust::new(roots, vec![config.organization.clone()])
        .with_crls(crls)
        .with_revocation(revocation)
        .with_other_time(files.other_time)
        .with_early_permitted(files.early.iter().copied())
        .with_expired_permitted(permitted.map(|station| station.serial_number.clone())))
}

/// The roots of stations' certificates. If none are named, these are the issuers of the operator's
/// own hierarchy.
fn client_roots(config: &Config) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    if let Some(file) = &config.tls.client_roots_file {
        return read_certificates(file);
    }
    let mut roots = read_certificates(&config.ca.certificate_file)?;
    for issuer in config.ca.issuers().iter().filter(|issuer| issuer.hierarchy == Hierarchy::Cso) {
        roots.extend(read_certificates(&issuer.certificate_file)?);
    }
    Ok(roots)
}

/// The thisUpdate of a list.
fn begin(list: &CertificateRevocationListDer<'_>) -> Option<SystemTime> {
    RevocationList::from_der(list.to_vec()).ok().map(|list| list.this_update().to_system_time())
}

/// The largest difference between authorities' clocks.
const SKEW: Duration = Duration::from_secs(300);
