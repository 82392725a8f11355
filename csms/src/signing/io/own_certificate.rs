//! The CSMS's own certificate. Its own authority issues it with a short validity, so that stations
//! need no revocation check (A00.FR.701).

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use certificates::{Attribute, Certificate};
use ocpp_types::Timestamp;
use program::Readers;
use signer_pkcs11::{CertificateAuthority, Present, PublicKey, Token};
use tokio::task::spawn_blocking;
use x509_cert::{
    der::{Decode as _, oid::AssociatedOid as _},
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use crate::{
    config::{Config, OwnNames, TlsKey},
    ledger::io::open,
    service::io::{clock::ServiceClock, server_error::ServerError},
    signing::{
        io::{
            authority::Authority,
            pem_files::{read_certificates, read_key},
            token::{find_key, open_token},
        },
        serving::{Held, Issuing, Times, Validity, When, due_in, to_serve},
    },
};

/// Issues the certificates of `[tls]`, now or if they are due, and returns the written files.
/// `unserved` is set before the first file is written, also if a later one fails.
pub(crate) async fn issue(
    authority: &CertificateAuthority,
    config: &Config,
    token: Option<&Token>,
    when: When,
    clock: &ServiceClock,
    unserved: &AtomicBool,
) -> Result<Vec<PathBuf>, ServerError> {
    let failed = |source| ServerError::Sign { what: "the CSMS's own certificate".to_owned(), source };
    let Some(names) = &config.tls.names else { return Ok(Vec::new()) };
    let (read_config, token) = (config.clone(), token.cloned());
    let own = spawn_blocking(move || own_certificates(&read_config, token.as_ref())).await??;
    let mut written = Vec::new();
    for own in own {
        let times = clock.times();
        if when == When::Due && !due_in(own.held, times, issuing(authority)).is_zero() {
            continue;
        }
        let room = own.file.clone();
        spawn_blocking(move || program::check_room(&room, MAX_CHAIN_BYTES))
            .await?
            .map_err(ServerError::file(&own.file))?;
        let certificate =
            authority.issue_server_certificate(names.server_name(), &own.key).await.map_err(failed)?;
        let (file, chain) = (own.file.clone(), certificate.chain_pem);
        unserved.store(true, Ordering::Release);
        spawn_blocking(move || replace(&own, times, chain.as_bytes())).await??;
        tracing::info!(
            file = %file.display(),
            serial_number = %certificate.serial,
            "issued the CSMS's own certificate"
        );
        written.push(file);
    }
    Ok(written)
}

/// The time until the first of the certificates of `[tls]` has to be issued; `None`: the authority
/// issues none. Blocks.
pub(crate) fn next_due(
    authority: &CertificateAuthority,
    config: &Config,
    token: Option<&Token>,
    times: Times,
) -> Option<Duration> {
    config.tls.names.as_ref()?;
    let own = own_certificates(config, token).ok()?;
    own.iter().map(|own| due_in(own.held, times, issuing(authority))).min()
}

/// The CSMS's own certificates that are to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// The files; the one of `tls.rsa` is the last.
    pub(crate) files: Vec<PathBuf>,
    /// The certificates that are not valid now, with the reason.
    pub(crate) invalid: Vec<String>,
}

/// Chooses the certificates to serve. The certificates of an operator are served unchanged. Blocks.
pub(crate) fn to_be_served(
    config: &Config,
    token: Option<&Token>,
    times: Times,
) -> Result<Served, ServerError> {
    let mut served = Served { files: Vec::new(), invalid: Vec::new() };
    let is_issued_here = config.tls.names.is_some();
    for own in own_certificates(config, token)? {
        let position = if is_issued_here { to_serve(own.held, times) } else { 0 };
        let file = if position == 0 { own.file } else { earlier(&own.file) };
        if let Some(validity) = validity(&file) {
            served.invalid.extend(reason(&file, validity, times.present));
        }
        served.files.push(file);
    }
    Ok(served)
}

/// Opens token, ledger and authority while no service runs, and issues the certificates of `[tls]`.
///
/// # Errors
/// [`ServerError`]
///
/// # Cancel safety
/// Dropping the future may leave a signed certificate that is not stored; it is recorded.
pub async fn issue_server_certificate(config: Config) -> Result<Vec<PathBuf>, ServerError> {
    if config.tls.names.is_none() {
        return Err(ServerError::NoOwnCertificate);
    }
    let token = spawn_blocking({
        let config = config.clone();
        move || open_token(&config)
    });
    let token = token.await??;
    let (ledger, _lock) = open::open(&config, token.as_ref()).await?;
    let clock = ServiceClock::new(config.clock_doubt);
    let opened = spawn_blocking({
        let (config, token, record) = (config.clone(), token.clone(), Arc::new(ledger.clone()));
        let clock = clock.clone();
        move || Authority::open(&config, token.as_ref(), record, clock)
    });
    let issued = match opened.await?? {
        Authority::Own(authority) => {
            issue(&authority, &config, token.as_ref(), When::Now, &clock, &AtomicBool::default()).await
        }
        Authority::Forwarding(_) => Err(ServerError::NoOwnCertificate),
    };
    ledger.finish().await?;
    issued
}

