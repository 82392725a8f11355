//! Replaces the ledger with a backup, while no service runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
};

use certificates::{SerialNumber, StationIdentity};
use signer_pkcs11::{AuditEvent, Intent};
use tokio::task::spawn_blocking;

use crate::{
    config::{Config, LedgerLocation},
    ledger::{
        LedgerError, ListOnDisk, Mark,
        io::{
            database::{
                failure::{Within as _, failed},
                ledger::Ledger,
            },
            evidence::Evidence,
            folder::FolderLock,
            loss::Loss,
            marks,
            open::random_id,
            record::entries,
            sqlite::paths::{ledger_files, remove_files},
            verify::LedgerReport,
        },
    },
    service::io::{clock::unix_now, server_error::ServerError},
    signing::io::token::open_token,
};

/// The backup that replaces the ledger, and the losses that the operator accepts.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Restoration {
    /// The backup; `None`: start with an empty ledger, because there is no backup.
    pub backup: Option<PathBuf>,
    /// Replace the ledger although promises are lost.
    pub accept_loss: bool,
    /// Accept the passwords of stations for which the backup records no use of a certificate,
    /// although the lost entries may record one.
    pub keep_passwords: bool,
}

impl Restoration {
    /// Replaces the ledger with `backup`.
    pub fn new(backup: Option<PathBuf>) -> Self {
        Self { backup, ..Self::default() }
    }

    /// Replaces the ledger of this configuration. The whole backup is verified first. Returns what
    /// was lost.
    ///
    /// # Errors
    /// [`ServerError::Loss`] if a loss was not accepted, and other errors if the ledger cannot be
    /// replaced. After an error the ledger is unchanged.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the new ledger beside the old one, or the old one set aside.
    /// Run it again in this case.
    pub async fn run(&self, config: &Config) -> Result<Loss, ServerError> {
        let read_config = config.clone();
        let read = move || {
            let token = open_token(&read_config)?;
            let lock = FolderLock::take(&read_config.directory)?;
            Ok::<_, ServerError>((lock, Evidence::read(&read_config, token.as_ref())?))
        };
        let (_lock, evidence) = spawn_blocking(read).await??;
        let location = config.ledger.location(&config.directory);
        let Some(path) = location.file().map(Path::to_path_buf) else {
            return Err(ServerError::NoLedgerFile);
        };
        let new = path.with_extension("sqlite.restoring");
        remove_files(&new);
        let made = self.make(&path, &new, &evidence).await;
        let mut loss = match made {
            Ok(loss) => loss,
            Err(error) => {
                remove_files(&new);
                return Err(error);
            }
        };
        let mark = read_mark(&new).await?;
        let mark_file = config.mark_file();
        let replace = move || {
            let set_aside = replace(&path, &new)?;
            marks::overwrite(&mark_file, evidence.object.as_ref(), &mark)?;
            Ok::<_, ServerError>(set_aside)
        };
        loss.set_aside = spawn_blocking(replace).await??;
        Ok(loss)
    }

    /// Creates the new ledger beside the present one.
    async fn make(&self, path: &Path, new: &Path, evidence: &Evidence) -> Result<Loss, ServerError> {
        if let Some(backup) = &self.backup {
            let unusable = |source| ServerError::Unusable { ledger: backup.display().to_string(), source };
            if !backup.is_file() {
                let source = std::io::ErrorKind::NotFound.into();
                return Err(ServerError::File { path: backup.clone(), source });
            }
            let backup =
                Ledger::open_to_read(&LedgerLocation::File(backup.clone())).await.map_err(unusable)?;
            let report = backup.verify(None).await.map_err(unusable)?;
            if let Some(finding) = report.findings.first() {
                let reason = finding.to_string();
                return Err(unusable(LedgerError { action: "verify itself", source: reason.into() }));
            }
            backup.copy(new).await?;
        }
        let ledger = Ledger::open_file(new).await?;
        let report = ledger.verify(None).await?;
        let loss = loss(path, &ledger, &report, evidence).await?;
        if loss.is_some() {
            if !self.accept_loss {
                return Err(ServerError::Loss(Box::new(loss)));
            }
            self.accept(&ledger, &report, &loss).await?;
        }
        ledger.close_file().await?;
        Ok(loss)
    }

    /// Puts on record what is lost, and that it was accepted.
    async fn accept(&self, ledger: &Ledger, report: &LedgerReport, loss: &Loss) -> Result<(), ServerError> {
        let mut events = Vec::new();
        if report.reached.mark.ledger.is_empty() {
            events.push(AuditEvent::Ledger { id: random_id()?, unrecorded: report.unrecorded });
        }
        events.push(AuditEvent::Restored {
            lost: loss.lost,
            lost_head: loss.lost_head.clone(),
            lists: loss.lists.clone(),
            keep_passwords: self.keep_passwords,
        });
        events.extend(loss.events.iter().cloned());
        let recorded = ledger.change("record what is lost", events, |events, change| {
            Box::pin(async move {
                for event in events {
                    change.append(event)?;
                }
                // What an operator has said of single stations was before the loss.
                sqlx::query("UPDATE station_state SET trusted = 0")
                    .execute(change.connection().await?)
                    .within("record what is lost")
                    .await
                    .map(drop)
            })
        });
        Ok(recorded.await?)
    }
}

