//! Opens the ledger for the one service that uses it, and refuses a ledger that is older than its
//! marks.

use signer_pkcs11::{AuditEvent, Token};
use tokio::task::spawn_blocking;

use crate::{
    config::Config,
    ledger::{
        LedgerBehind, LedgerError, Reached,
        io::{
            evidence::Evidence,
            folder::{FolderLock, tighten},
            marks::{Marks, Reach},
            sqlite::{
                database::{MAX_FINDINGS, SqliteLedger},
                paths::ledger_files,
            },
            verify::Depth,
        },
    },
    service::io::server_error::ServerError,
};

/// Opens the ledger of a service, and compares it with the evidence that is kept apart from it: the
/// marks in the file and in the token, and the lists of revoked certificates on disk. The folder
/// has to exist.
///
/// # Errors
/// [`ServerError::InUse`] if another process uses the ledger, [`ServerError::Behind`] if it is
/// older than the evidence, and other errors if it cannot be opened. After an error nothing has
/// changed.
pub(crate) async fn open(
    config: &Config,
    token: Option<&Token>,
) -> Result<(SqliteLedger, FolderLock), ServerError> {
    let path = config.ledger_file();
    let (read_config, token) = (config.clone(), token.cloned());
    let read = move || {
        let lock = FolderLock::take(&read_config.directory)?;
        tighten(&read_config.directory, &ledger_files(&read_config.ledger_file()))?;
        Ok::<_, ServerError>((lock, Evidence::read(&read_config, token.as_ref())?))
    };
    let (lock, evidence) = spawn_blocking(read).await??;
    let behind = |source| ServerError::Behind { path: path.clone(), source };
    if !path.exists() {
        // An empty ledger would look like a first start at the next start.
        check(&evidence, &Reached::default(), None).await?.map_err(behind)?;
    }
    let unusable = |source| ServerError::Unusable { path: path.clone(), source };
    let ledger = SqliteLedger::open(&path).await.map_err(unusable)?;
    let report = ledger.verify_to(Depth::Content, None).await.map_err(unusable)?;
    check(&evidence, &report.reached, Some(&ledger)).await?.map_err(behind)?;
    if evidence.marks.is_empty() && report.entries > 0 {
        tracing::warn!(
            ledger = %path.display(),
            entries = report.entries,
            "the ledger has no high-water mark yet: whether it is the newest one cannot be known; it gets one now"
        );
    }
    for finding in report.findings.iter().take(MAX_FINDINGS) {
        tracing::error!(%finding, "a certificate in the ledger is not what was signed");
    }
    if report.findings.len() > MAX_FINDINGS {
        tracing::error!(
            certificates = report.findings.len(),
            "more certificates in the ledger are not what was signed: `ocpp-csms audit verify` lists them"
        );
    }
    metrics::gauge!("csms_ledger_findings").set(report.findings.len() as f64);
    report.findings.iter().for_each(|finding| ledger.find(finding.clone()));
    let mut mark = report.reached.mark;
    let has_id = !mark.ledger.is_empty();
    if !has_id {
        mark.ledger = random_id()?;
    }
    let id = mark.ledger.clone();
    ledger.begin_at(mark, Marks::new(config.mark_file(), evidence.object));
    if !has_id {
        ledger.append_all(&[AuditEvent::Ledger { id, unrecorded: report.unrecorded }]).await?;
    }
    match ledger.advance_marks(Reach::Everywhere).await {
        // On a full disk the former mark is still valid, and stations are served. A revocation or a
        // list needs a higher mark. It is not confirmed until the mark can be advanced.
        Err(_) if !evidence.marks.is_empty() => {}
        advanced => advanced?,
    }
    Ok((ledger, lock))
}

/// Compares a ledger with the evidence that is kept apart from it. `ledger` is `None` if there is
/// no ledger.
async fn check(
    evidence: &Evidence,
    reached: &Reached,
    ledger: Option<&SqliteLedger>,
) -> Result<Result<(), LedgerBehind>, LedgerError> {
    for (mark, place) in &evidence.marks {
        let there = match ledger {
            Some(ledger) => ledger.entry_hash(mark.entries).await?,
            None => None,
        };
        if let Err(behind) = reached.check_mark(mark, place, there.as_deref()) {
            return Ok(Err(behind));
        }
    }
    Ok(evidence.lists.iter().try_for_each(|list| reached.check_list(list)))
}

/// The id of a new ledger.
pub(crate) fn random_id() -> Result<String, ServerError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| ServerError::Random)?;
    Ok(hex::encode(bytes))
}
