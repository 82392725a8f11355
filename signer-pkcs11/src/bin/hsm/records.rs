//! Records and revocations: `revoke`, `crl`, `audit verify`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use signer_pkcs11::{AuditChain, AuditEvent, FileRecord};

use crate::{
    arguments::{AuditVerify, Crl, Revoke},
    certificates::{open_authority, runtime},
    files,
    output::Report,
};

/// A record that is there. Others are made when they are opened, and a wrong name would show an empty one.
fn existing(path: &Path) -> Result<FileRecord> {
    if !path.try_exists().is_ok_and(|exists| exists) {
        bail!(
            "there is no record {}: name the one that was given when the certificates were issued",
            path.display()
        );
    }
    Ok(FileRecord::open(path)?)
}

pub(crate) fn revoke(arguments: &Revoke) -> Result<Report> {
    let record = existing(&arguments.record)?;
    let now = SystemTime::now();
    let chain = record.chain();
    let serials = match (&arguments.serial, &arguments.station) {
        (Some(serial), _) => {
            let serial = serial.replace(':', "").to_lowercase();
            let known = chain.index().signed().any(|intent| intent.serial == serial);
            if !known {
                bail!(
                    "no certificate on record has the serial number {serial}: `openssl x509 -serial` shows a certificate's"
                );
            }
            vec![serial]
        }
        (None, Some(station)) => {
            let valid = chain.index().valid_of_station(station, now);
            valid.into_iter().map(|intent| intent.serial.clone()).collect()
        }
        (None, None) => bail!("give --serial or --station"),
    };
    let at = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    for serial in &serials {
        let reason = arguments.reason;
        record.append_blocking(&AuditEvent::Revoked { serial: serial.clone(), at, reason })?;
    }
    let sentence = match serials.len() {
        0 => "There is no valid certificate to revoke.".to_owned(),
        1 => "1 certificate is revoked.".to_owned(),
        count => format!("{count} certificates are revoked."),
    };
    Ok(Report::new(sentence, "sign and publish the list: hsm crl")
        .fact("serials", serials)
        .fact("reason", arguments.reason.as_str())
        .head(Some(&record)))
}

pub(crate) fn crl(module: Option<PathBuf>, arguments: &Crl) -> Result<Report> {
    let record = existing(&arguments.record)?;
    let token = arguments.token.open(module)?;
    // Nothing but lists is signed here, so the organization of certificates does not matter.
    let authority = open_authority(&token, &arguments.authority, "-", Some(&record))?;
    let lifetime = Duration::from_secs(u64::from(arguments.validity_hours) * 3600);
    let chain = record.chain();
    let lists =
        runtime()?.block_on(authority.issue_crls(chain.index(), arguments.url.as_deref(), lifetime))?;
    let list = lists.first().context("the authority has no issuer")?;
    let bytes = if arguments.der { &list.der[..] } else { list.pem.as_bytes() };
    files::replace(&arguments.out, bytes)?;
    let next = format!(
        "publish {}, and sign the next list before {} hours are over",
        arguments.out.display(),
        arguments.validity_hours
    );
    let sentence = match list.revoked {
        0 => "The list is signed. It names no certificate.".to_owned(),
        1 => "The list is signed. It names 1 revoked certificate.".to_owned(),
        count => format!("The list is signed. It names {count} revoked certificates."),
    };
    Ok(Report::new(sentence, next)
        .fact("number", list.number)
        .fact("revoked", list.revoked)
        .fact("file", arguments.out.display().to_string())
        .head(Some(&record))
        .careless(&arguments.token))
}

pub(crate) fn verify(arguments: &AuditVerify) -> Result<Report> {
    let path = &arguments.record;
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let chain = match arguments.head {
        Some(head) => AuditChain::read_with(&text, head)?,
        None => AuditChain::read(&text)?,
    };
    let index = chain.index();
    let report = Report::new(
        format!("The record is whole: {} entries, none changed, none removed.", chain.entries()),
        "keep the head elsewhere, and give it as --head the next time: only it shows that the end was not taken away",
    )
    .fact("head", chain.head().to_string())
    .fact("certificates", index.signed().count())
    .fact("revoked", index.revoked().len());
    Ok(match index.unfinished() {
        0 => report,
        count => report.warning(format!(
            "of {count} certificates it is not known whether they were signed: the machine stopped in between"
        )),
    })
}
