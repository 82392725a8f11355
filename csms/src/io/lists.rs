//! The lists of revoked certificates: files that the authority signs anew before their time is over.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use signer_pkcs11::{AuditIndex, CertificateAuthority, Crl, IssueError};
use tokio::task::spawn_blocking;
use x509_cert::{crl::CertificateList, der::Decode as _};

use crate::{
    config::Config,
    control::SignedList,
    io::{files, server_error::ServerError, upkeep::When},
};

/// The list of one issuer.
#[derive(Debug)]
pub(crate) struct ListFile {
    issuer_key_id: String,
    /// DER; PEM is beside it.
    path: PathBuf,
    /// The issuer's certificate does not allow it to sign lists; who has heard of it once is not told again.
    not_allowed: AtomicBool,
}

impl ListFile {
    /// The files of an authority's issuers, in their order.
    pub(crate) fn of(authority: &CertificateAuthority, config: &Config) -> Vec<Self> {
        let mut lists: Vec<Self> = Vec::new();
        for (issuer_key_id, path) in authority.issuer_key_ids().into_iter().zip(config.ca.crl_files()) {
            // One key may issue for two hierarchies.
            if lists.iter().any(|list| list.issuer_key_id == issuer_key_id) {
                continue;
            }
            let default = || config.directory.join("crl").join(format!("{issuer_key_id}.crl"));
            let path = path.map_or_else(default, Path::to_path_buf);
            lists.push(Self { issuer_key_id, path, not_allowed: AtomicBool::default() });
        }
        lists
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Signs the list, now or where it is due, and returns what was signed. `unserved` is set before it is written.
    pub(crate) async fn sign(
        &self,
        authority: &CertificateAuthority,
        index: &AuditIndex,
        config: &Config,
        when: When,
        unserved: &AtomicBool,
    ) -> Result<Option<SignedList>, ServerError> {
        let now = SystemTime::now();
        let due = match when {
            When::Now => true,
            When::Due => self.due(index).await.is_none_or(|due| due <= now),
        };
        if !due || (when == When::Due && self.not_allowed.load(Ordering::Relaxed)) {
            return Ok(None);
        }
        let (url, lifetime) = (config.ca.crl_url.as_deref(), config.ca.list_lifetime());
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

    /// When the next list has to be signed; `None`: at once, for there is none, or it lacks somebody.
    pub(crate) async fn due(&self, index: &AuditIndex) -> Option<SystemTime> {
        if self.not_allowed.load(Ordering::Relaxed) {
            return Some(SystemTime::now() + NOT_ALLOWED_PAUSE);
        }
        let path = self.path.clone();
        let bytes = spawn_blocking(move || fs::read(path)).await.ok()?.ok()?;
        let list = <CertificateList>::from_der(&bytes).ok()?.tbs_cert_list;
        let entries = list.revoked_certificates.iter().flatten();
        let listed: BTreeSet<_> = entries.map(|entry| digits(entry.serial_number.as_bytes())).collect();
        let revoked = index.revoked_by(&self.issuer_key_id);
        if !revoked.iter().all(|one| listed.contains(one.serial.trim_start_matches('0'))) {
            return None;
        }
        let from = list.this_update.to_system_time();
        let until = list.next_update?.to_system_time();
        Some(from + until.duration_since(from).ok()? * 2 / 3)
    }

    fn signed(&self, list: &Crl) -> SignedList {
        let next_update = list.next_update.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        SignedList {
            file: self.path.display().to_string(),
            number: list.number,
            revoked: list.revoked as u64,
            next_update: next_update.as_secs(),
            pem: list.pem.clone(),
        }
    }
}

fn write(path: &Path, list: &Crl) -> Result<(), ServerError> {
    if let Some(folder) = path.parent() {
        let failed = |source| ServerError::File { path: folder.to_path_buf(), source };
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut pem = path.as_os_str().to_owned();
    pem.push(".pem");
    files::replace(Path::new(&pem), list.pem.as_bytes())?;
    files::replace(path, &list.der)
}

/// As records write serial numbers.
fn digits(bytes: &[u8]) -> String {
    hex::encode(bytes).trim_start_matches('0').to_owned()
}

/// Before an issuer that may not sign lists is looked at again: its certificate changes with a new start only.
const NOT_ALLOWED_PAUSE: Duration = Duration::from_secs(60 * 60);
