//! The CSMS's own certificate, issued by its own authority and short-lived, so that stations need no revocation check
//! (A00.FR.701).

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use ocpp_transport::name_rule::Subject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use signer_pkcs11::{CertificateAuthority, PublicKey, Token};
use tokio::task::spawn_blocking;
use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _},
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use crate::{
    config::Config,
    io::{
        SqliteLedger,
        authority::{Authority, find_key, open_token},
        files,
        server_error::ServerError,
        upkeep::When,
    },
};

/// Issues the certificates of `[tls]`, now or where they are due, and returns the files that were written. `unserved` is
/// set before the first of them is, also where a later one fails.
pub(crate) async fn issue(
    authority: &CertificateAuthority,
    config: &Config,
    token: Option<&Token>,
    when: When,
    unserved: &AtomicBool,
) -> Result<Vec<PathBuf>, ServerError> {
    let failed = |source| ServerError::Sign { what: "the CSMS's own certificate".to_owned(), source };
    let Some(name) = config.tls.server_name() else { return Ok(Vec::new()) };
    let name = name.map_err(failed)?;
    let (read_config, token) = (config.clone(), token.cloned());
    let keys = spawn_blocking(move || keys(&read_config, token.as_ref())).await??;
    let mut written = Vec::new();
    for (key, path) in keys {
        if when == When::Due && due(&path, &key, &config.tls.names).is_some_and(is_later) {
            continue;
        }
        let certificate = authority.issue_server_certificate(&name, &key).await.map_err(failed)?;
        let (file, chain) = (path.clone(), certificate.chain_pem);
        unserved.store(true, Ordering::Release);
        spawn_blocking(move || files::replace(&file, chain.as_bytes())).await??;
        tracing::info!(
            file = %path.display(),
            serial_number = certificate.serial,
            "issued the CSMS's own certificate"
        );
        written.push(path);
    }
    Ok(written)
}

/// When the first of the certificates of `[tls]` has to be issued; `None`: the authority issues none. Blocks.
pub(crate) fn next_due(config: &Config, token: Option<&Token>) -> Option<SystemTime> {
    config.tls.server_name()?.ok()?;
    let keys = keys(config, token).ok()?;
    let due = |(key, path): &(PublicKey, PathBuf)| due(path, key, &config.tls.names);
    keys.iter().map(|one| due(one).unwrap_or(SystemTime::UNIX_EPOCH)).min()
}

/// Opens token, ledger and authority while no service runs, and issues the certificates of `[tls]`.
///
/// # Errors
/// [`ServerError`]
///
/// # Cancel safety
/// A dropped future may have signed a certificate that nobody gets; the record knows of it.
pub async fn issue_server_certificate(config: Config) -> Result<Vec<PathBuf>, ServerError> {
    if config.tls.names.is_empty() {
        return Err(ServerError::NoOwnCertificate);
    }
    let token = spawn_blocking({
        let config = config.clone();
        move || open_token(&config)
    });
    let token = token.await??;
    let ledger = SqliteLedger::open(&config.ledger_file()).await?;
    ledger.verify_record(None).await?;
    let opened = spawn_blocking({
        let (config, token) = (config.clone(), token.clone());
        move || Authority::open(&config, token.as_ref(), Arc::new(ledger))
    });
    match opened.await?? {
        Authority::Own(authority) => {
            issue(&authority, &config, token.as_ref(), When::Now, &AtomicBool::default()).await
        }
        Authority::Forwarding(_) => Err(ServerError::NoOwnCertificate),
    }
}

/// The public keys of `[tls]`, and the files of their certificates.
fn keys(config: &Config, token: Option<&Token>) -> Result<Vec<(PublicKey, PathBuf)>, ServerError> {
    let tls = &config.tls;
    let first = match (&tls.key, &tls.key_file) {
        (Some(uri), _) => find_key(token, "tls.key", uri)?.public_key().clone(),
        (None, Some(file)) => public_key(file)?,
        // `Config::parse` sees to it that there is one.
        (None, None) => return Err(ServerError::NoTlsKey),
    };
    let mut keys = vec![(first, tls.certificate_file.clone())];
    if let Some(rsa) = &tls.rsa {
        keys.push((public_key(&rsa.key_file)?, rsa.certificate_file.clone()));
    }
    Ok(keys)
}

fn public_key(path: &Path) -> Result<PublicKey, ServerError> {
    let unfit = |source: Box<dyn std::error::Error + Send + Sync>| ServerError::OwnKey {
        path: path.to_path_buf(),
        source,
    };
    let bytes = fs::read(path).map_err(|source| ServerError::File { path: path.to_path_buf(), source })?;
    let key = PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|source| ServerError::Pem { path: path.to_path_buf(), source })?;
    let key =
        rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).map_err(|error| unfit(error.into()))?;
    let spki = key.public_key().ok_or_else(|| unfit("its public half cannot be told".into()))?;
    PublicKey::from_spki_der(&spki).map_err(|error| unfit(error.into()))
}

/// When the certificate in a file has to be replaced, a third of its own lifetime before its end; `None`: at once, for
/// there is none, or it is another one. The profile's lifetime does not count: the issuer's end may cut it short.
fn due(path: &Path, key: &PublicKey, names: &[String]) -> Option<SystemTime> {
    let der = CertificateDer::from_pem_file(path).ok()?;
    let certificate = Certificate::from_der(&der).ok()?;
    let tbs = certificate.tbs_certificate();
    let spki = tbs.subject_public_key_info().to_der().ok()?;
    let common_name = Subject::of(&der).ok()?.common_name;
    let (_, alternative) = tbs.get_extension::<SubjectAltName>().ok()??;
    let mut dns_names = alternative.0.iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.as_str()),
        _ => None,
    });
    let same = spki == key.spki_der()
        && names.first() == Some(&common_name)
        && names.iter().all(|name| dns_names.any(|other| other == name));
    let from = tbs.validity().not_before.to_system_time();
    let until = tbs.validity().not_after.to_system_time();
    Some(until - until.duration_since(from).ok()? / 3).filter(|_| same)
}

fn is_later(time: SystemTime) -> bool {
    time > SystemTime::now()
}
