//! How far the ledger has come, and whether it can be written.

use std::{
    convert::Infallible,
    sync::PoisonError,
    time::{Duration, Instant},
};

use metrics::gauge;
use program::causes;
use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    ledger::{
        Finding, Mark,
        io::{
            database::ledger::Ledger,
            marks::{Marks, Reach},
        },
    },
    service::{control::LedgerStatus, io::server_error::ServerError},
};

impl Ledger {
    /// Notes what was durable when it was opened, and where that is kept apart from it.
    pub(crate) fn begin_at(&self, reached: Mark, marks: Marks) {
        *self.state.reached.lock().unwrap_or_else(PoisonError::into_inner) = reached;
        // Set once, when the service opens it.
        let _ = self.state.marks.set(marks);
    }

    /// What an operator should look at, if the last change was not completed.
    pub(crate) fn problem(&self) -> Option<String> {
        let incomplete = *self.state.incomplete.lock().unwrap_or_else(PoisonError::into_inner);
        incomplete.map(|action| {
            format!("cannot {action} in the ledger; the log names the reason; if the disk is full, make room")
        })
    }

    /// Notes a certificate that is not what was signed, once.
    pub(crate) fn find(&self, finding: Finding) {
        let mut findings = self.state.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if findings.len() < MAX_FINDINGS && !findings.contains(&finding) {
            findings.push(finding);
            gauge!("csms_ledger_findings").set(u32::try_from(findings.len()).unwrap_or(u32::MAX));
        }
    }

    /// The ledger's state, for an operator.
    pub(crate) fn status(&self) -> LedgerStatus {
        let (mark_in_file, mark_in_token) = self.state.marks.get().map_or((None, None), Marks::entries);
        let findings = self.state.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let not_as_signed = findings.iter().map(ToString::to_string).collect();
        LedgerStatus { entries: self.state.reached().entries, mark_in_file, mark_in_token, not_as_signed }
    }

    /// Raises the marks to what is durable now. A token that cannot keep one stops nothing.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the writing.
    pub(crate) async fn advance_marks(&self, reach: Reach) -> Result<(), ServerError> {
        let ledger = self.clone();
        let write = move || {
            let Some(marks) = ledger.state.marks.get() else { return Ok(()) };
            marks.write_file(|| ledger.state.reached())?;
            if reach == Reach::Everywhere {
                marks.write_token(|| ledger.state.reached());
            }
            Ok(())
        };
        spawn_blocking(write).await?
    }

    /// Lets the marks follow the ledger, until it is dropped.
    ///
    /// # Cancel safety
    /// A mark is as it was or higher.
    pub(crate) async fn keep_marks(&self) -> Infallible {
        let mut token_written = Instant::now();
        loop {
            sleep(FILE_INTERVAL).await;
            gauge!("csms_ledger_entries").set(self.state.reached().entries as f64);
            let reach = match token_written.elapsed() >= TOKEN_INTERVAL {
                true => Reach::Everywhere,
                false => Reach::File,
            };
            if reach == Reach::Everywhere {
                token_written = Instant::now();
            }
            // A failure is in the log, once.
            if let Err(error) = self.advance_marks(reach).await {
                tracing::debug!(error = %causes(&error), "the high-water mark was not advanced");
            }
        }
    }

    /// Raises the marks to the end. Leaves everything in the one file of SQLite, so that it can be
    /// copied.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn finish(&self) -> Result<(), ServerError> {
        if let Some(guard) = &self.state.guard
            && !guard.checkpoint().await
        {
            tracing::warn!("the ledger's write-ahead log stays: copy it together with the ledger");
        }
        self.advance_marks(Reach::Everywhere).await
    }

    /// See [`Guard::rescue`].
    pub(crate) async fn rescue(&self) -> bool {
        match &self.state.guard {
            Some(guard) if self.state.went_back.get().is_none() => guard.rescue().await,
            _ => false,
        }
    }
}

/// Certificates that are not what was signed, and that an operator is shown.
pub(crate) const MAX_FINDINGS: usize = 100;

/// How far the mark in the file may lag behind, where nothing demands more: a sync of the disk each
/// time.
const FILE_INTERVAL: Duration = Duration::from_secs(1);

/// The same for the token, whose memory may wear out, and which has signatures to make.
const TOKEN_INTERVAL: Duration = Duration::from_secs(60);
