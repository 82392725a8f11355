//! Requests and certificates: `csr`, `root`, `sub-ca`, `server-cert`.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use signer_pkcs11::{
    AuditEvent, CaSettings, CertificateAuthority, Csr, FileRecord, IssuedCertificate, Key, KeyError,
    ServerName, SubAuthority, Subject, Token, Uri, csr,
};

use crate::{
    arguments::{AuthorityArguments, Csr as CsrArguments, KindArguments, Root, ServerCert, SubCa},
    files,
    output::{Report, utc},
    progress, wishes,
};

pub(crate) fn csr(module: Option<PathBuf>, arguments: &CsrArguments) -> Result<Report> {
    let token = arguments.token.open(module)?;
    let key = by_label(&token, &arguments.label)?;
    let profile = arguments.profile.map(|name| arguments.profiles.profile(name)).transpose()?;
    if let Some(profile) = &profile {
        wishes::check_kind(profile, key.public_key())?;
    }
    let subject = arguments.subject.subject(&arguments.common_name, profile.as_ref())?;
    let pem = csr::build(&key, &subject)?;
    let report = Report::new(
        format!("The request for \"{}\" is signed by the token.", arguments.common_name),
        "check it by `openssl req -verify -noout -text -in FILE`, then send it to the authority",
    )
    .fact("key", key.uri().to_string())
    .careless(&arguments.token);
    match &arguments.out {
        None => Ok(report.raw("csr", pem)),
        Some(path) => {
            files::replace(path, pem.as_bytes())?;
            Ok(report.fact("file", path.display().to_string()))
        }
    }
}

pub(crate) fn root(module: Option<PathBuf>, arguments: &Root) -> Result<Report> {
    let path = &arguments.out;
    let record = arguments.record.open()?;
    let token = arguments.token.open(module)?;
    let mut subject = Subject::new(&arguments.common_name, &arguments.organization);
    subject.country = arguments.country.clone();
    // Before the key is generated: a key without a certificate would be left in the token.
    let (now, mut fingerprint) = (SystemTime::now(), String::new());
    let key = files::create(path, |keep| {
        with_new_key(&token, &arguments.label, &arguments.kind, |key| {
            let key = key.clone().with_rsa_padding(arguments.padding.padding());
            put_down(record.as_ref(), "root", &key)?;
            let validity = days(arguments.validity_days);
            let pem = CertificateAuthority::create_root(&key, &subject, validity, now)?;
            fingerprint = files::fingerprint(&pem)?;
            keep(&pem)
        })
    })?;
    let next = format!(
        "check it by `openssl x509 -noout -text -in {0}`, install it on the stations as CSMSRootCertificate, and issue the CSMS's own certificate by `hsm server-cert`",
        path.display()
    );
    Ok(Report::new(format!("The root \"{}\" is made.", arguments.common_name), next)
        .fact("key", key.uri().to_string())
        .key(&token, &key)
        .fact("file", path.display().to_string())
        .fact("sha256", fingerprint)
        .fact("not_after", utc(now + days(arguments.validity_days)))
        .head(record.as_ref())
        .careless(&arguments.token))
}

pub(crate) fn sub_authority(module: Option<PathBuf>, arguments: &SubCa) -> Result<Report> {
    let subject = arguments.subject.subject(&arguments.common_name, None)?;
    let profile = sub_profile(arguments)?;
    let record = arguments.record.open()?;
    let token = arguments.token.open(module)?;
    let authority = open_authority(&token, &arguments.authority, &subject.organization, record.as_ref())?;
    let certify = |csr: &Csr| -> Result<IssuedCertificate> {
        Ok(runtime()?.block_on(authority.issue_sub_authority(csr, &subject, &profile))?)
    };
    let path = &arguments.out;
    let (certificate, key) = files::create(path, |keep| match (&arguments.csr, &arguments.label) {
        (Some(file), _) => {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            let certificate = certify(&Csr::parse(&text)?)?;
            keep(&certificate.chain_pem)?;
            Ok((certificate, None))
        }
        (None, label) => {
            let label = label.as_deref().context("give --label or --csr")?;
            let mut issued = None;
            let key = with_new_key(&token, label, &arguments.kind, |key| {
                let certificate = certify(&Csr::parse(&csr::build(key, &subject)?)?)?;
                keep(&certificate.chain_pem)?;
                issued = Some(certificate);
                Ok(())
            })?;
            Ok((issued.context("no certificate was issued")?, Some(key)))
        }
    })?;
    let next = format!(
        "append the root's certificate to {} where an authority is configured: stations are sent the chain without it",
        path.display()
    );
    let report = Report::new(format!("The authority \"{}\" is certified.", arguments.common_name), next)
        .fact("file", path.display().to_string())
        .certificate(&certificate)
        .head(record.as_ref())
        .careless(&arguments.token);
    Ok(match key {
        Some(key) => report.fact("key", key.uri().to_string()).key(&token, &key),
        None => report,
    })
}

