//! Requests and certificates: `csr`, `root`, `server-cert`.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use signer_pkcs11::{
    CaSettings, CertificateAuthority, Key, KeyAlgorithm, KeyError, KeyName, ServerName, Subject, Token, Uri,
    csr,
};

use crate::{
    arguments::{Csr, Root, ServerCert},
    output::Report,
};

pub(crate) fn csr(module: Option<PathBuf>, arguments: &Csr) -> Result<Report> {
    let token = arguments.token.open(module)?;
    let key = by_label(&token, &arguments.label)?;
    let mut subject = Subject::new(&arguments.common_name, &arguments.organization);
    subject.country = arguments.country.clone();
    subject.domain_component = arguments.domain_component.clone();
    let pem = csr::build(&key, &subject)?;
    let report = Report::new(
        format!("The request for \"{}\" is signed by the token.", arguments.common_name),
        "check it by `openssl req -verify -noout -text -in FILE`, then send it to the authority",
    )
    .fact("key", key.uri().to_string());
    match &arguments.out {
        None => Ok(report.raw("csr", pem)),
        Some(path) => {
            replace(path, &pem)?;
            Ok(report.fact("file", path.display().to_string()))
        }
    }
}

pub(crate) fn root(module: Option<PathBuf>, arguments: &Root) -> Result<Report> {
    let path = &arguments.out;
    // Before the key is generated: a key without a certificate would be left in the token.
    let mut file = File::create_new(path).with_context(|| match path.symlink_metadata() {
        Ok(_) => format!("{} exists: a root is never overwritten, choose another file", path.display()),
        Err(_) => format!("cannot create {}: its folder must exist and be writable", path.display()),
    })?;
    let made = make_root(module, arguments, |pem| {
        let written = file.write_all(pem.as_bytes()).and_then(|()| file.sync_all());
        written.and_then(|()| sync_folder(path)).with_context(|| format!("cannot write {}", path.display()))
    });
    if made.is_err() {
        drop(file);
        fs::remove_file(path).with_context(|| format!("cannot remove the unfinished {}", path.display()))?;
    }
    let key = made?;
    let next = format!(
        "check it by `openssl x509 -noout -text -in {0}`, install it on the stations as CSMSRootCertificate, and issue the CSMS's own certificate by `hsm server-cert`",
        path.display()
    );
    Ok(Report::new(format!("The root \"{}\" is made.", arguments.common_name), next)
        .fact("key", key.uri().to_string())
        .fact("file", path.display().to_string())
        .fact("validity_days", arguments.validity_days))
}

/// The key, once `keep` has kept the certificate. Otherwise it is destroyed again: its label would be taken at the next
/// attempt, and nobody trusts it yet.
fn make_root(
    module: Option<PathBuf>,
    arguments: &Root,
    keep: impl FnOnce(&str) -> Result<()>,
) -> Result<Key> {
    let token = arguments.token.open(module)?;
    let mut subject = Subject::new(&arguments.common_name, &arguments.organization);
    subject.country = arguments.country.clone();
    let validity = Duration::from_secs(u64::from(arguments.validity_days) * 24 * 3600);
    let key = token.generate_key(&KeyName::random(arguments.label.as_str())?, KeyAlgorithm::EcdsaP256)?;
    let made = CertificateAuthority::create_root(&key, &subject, validity, SystemTime::now());
    match made.map_err(anyhow::Error::from).and_then(|pem| keep(&pem)) {
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

pub(crate) fn server(module: Option<PathBuf>, arguments: &ServerCert) -> Result<Report> {
    let mut name = ServerName::new(&arguments.name)?;
    for other in &arguments.dns_names {
        name = name.with_dns_name(other)?;
    }
    if arguments.common_name_only {
        name = name.common_name_only();
    }
    let validity = Duration::from_secs(u64::from(arguments.validity_hours) * 3600);
    let settings = CaSettings::new(&arguments.organization).server_validity(validity);
    let chain = fs::read_to_string(&arguments.ca_cert)
        .with_context(|| format!("cannot read {}", arguments.ca_cert.display()))?;

    let token = arguments.token.open(module)?;
    let authority = CertificateAuthority::new(by_label(&token, &arguments.ca_label)?, &chain, settings)?;
    let key = match by_label(&token, &arguments.label) {
        Err(KeyError::NotFound { .. }) => {
            token.generate_key(&KeyName::random(arguments.label.as_str())?, KeyAlgorithm::EcdsaP256)?
        }
        found => found?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let certificate = runtime.block_on(authority.issue_server_certificate(&name, key.public_key()))?;
    replace(&arguments.out, &certificate.chain_pem)?;

    let lifetime = certificate.not_after.duration_since(certificate.not_before).unwrap_or_default();
    let next = format!(
        "name the key's uri and {} in the configuration of ocpp-csms, and repeat this command before the {} hours are over",
        arguments.out.display(),
        arguments.validity_hours
    );
    let report = Report::new(format!("The certificate of the CSMS \"{}\" is issued.", name.fqdn()), next)
        .fact("key", key.uri().to_string())
        .fact("file", arguments.out.display().to_string())
        .fact("serial", certificate.serial);
    Ok(if lifetime < Duration::from_secs(24 * 3600) {
        report
    } else {
        report.warning("it lasts 24 hours or more, so stations should check its revocation (A00.FR.701)")
    })
}

fn by_label(token: &Token, label: &str) -> Result<Key, KeyError> {
    token.find_key(&Uri::new().with_object(label))
}

/// Writes beside the file, then renames: a reader sees the old text or the new one.
fn replace(path: &Path, text: &str) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        sync_folder(path)
    };
    write()
        .inspect_err(|_| {
            // Absent if it could not be made.
            let _ = fs::remove_file(&beside);
        })
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A new name is durable only when its folder is; elsewhere than on Unix a folder cannot be synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
