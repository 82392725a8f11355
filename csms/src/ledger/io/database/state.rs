//! What is known of an open ledger: how far it has come, and whether it can be written.

use std::sync::{Mutex, OnceLock, PoisonError, atomic::AtomicBool};

use metrics::gauge;
use signer_pkcs11::ChainEnd;

use crate::{
    ledger::{
        Finding, LedgerError, Mark,
        io::{
            database::connect::Kind,
            marks::Marks,
            sqlite::guard::{Guard, LedgerLost},
        },
    },
    service::io::metrics as names,
};

/// What the clones of a ledger and its writer share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) kind: Kind,
    /// Of a SQLite file that is written.
    pub(crate) guard: Option<Guard>,
    /// The database went back to an earlier state.
    pub(crate) went_back: OnceLock<LedgerLost>,
    /// What is durable.
    pub(crate) reached: Mutex<Mark>,
    /// Where it is kept apart from the ledger; missing where the ledger is opened by a library or a
    /// test.
    pub(crate) marks: OnceLock<Marks>,
    /// Whether stations that are not known to have used a certificate may have done so all the
    /// same: entries were lost.
    pub(crate) distrusts_passwords: AtomicBool,
    /// Certificates that are not what was signed, as far as this process has noticed.
    pub(crate) findings: Mutex<Vec<Finding>>,
    /// What the last change was for, if it was not completed.
    pub(crate) incomplete: Mutex<Option<&'static str>>,
    /// The copy that is read instead of a ledger on read-only media.
    pub(crate) _copy: Option<tempfile::TempDir>,
}

impl State {
    pub(crate) fn new(kind: Kind, guard: Option<Guard>, copy: Option<tempfile::TempDir>) -> Self {
        Self {
            kind,
            guard,
            went_back: OnceLock::new(),
            reached: Mutex::default(),
            marks: OnceLock::new(),
            distrusts_passwords: AtomicBool::default(),
            findings: Mutex::default(),
            incomplete: Mutex::default(),
            _copy: copy,
        }
    }

    /// How far the ledger has come.
    pub(crate) fn reached(&self) -> Mark {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what is durable.
    pub(crate) fn note(&self, end: ChainEnd, lists: &[(String, u64)]) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        if end.entries() > reached.entries {
            reached.entries = end.entries();
            reached.head = end.head().to_string();
        }
        for (issuer, number) in lists {
            let known = reached.lists.entry(issuer.clone()).or_default();
            *known = (*known).max(*number);
        }
    }

    /// Notes how the last change ended: `None` if it was completed, otherwise what it was for.
    pub(crate) fn note_change(&self, incomplete: Option<&'static str>) {
        *self.incomplete.lock().unwrap_or_else(PoisonError::into_inner) = incomplete;
        gauge!(names::LEDGER_WRITABLE).set(if incomplete.is_none() { 1 } else { 0 });
    }

    /// Checks that the database has not gone back, and that the files of SQLite are in their place;
    /// an error is final.
    pub(crate) fn check_files(&self) -> Result<(), LedgerLost> {
        if let Some(lost) = self.went_back.get() {
            return Err(lost.clone());
        }
        self.guard.as_ref().map_or(Ok(()), Guard::check)
    }

    /// The record is not the one that was written: the ledger is lost.
    pub(crate) fn lost(&self, action: &'static str, lost: LedgerLost) -> LedgerError {
        let lost = self.went_back.get_or_init(|| lost);
        LedgerError { action, source: Box::new(lost.clone()) }
    }

    /// Refuses a change once the ledger is lost: nothing would last.
    pub(crate) fn check(&self, action: &'static str) -> Result<(), LedgerError> {
        self.check_files().map_err(|lost| LedgerError { action, source: Box::new(lost) })
    }
}