/// What the command line says, and the profiles where it says nothing.
fn sub_profile(arguments: &SubCa) -> Result<SubAuthority> {
    let mut profile = arguments.profiles.read()?.sub_authority;
    profile.validity = arguments.validity_days.map_or(profile.validity, days);
    profile.path_len = arguments.path_len.or(profile.path_len);
    if !arguments.crl_urls.is_empty() {
        profile.crl_urls.clear();
    }
    arguments.crl_urls.iter().try_fold(profile, |profile, url| Ok(profile.crl_url(url)?))
}

/// A new key, once `keep` has done with it. Otherwise it is destroyed again: its label would be taken at the next attempt,
/// and nobody trusts it yet.
fn with_new_key(
    token: &Token,
    label: &str,
    kind: &KindArguments,
    keep: impl FnOnce(&Key) -> Result<()>,
) -> Result<Key> {
    let key = progress::generate(token, label, kind.algorithm)?;
    match keep(&key) {
        Ok(()) => Ok(key),
        Err(error) => {
            let destroyed = token.destroy_key(key.uri());
            Err(match destroyed {
                Ok(()) => error,
                Err(_) => error.context(format!("the key {} stays in the token", key.uri())),
            })
        }
    }
}

/// Puts a step of the ceremony on record before it is made.
fn put_down(record: Option<&FileRecord>, step: &str, key: &Key) -> Result<()> {
    let event = AuditEvent::Ceremony { step: step.to_owned(), key: key.uri().to_string() };
    record.map_or(Ok(0), |record| record.append_blocking(&event))?;
    Ok(())
}

/// The authority that the arguments name.
pub(crate) fn open_authority(
    token: &Token,
    arguments: &AuthorityArguments,
    organization: &str,
    record: Option<&FileRecord>,
) -> Result<CertificateAuthority> {
    authority_with(token, arguments, CaSettings::new(organization), record)
}

fn authority_with(
    token: &Token,
    arguments: &AuthorityArguments,
    settings: CaSettings,
    record: Option<&FileRecord>,
) -> Result<CertificateAuthority> {
    let chain = fs::read_to_string(&arguments.ca_cert)
        .with_context(|| format!("cannot read {}", arguments.ca_cert.display()))?;
    let key = by_label(token, &arguments.ca_label)?.with_rsa_padding(arguments.padding.padding());
    let authority = CertificateAuthority::new(key, &chain, settings)?;
    Ok(match record {
        Some(record) => authority.with_record(Arc::new(record.clone())),
        None => authority,
    })
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_time().build()?)
}

fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * 3600)
}

pub(crate) fn server(module: Option<PathBuf>, arguments: &ServerCert) -> Result<Report> {
    let mut name = ServerName::new(&arguments.name)?;
    for other in &arguments.dns_names {
        name = name.with_dns_name(other)?;
    }
    if arguments.common_name_only {
        name = name.common_name_only();
    }
    let mut settings = arguments.profiles.settings(arguments.organization.as_deref())?;
    if let Some(hours) = arguments.validity_hours {
        settings = settings.server_validity(Duration::from_secs(u64::from(hours) * 3600));
    }
    let record = arguments.record.open()?;
    let token = arguments.token.open(module)?;
    let authority = authority_with(&token, &arguments.authority, settings, record.as_ref())?;
    let key = match by_label(&token, &arguments.label) {
        Err(KeyError::NotFound { .. }) => {
            progress::generate(&token, &arguments.label, arguments.kind.algorithm)?
        }
        found => found?,
    };
    let certificate = runtime()?.block_on(authority.issue_server_certificate(&name, key.public_key()))?;
    files::replace(&arguments.out, certificate.chain_pem.as_bytes())?;

    let lifetime = certificate.not_after.duration_since(certificate.not_before).unwrap_or_default();
    let next = format!(
        "name the key's uri and {} in the configuration of ocpp-csms, and repeat this command before the certificate ends",
        arguments.out.display()
    );
    let report = Report::new(format!("The certificate of the CSMS \"{}\" is issued.", name.fqdn()), next)
        .fact("key", key.uri().to_string())
        .fact("file", arguments.out.display().to_string())
        .certificate(&certificate)
        .head(record.as_ref())
        .careless(&arguments.token);
    Ok(if lifetime < Duration::from_secs(24 * 3600) {
        report
    } else {
        report.warning("it lasts 24 hours or more, so stations should check its revocation (A00.FR.701)")
    })
}

fn by_label(token: &Token, label: &str) -> Result<Key, KeyError> {
    token.find_key(&Uri::new().with_object(label))
}