/// Determines what is known beyond the entries of the new ledger.
async fn loss(
    present: &Path,
    new: &Ledger,
    report: &LedgerReport,
    evidence: &Evidence,
) -> Result<Loss, ServerError> {
    let mut loss = Loss { entries: report.entries, ..Loss::default() };
    for (mark, _) in &evidence.marks {
        if mark.entries > 0 && new.entry_hash(mark.entries).await?.as_ref() != Some(&mark.head) {
            loss.add_lost(mark.entries, &mark.head);
        }
    }
    let mut revoked: Vec<_> = evidence.lists.iter().flat_map(revocations).collect();
    let mut numbers: Vec<_> =
        evidence.list_numbers().map(|(issuer, number)| (issuer.to_owned(), number)).collect();
    if let Some((tail, theirs)) = read_present(present, new, report).await {
        loss.certificates = Some(tail.certificates);
        if let Some((entries, head)) = tail.lost {
            loss.add_lost(entries, &head);
        }
        numbers.extend(theirs.reached.mark.lists);
        revoked.extend(tail.revoked);
    } else if loss.lost == 0 {
        loss.certificates = Some(Vec::new());
    }
    for (issuer, number) in numbers {
        if number > report.reached.mark.lists.get(&issuer).copied().unwrap_or(0) {
            let known = loss.lists.entry(issuer).or_default();
            *known = (*known).max(number);
        }
    }
    let mut known = report.reached.revoked.clone();
    for event in revoked {
        if let AuditEvent::Revoked { serial, .. } = &event
            && known.insert(*serial)
        {
            loss.revocations.push(*serial);
            loss.events.push(event);
        }
    }
    Ok(loss)
}

fn revocations(list: &ListOnDisk) -> impl Iterator<Item = AuditEvent> {
    list.revoked.iter().map(|one| AuditEvent::Revoked { serial: one.serial, at: one.at, reason: one.reason })
}

/// What the replaced ledger has and the new one lacks.
#[derive(Default)]
struct Tail {
    /// Its last entry, if the new ledger does not have it.
    lost: Option<(u64, String)>,
    certificates: Vec<(Option<SerialNumber>, StationIdentity)>,
    revoked: Vec<AuditEvent>,
}

/// Reads the ledger that is replaced; `None`: it is not there, or not whole.
async fn read_present(path: &Path, new: &Ledger, report: &LedgerReport) -> Option<(Tail, LedgerReport)> {
    if !path.is_file() {
        return None;
    }
    let present = Ledger::open_to_read(&LedgerLocation::File(path.to_path_buf())).await.ok()?;
    let theirs = present.verify(None).await.ok()?;
    let head = theirs.head.to_string();
    if theirs.entries == 0 || new.entry_hash(theirs.entries).await.ok()?.as_ref() == Some(&head) {
        return Some((Tail::default(), theirs));
    }
    // Up to the end of the new ledger both may be the same. Another ledger is lost as a whole.
    let same = present.entry_hash(report.entries).await.ok()? == Some(report.head.to_string());
    let first = if same { report.entries } else { 0 };
    let mut tail = Tail { lost: Some((theirs.entries, head)), ..Tail::default() };
    let (mut announced, mut signed) = (BTreeMap::<u64, Intent>::new(), BTreeSet::new());
    let rows = sqlx::query("SELECT number, line FROM record WHERE number > $1 ORDER BY number")
        .bind(i64::try_from(first).unwrap_or(i64::MAX))
        .fetch_all(&present.pool)
        .await
        .ok()?;
    for row in rows {
        let (end, event) = entries::entry(&row).ok()?;
        match event {
            AuditEvent::Signing(intent) => drop(announced.insert(end.entries(), intent)),
            AuditEvent::Signed { entry, .. } => drop(signed.insert(entry)),
            event @ AuditEvent::Revoked { .. } => tail.revoked.push(event),
            _ => {}
        }
    }
    // A certificate that was announced before the backup and signed after it.
    for entry in signed.iter().filter(|entry| **entry <= first) {
        if let Ok(Some(AuditEvent::Signing(intent))) = present.entry(*entry).await {
            announced.insert(*entry, intent);
        }
    }
    // The CSMS's own certificates, and those of sub-authorities, belong to no station.
    let certificates = announced.into_iter().filter(|(entry, _)| signed.contains(entry));
    let certificates = certificates.filter_map(|(_, intent)| Some((intent.serial, intent.station?)));
    tail.certificates = certificates.collect();
    Some((tail, theirs))
}

/// The mark of the new ledger.
async fn read_mark(path: &Path) -> Result<Mark, ServerError> {
    let ledger = Ledger::open_to_read(&LedgerLocation::File(path.to_path_buf())).await?;
    let report = ledger.verify(None).await?;
    ledger.close().await;
    Ok(report.reached.mark)
}

/// Moves the present ledger aside and the new one into its place, durably. Blocks.
fn replace(path: &Path, new: &Path) -> Result<Option<PathBuf>, ServerError> {
    let failed = |source| ServerError::File { path: path.to_path_buf(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut aside = path.as_os_str().to_owned();
    // Writing to a string does not fail.
    let _ = write!(aside, ".before-{}", unix_now().as_i64());
    let aside = PathBuf::from(aside);
    let mut set_aside = None;
    for (from, to) in ledger_files(path).into_iter().zip(ledger_files(&aside)) {
        match fs::rename(&from, &to) {
            Ok(()) => drop(set_aside.get_or_insert_with(|| aside.clone())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    fs::rename(new, path).and_then(|()| File::open(folder)?.sync_all()).map_err(failed)?;
    Ok(set_aside)
}

impl Ledger {
    /// Brings everything into the one file, durably, and closes it.
    async fn close_file(self) -> Result<(), LedgerError> {
        let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.pool).await;
        self.close().await;
        checkpoint.map_err(failed("close")).map(drop)
    }
}
