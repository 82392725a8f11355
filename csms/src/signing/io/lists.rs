//! The lists of revoked certificates. The authority signs them again before they expire.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use certificates::RevocationList;
use program::Readers;
use signer_pkcs11::{AuditIndex, CertificateAuthority, Crl, IssueError};
use tokio::task::spawn_blocking;

use crate::{
    config::Config,
    service::{clock::renewal_due, control::SignedList, io::server_error::ServerError},
    signing::serving::{Times, When},
};

/// The list of one issuer.
#[derive(Debug)]
pub(crate) struct ListFile {
    issuer_key_id: String,
    /// The file in DER; the same list in PEM is beside it.
    path: PathBuf,
    /// How far thisUpdate lies in the past.
    backdate: Duration,
    /// The issuer's certificate does not allow it to sign lists. This is logged once.
    not_allowed: AtomicBool,
}

impl ListFile {
    /// The lists of an authority's issuers, in their order.
    pub(crate) fn of(authority: &CertificateAuthority, config: &Config) -> Vec<Self> {
        let mut lists: Vec<Self> = Vec::new();
        for (issuer_key_id, path) in authority.issuer_key_ids().into_iter().zip(config.ca.crl_files()) {
            // One key may sign for two hierarchies.
            if lists.iter().any(|list| list.issuer_key_id == issuer_key_id) {
                continue;
            }
            let default = || config.directory.join("crl").join(format!("{issuer_key_id}.crl"));
            let path = path.map_or_else(default, Path::to_path_buf);
            let backdate = authority.settings().backdate;
            lists.push(Self { issuer_key_id, path, backdate, not_allowed: AtomicBool::default() });
        }
        lists
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Signs the list, now or if it is due, and returns it. `unserved` is set before the file is
    /// written.
    pub(crate) async fn sign(
        &self,
        authority: &CertificateAuthority,
        index: &AuditIndex,
        config: &Config,
        when: When,
        times: Times,
        unserved: &AtomicBool,
    ) -> Result<Option<SignedList>, ServerError> {
        let (url, lifetime) = (config.ca.crl_url.as_deref(), config.ca.crl_validity);
        let due = match when {
            When::Now => true,
            When::Due => self.due_in(index, times, lifetime).await.is_zero(),
        };
        if !due || (when == When::Due && self.not_allowed.load(Ordering::Relaxed)) {
            return Ok(None);
        }
        let (path, revoked) = (self.path.clone(), index.revoked_by(&self.issuer_key_id).len());
        spawn_blocking(move || check_room(&path, revoked)).await??;
        let signed = authority.issue_crl(&self.issuer_key_id, index, url, lifetime).await;
        let list = signed.map_err(|source| {
            let not_allowed = matches!(source, IssueError::NoCrlSign);
            self.not_allowed.store(not_allowed, Ordering::Relaxed);
            ServerError::Sign { what: format!("the list {}", self.path.display()), source }
        })?;
        let signed = self.signed(&list);
        let path = self.path.clone();
        unserved.store(true, Ordering::Release);
        spawn_blocking(move || write(&path, &list)).await??;
        tracing::info!(
            number = signed.number,
            revoked = signed.revoked,
            file = signed.file,
            "signed a list of revoked certificates"
        );
        Ok(Some(signed))
    }

    /// The time until the next list has to be signed. It is zero if there is no list, if the list
    /// lacks a revoked certificate, or if it was signed at a wrong time.
    pub(crate) async fn due_in(&self, index: &AuditIndex, times: Times, lifetime: Duration) -> Duration {
        if self.not_allowed.load(Ordering::Relaxed) {
            return NOT_ALLOWED_PAUSE;
        }
        self.renewal_in(index, times, lifetime).await.unwrap_or_default()
    }

    async fn renewal_in(&self, index: &AuditIndex, times: Times, lifetime: Duration) -> Option<Duration> {
        let path = self.path.clone();
        let bytes = spawn_blocking(move || fs::read(path)).await.ok()?.ok()?;
        let list = RevocationList::from_der(bytes).ok()?;
        let revoked = index.revoked_by(&self.issuer_key_id);
        if !revoked.iter().all(|one| list.names(one.serial)) {
            return None;
        }
        let (from, until) = (list.this_update().to_system_time(), list.next_update()?.to_system_time());
        let present = times.present;
        // A list from a clock that was ahead is refused by verifiers. A list that is valid for
        // longer than its lifetime was signed while the clock was in doubt; it is replaced after
        // the doubt is over.
        if from > present.earliest || until <= present.latest || until > present.latest + lifetime {
            return None;
        }
        renewal_due(from, until, self.backdate).duration_since(present.earliest).ok()
    }

    fn signed(&self, list: &Crl) -> SignedList {
        SignedList {
            file: self.path.display().to_string(),
            number: list.number,
            revoked: list.revoked as u64,
            next_update: list.next_update.into(),
            pem: list.pem.clone(),
        }
    }
}

/// Checks that a list of `revoked` certificates can be written, before it is signed. Each signature
/// adds an entry to the record.
fn check_room(path: &Path, revoked: usize) -> Result<(), ServerError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(ServerError::file(folder))?;
    }
    program::check_room(path, LIST_BYTES + revoked * ENTRY_BYTES).map_err(ServerError::file(path))
}

fn write(path: &Path, list: &Crl) -> Result<(), ServerError> {
    let mut pem = path.as_os_str().to_owned();
    pem.push(".pem");
    for (path, bytes) in [(Path::new(&pem), list.pem.as_bytes()), (path, &list.der)] {
        program::replace(path, bytes, Readers::Everybody).map_err(ServerError::file(path))?;
    }
    Ok(())
}

/// A list without entries takes about 500 bytes in DER and 700 in PEM, an entry at most 50 and 70.
const LIST_BYTES: usize = 4096;
const ENTRY_BYTES: usize = 128;

/// The pause for an issuer that may not sign lists. Its certificate changes only with a restart.
const NOT_ALLOWED_PAUSE: Duration = Duration::from_secs(60 * 60);
