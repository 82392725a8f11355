//! Records and revocations: `revoke`, `crl`, `audit verify`.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use certificates::UnixSeconds;
use signer_pkcs11::{AuditChain, AuditEvent};

use crate::{
    arguments::{AuditVerify, Crl, Revoke},
    certificates::{open_authority, runtime},
    clock, files,
    output::Report,
};

pub(crate) fn revoke(arguments: &Revoke) -> Result<Report> {
    let record = arguments.record.open()?;
    let now = clock::now()?;
    let chain = record.chain();
    let serials = match (&arguments.serial, &arguments.station) {
        (Some(serial), _) => {
            let serial = *serial;
            let known = chain.index().signed().any(|intent| intent.serial == Some(serial));
            if !known {
                bail!(
                    "no certificate on record has the serial number {serial}: check it with `openssl x509 -serial`"
                );
            }
            vec![serial]
        }
        (None, Some(station)) => {
            let valid = chain.index().valid_of_station(station, now);
            valid.into_iter().filter_map(|intent| intent.serial).collect()
        }
        (None, None) => bail!("give --serial or --station"),
    };
    let at = UnixSeconds::from(now);
    for serial in &serials {
        let reason = arguments.reason;
        record.append_blocking(&AuditEvent::Revoked { serial: *serial, at, reason })?;
    }
    let sentence = match serials.len() {
        0 => "There is no valid certificate to revoke.".to_owned(),
        1 => "1 certificate is revoked.".to_owned(),
        count => format!("{count} certificates are revoked."),
    };
    Ok(Report::new(sentence, "sign and publish the list: hsm crl")
        .fact("serials", serials.iter().map(ToString::to_string).collect::<Vec<_>>())
        .fact("reason", arguments.reason.as_str())
        .head(Some(&record)))
}

pub(crate) fn crl(module: Option<PathBuf>, arguments: &Crl) -> Result<Report> {
    clock::now()?;
    files::check_room(&arguments.out)?;
    let record = arguments.record.open()?;
    let token = arguments.token.open(module)?;
    // Only lists are signed here, so the organization of certificates does not matter.
    let authority = open_authority(&token, &arguments.authority, "-", Some(&record))?;
    let lifetime = Duration::from_secs(u64::from(arguments.validity_hours) * 3600);
    let chain = record.chain();
    let lists =
        runtime()?.block_on(authority.issue_crls(chain.index(), arguments.url.as_deref(), lifetime))?;
    let list = lists.first().context("the authority has no issuer")?;
    let bytes = if arguments.der { &list.der[..] } else { list.pem.as_bytes() };
    files::replace(&arguments.out, bytes)?;
    let next = format!(
        "publish {}, and sign the next list within {} hours",
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
        .warn_of_readable_pin(&arguments.token))
}

pub(crate) fn verify(arguments: &AuditVerify) -> Result<Report> {
    let path = arguments.record.path();
    let text = program::read_text(path).with_context(|| format!("cannot read {}", path.display()))?;
    let chain = match arguments.head {
        Some(head) => AuditChain::read_with(&text, head)?,
        None => AuditChain::read(&text)?,
    };
    let index = chain.index();
    let report = Report::new(
        format!("The record is complete: {} entries, none changed, none removed.", chain.entries()),
        "keep the head elsewhere, and pass it as --head the next time: only that proves that no entry was removed at the end",
    )
    .fact("head", chain.head().to_string())
    .fact("certificates", index.signed().count())
    .fact("revoked", index.revoked().len());
    Ok(match index.unfinished() {
        0 => report,
        count => report.warning(format!(
            "the outcome of {count} certificates is unknown: the machine stopped before it was recorded"
        )),
    })
}
