//! Requests and certificates: `csr`, `root`, `sub-ca`, `server-cert`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use signer_pkcs11::{
    AuditEvent, CaSettings, CertificateAuthority, Csr, FileRecord, IssuedCertificate, Key, KeyError,
    ServerName, SubAuthority, Subject, Token, csr,
};

use crate::{
    arguments::{AuthorityArguments, Csr as CsrArguments, KindArguments, Root, ServerCert, SubCa},
    clock, files,
    key_arguments::key_uri,
    output::{Report, utc},
    profiles, progress,
};

pub(crate) fn csr(module: Option<PathBuf>, arguments: &CsrArguments) -> Result<Report> {
    let token = arguments.token.open(module)?;
    let key = arguments.key.find(&token)?;
    let profile = arguments.profile.map(|name| arguments.profiles.profile(name)).transpose()?;
    if let Some(profile) = &profile {
        profiles::check_kind(profile, key.public_key())?;
    }
    let subject = arguments.subject.subject(&arguments.common_name, profile.as_ref())?;
    let pem = csr::build(&key, &subject)?;
    let report = Report::new(
        format!("The request for \"{}\" is signed by the token.", arguments.common_name),
        "check it with `openssl req -verify -noout -text -in FILE`, then send it to the authority",
    )
    .fact("key", key.uri().to_string())
    .warn_of_readable_pin(&arguments.token);
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
    let now = clock::now()?;
    let record = arguments.record.open()?;
    let token = arguments.token.open(module)?;
    let mut subject = Subject::new(&arguments.common_name, &arguments.organization);
    subject.country = arguments.country.clone();
    // Created before the key is generated: otherwise a key without a certificate could remain in
    // the token.
    let mut fingerprint = String::new();
    let key = files::create(path, |keep| {
        with_new_key(&token, &arguments.key.label, &arguments.key.kind, |key| {
            let key = key.clone().with_rsa_padding(arguments.padding.padding());
            record_step(record.as_ref(), "root", &key)?;
            let validity = days(arguments.validity_days);
            let pem = CertificateAuthority::create_root(&key, &subject, validity, now)?;
            fingerprint = files::fingerprint(&pem)?;
            keep(&pem)
        })
    })?;
    let next = format!(
        "check it with `openssl x509 -noout -text -in {0}`, install it on the stations as CSMSRootCertificate, and issue the CSMS's own certificate with `hsm server-cert`",
        path.display()
    );
    Ok(Report::new(format!("The root \"{}\" is created.", arguments.common_name), next)
        .fact("key", key.uri().to_string())
        .key(&token, &key)
        .fact("file", path.display().to_string())
        .fact("sha256", fingerprint)
        .fact("not_after", utc(now + days(arguments.validity_days)))
        .head(record.as_ref())
        .warn_of_readable_pin(&arguments.token))
}

pub(crate) fn sub_authority(module: Option<PathBuf>, arguments: &SubCa) -> Result<Report> {
    let subject = arguments.subject.subject(&arguments.common_name, None)?;
    let profile = sub_profile(arguments)?;
    clock::now()?;
    let record = arguments.record.open()?;
    let token = arguments.token.open(module)?;
    let authority = open_authority(&token, &arguments.authority, &subject.organization, record.as_ref())?;
    let certify = |csr: &Csr| -> Result<IssuedCertificate> {
        Ok(runtime()?.block_on(authority.issue_sub_authority(csr, &subject, &profile))?)
    };
    let path = &arguments.out;
    let (certificate, key) = files::create(path, |keep| match (&arguments.csr, &arguments.label) {
        (Some(file), _) => {
            let text = program::read_text(file).with_context(|| format!("cannot read {}", file.display()))?;
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
        "append the root's certificate to {} for the configuration of an authority; stations get the chain without it",
        path.display()
    );
    let report = Report::new(format!("The authority \"{}\" is certified.", arguments.common_name), next)
        .fact("file", path.display().to_string())
        .certificate(&certificate)
        .head(record.as_ref())
        .warn_of_readable_pin(&arguments.token);
    Ok(match key {
        Some(key) => report.fact("key", key.uri().to_string()).key(&token, &key),
        None => report,
    })
}

/// The command line overrides the profiles.
fn sub_profile(arguments: &SubCa) -> Result<SubAuthority> {
    let mut profile = arguments.profiles.read()?.sub_authority;
    profile.validity = arguments.validity_days.map_or(profile.validity, days);
    profile.path_len = arguments.path_len.or(profile.path_len);
    if !arguments.crl_urls.is_empty() {
        profile.crl_urls.clear();
    }
    arguments.crl_urls.iter().try_fold(profile, |profile, url| Ok(profile.crl_url(url)?))
}

/// Generates a key and passes it to `keep`. If `keep` fails, the key is destroyed: its label would
/// be taken at the next attempt, and no peer trusts the key yet.
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
                Err(_) => error.context(format!("the key {} remains in the token", key.uri())),
            })
        }
    }
}

/// Records a step of the ceremony before it is taken.
fn record_step(record: Option<&FileRecord>, step: &str, key: &Key) -> Result<()> {
    let event = AuditEvent::Ceremony { step: step.to_owned(), key: key.uri().to_string() };
    record.map_or(Ok(0), |record| record.append_blocking(&event))?;
    Ok(())
}

/// Opens the authority that the arguments name.
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
    let chain = program::read_text(&arguments.ca_cert)
        .with_context(|| format!("cannot read {}", arguments.ca_cert.display()))?;
    let key = arguments.key.find(token)?.with_rsa_padding(arguments.padding.padding());
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
    clock::now()?;
    files::check_room(&arguments.out)?;
    let record = arguments.record.open()?;
    let token = arguments.token.open(module)?;
    let authority = authority_with(&token, &arguments.authority, settings, record.as_ref())?;
    let wanted = key_uri(Some(&arguments.label), arguments.id.as_ref());
    let key = match token.find_key(&wanted) {
        Err(KeyError::NotFound { .. }) if arguments.id.is_none() => {
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
        .warn_of_readable_pin(&arguments.token);
    Ok(if lifetime < Duration::from_secs(24 * 3600) {
        report
    } else {
        report
            .warning("it is valid for 24 hours or more, so stations should check its revocation (A00.FR.701)")
    })
}
