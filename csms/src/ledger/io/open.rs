//! Opens the ledger for the one service that uses it, and refuses a ledger that is older than its
//! marks.

use std::collections::BTreeSet;

use certificates::SerialNumber;
use signer_pkcs11::{AuditError, AuditEvent, ChainEnd, Token};
use tokio::task::spawn_blocking;

use crate::{
    config::Config,
    ledger::{
        LedgerBehind, LedgerError, ListOnDisk, Reached,
        io::{
            database::{
                failure::{Within as _, failed},
                ledger::Ledger,
                rows::meant,
                statement::Statement,
            },
            evidence::Evidence,
            folder::{FolderLock, tighten},
            marks::{Marks, Reach},
            record::entries::{self, lines},
            sqlite::paths::ledger_files,
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
) -> Result<(Ledger, FolderLock), ServerError> {
    let location = config.ledger.location(&config.directory);
    let (read_config, token) = (config.clone(), token.cloned());
    let read = move || {
        let lock = FolderLock::take(&read_config.directory)?;
        let location = read_config.ledger.location(&read_config.directory);
        let files = location.file().map(ledger_files).unwrap_or_default();
        tighten(&read_config.directory, &files)?;
        Ok::<_, ServerError>((lock, Evidence::read(&read_config, token.as_ref())?))
    };
    let (lock, evidence) = spawn_blocking(read).await??;
    let behind = |source| ServerError::Behind { ledger: location.to_string(), source };
    if location.file().is_some_and(|path| !path.exists()) {
        // An empty one would look like a first start the next time.
        check(&evidence, &Reached::default(), None).await?.map_err(behind)?;
    }
    let unusable = |source| ServerError::Unusable { ledger: location.to_string(), source };
    let ledger = Ledger::open(&location).await.map_err(unusable)?;
    let reached = ledger.read_reached(&evidence.lists).await.map_err(unusable)?;
    check(&evidence, &reached, Some(&ledger)).await?.map_err(behind)?;
    let mut mark = reached.mark;
    if evidence.marks.is_empty() && mark.entries > 0 {
        tracing::warn!(
            ledger = %location,
            entries = mark.entries,
            "the ledger has no high-water mark yet: whether it is the newest one cannot be known; it gets one now"
        );
    }
    let has_id = !mark.ledger.is_empty();
    if !has_id {
        mark.ledger = random_id()?;
    }
    let id = mark.ledger.clone();
    ledger.begin_at(mark, Marks::new(config.mark_file(), evidence.object));
    if !has_id {
        // A ledger of an earlier version may have certificates without an entry: they are counted
        // once.
        let unrecorded = ledger.verify(None).await.map_err(unusable)?.unrecorded;
        ledger.append_all(&[AuditEvent::Ledger { id, unrecorded }]).await?;
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
    ledger: Option<&Ledger>,
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

impl Ledger {
    /// How far the ledger has come, by its last entries and by indexes: the time does not depend on
    /// the length of the record. `lists` are those whose revocations are looked up.
    pub(crate) async fn read_reached(&self, lists: &[ListOnDisk]) -> Result<Reached, LedgerError> {
        let action = "read its record";
        let broken = |source: AuditError| LedgerError { action, source: Box::new(source) };
        let mut connection = self.pool.acquire().await.map_err(failed(action))?;
        let mut reached = Reached::default();
        let last = entries::last_entry(&mut connection).await?;
        let mut end: Option<ChainEnd> = None;
        let before = last.entries().saturating_sub(CHECKED_ENTRIES);
        lines(&mut connection, before, async |number, line| {
            match &mut end {
                Some(end) => drop(end.follow(&line).map_err(broken)?),
                // The entries before it are not there.
                None if number != before + 1 => return Err(broken(AuditError::Broken { line: before + 1 })),
                None => end = Some(ChainEnd::at(&line, number).map_err(broken)?.0),
            }
            Ok(())
        })
        .await?;
        let end = end.unwrap_or_default();
        (reached.mark.entries, reached.mark.head) = (end.entries(), end.head().to_string());
        let rows = sqlx::query(
            "SELECT number, line FROM record WHERE kind = 'crl-signing' AND number IN
                 (SELECT max(number) FROM record WHERE kind = 'crl-signing' GROUP BY issuer_key_id)
             UNION ALL SELECT number, line FROM record WHERE kind IN ('ledger', 'restored', 'passwords-accepted')
             ORDER BY number",
        )
        .fetch_all(&mut *connection)
        .within(action)
        .await?;
        for row in &rows {
            reached.add(&entries::entry(row)?.1);
        }
        let listed: BTreeSet<SerialNumber> =
            lists.iter().flat_map(|list| &list.revoked).map(|one| one.serial).collect();
        for serials in listed.into_iter().collect::<Vec<_>>().chunks(MAX_SERIALS_PER_STATEMENT) {
            let mut query = Statement::new(
                "SELECT DISTINCT serial FROM record WHERE kind = 'revoked' AND serial IN (VALUES ",
            );
            query.rows(serials, |row, serial| {
                row.bind(serial.to_string());
            });
            query.push(")");
            let found = query.query().fetch_all(&mut *connection).within(action).await?;
            for serial in found {
                let serial = meant(&serial, "serial", SerialNumber::from_hex).map_err(failed(action))?;
                reached.revoked.insert(serial);
            }
        }
        Ok(reached)
    }
}

/// The id of a new ledger.
pub(crate) fn random_id() -> Result<String, ServerError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| ServerError::Random)?;
    Ok(hex::encode(bytes))
}

/// The last entries, which are checked at the start; `ocpp-csms audit verify` checks all.
const CHECKED_ENTRIES: u64 = 1000;

/// SQLite takes 32,766 values in a statement.
const MAX_SERIALS_PER_STATEMENT: usize = 1000;