/// A key of `[tls]`, with its certificates.
struct OwnCertificate {
    key: PublicKey,
    /// The file of the newest certificate.
    file: PathBuf,
    held: Held,
}

/// The keys of `[tls]` and their certificates. Blocks.
fn own_certificates(config: &Config, token: Option<&Token>) -> Result<Vec<OwnCertificate>, ServerError> {
    let tls = &config.tls;
    let first = match &tls.key {
        TlsKey::Token(uri) => find_key(token, "tls.key", uri)?.public_key().clone(),
        TlsKey::File { path, .. } => public_key(path)?,
    };
    let names = tls.names.as_ref().map(OwnNames::as_slice).unwrap_or_default();
    let own = |key: PublicKey, file: &Path| {
        let held = [file, &earlier(file)].map(|file| fitting(file, &key, names));
        OwnCertificate { key, file: file.to_path_buf(), held }
    };
    let mut all = vec![own(first, &tls.certificate_file)];
    if let Some(rsa) = tls.rsa() {
        all.push(own(public_key(&rsa.key_file)?, &rsa.certificate_file));
    }
    Ok(all)
}

/// Replaces a certificate durably. The former certificate stays beside it while it can still be
/// used: a certificate that was issued by a clock that is ahead is not valid when the clock is
/// right again. Blocks.
fn replace(own: &OwnCertificate, times: Times, chain: &[u8]) -> Result<(), ServerError> {
    let is_valid = |validity: Validity| {
        validity.is_valid_at(times.present.earliest) || validity.is_valid_at(times.present.latest)
    };
    if to_serve(own.held, times) == 0 && own.held[0].is_some_and(is_valid) {
        let newest = fs::read(&own.file).map_err(ServerError::file(&own.file))?;
        let earlier = earlier(&own.file);
        program::replace(&earlier, &newest, Readers::Everybody).map_err(ServerError::file(&earlier))?;
    }
    program::replace(&own.file, chain, Readers::Everybody).map_err(ServerError::file(&own.file))
}

/// The file of the certificate before the newest one.
fn earlier(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".earlier");
    name.into()
}

fn issuing(authority: &CertificateAuthority) -> Issuing {
    let settings = authority.settings();
    Issuing { lifetime: settings.profiles.server.validity, backdate: settings.backdate }
}

fn public_key(path: &Path) -> Result<PublicKey, ServerError> {
    let unfit = |source: Box<dyn std::error::Error + Send + Sync>| ServerError::OwnKey {
        path: path.to_path_buf(),
        source,
    };
    let key = read_key(path)?;
    let key =
        rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).map_err(|error| unfit(error.into()))?;
    let spki = key.public_key().ok_or_else(|| unfit("its public key cannot be read".into()))?;
    PublicKey::from_spki_der(&spki).map_err(|error| unfit(error.into()))
}

/// The validity of the certificate in a file, if the certificate is for this key and these names.
fn fitting(path: &Path, key: &PublicKey, names: &[String]) -> Option<Validity> {
    let certificate = first_certificate(path)?;
    let common_name = certificate.subject().value(Attribute::CommonName).ok()?;
    let alternative = SubjectAltName::from_der(certificate.extension(SubjectAltName::OID)?).ok()?;
    let mut dns_names = alternative.0.iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.as_str()),
        _ => None,
    });
    let fits = certificate.spki() == key.spki_der()
        && names.first() == common_name.as_ref()
        && names.iter().all(|name| dns_names.any(|other| other == name));
    fits.then(|| validity_of(&certificate))
}

fn validity(path: &Path) -> Option<Validity> {
    first_certificate(path).as_ref().map(validity_of)
}

fn validity_of(certificate: &Certificate) -> Validity {
    let (from, until) = (certificate.not_before(), certificate.not_after());
    Validity { from: from.to_system_time(), until: until.to_system_time() }
}

fn first_certificate(path: &Path) -> Option<Certificate> {
    Certificate::from_der(read_certificates(path).ok()?.first()?.to_vec()).ok()
}

/// Why all stations refuse the certificate in this file, for an operator (A00.FR.310).
fn reason(file: &Path, validity: Validity, present: Present) -> Option<String> {
    let (file, text) = (file.display(), |time| Timestamp::from(time).to_string());
    let (from, until) = (text(validity.from), text(validity.until));
    if present.latest < validity.from {
        Some(format!(
            "the certificate of this service in {file} is not valid before {from}, and stations refuse it; set the clock, \
             or replace the certificate and run `ocpp-csms reload`"
        ))
    } else if validity.until < present.earliest {
        Some(format!(
            "the certificate of this service in {file} expired at {until}, and stations refuse it; set the clock, or replace \
             the certificate and run `ocpp-csms reload`"
        ))
    } else {
        None
    }
}

/// A chain of four RSA certificates takes about 8 KiB of PEM.
const MAX_CHAIN_BYTES: usize = 32 * 1024;
