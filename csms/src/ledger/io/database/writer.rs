//! Group commit: the changes that wait are written together and made durable by one commit.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use metrics::histogram;
use tokio::sync::{mpsc, oneshot};

use crate::{
    ledger::{
        LedgerError,
        io::database::{change::Change, failure::concerns_one_change, ledger::Ledger},
    },
    service::io::metrics as names,
};

/// The future of a change.
pub(crate) type Changing<'a, T> = Pin<Box<dyn Future<Output = Result<T, LedgerError>> + Send + 'a>>;

/// What a change does with its data. It runs again, alone, if another change of the same commit
/// fails.
pub(crate) type Apply<D, T> = for<'a> fn(&'a D, &'a mut Change) -> Changing<'a, T>;

/// Changes that wait for the writer.
pub(crate) type Queue = mpsc::Sender<Box<dyn Job>>;

/// One change that waits to be made durable.
pub(crate) trait Job: Send + fmt::Debug {
    /// What it is for.
    fn action(&self) -> &'static str;
    /// Makes the change, which is not durable yet.
    fn apply<'a>(&'a mut self, change: &'a mut Change) -> Changing<'a, ()>;
    /// Answers its caller, with the value that the last [`Job::apply`] returned if it is durable.
    fn finish(self: Box<Self>, outcome: Result<(), LedgerError>);
}

struct Pending<D, T> {
    action: &'static str,
    data: D,
    apply: Apply<D, T>,
    value: Option<T>,
    caller: oneshot::Sender<Result<T, LedgerError>>,
}

impl<D, T> fmt::Debug for Pending<D, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Pending").field(&self.action).finish()
    }
}

impl<D: Send + Sync, T: Send> Job for Pending<D, T> {
    fn action(&self) -> &'static str {
        self.action
    }

    fn apply<'a>(&'a mut self, change: &'a mut Change) -> Changing<'a, ()> {
        Box::pin(async move {
            self.value = None;
            self.value = Some((self.apply)(&self.data, change).await?);
            Ok(())
        })
    }

    fn finish(self: Box<Self>, outcome: Result<(), LedgerError>) {
        let outcome = match (outcome, self.value) {
            (Ok(()), Some(value)) => Ok(value),
            (Ok(()), None) => Err(LedgerError { action: self.action, source: Box::new(WriterEnded) }),
            (Err(error), _) => Err(error),
        };
        // A caller that has gone away needs no answer; its change is durable.
        let _ = self.caller.send(outcome);
    }
}

/// The ledger is closed, or its writer has failed.
#[derive(Debug, thiserror::Error)]
#[error("the ledger is closed")]
struct WriterEnded;

/// The error of a commit, as each of its changes reports it.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
struct CommitFailed(Arc<LedgerError>);

impl Ledger {
    /// Makes a change durable, together with others that wait. `data` is what `apply` works with.
    ///
    /// # Cancel safety
    /// A change whose caller goes away is made all the same.
    pub(crate) async fn change<D: Send + Sync + 'static, T: Send + 'static>(
        &self,
        action: &'static str,
        data: D,
        apply: Apply<D, T>,
    ) -> Result<T, LedgerError> {
        let (caller, answer) = oneshot::channel();
        let job = Box::new(Pending { action, data, apply, value: None, caller });
        let ended = || LedgerError { action, source: Box::new(WriterEnded) };
        self.queue().ok_or_else(ended)?.send(job).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

/// Commits what waits, as much as there is at once, until the queue is closed.
pub(crate) async fn write(ledger: Ledger, mut waiting: mpsc::Receiver<Box<dyn Job>>) {
    let mut jobs = Vec::with_capacity(MAX_CHANGES_PER_COMMIT);
    while waiting.recv_many(&mut jobs, MAX_CHANGES_PER_COMMIT).await > 0 {
        histogram!(names::CHANGES_PER_COMMIT).record(jobs.len() as f64);
        let outcome = commit(&ledger, &mut jobs).await;
        match outcome {
            Ok(()) => jobs.drain(..).for_each(|job| job.finish(Ok(()))),
            // Which one is not known: each gets a commit of its own.
            Err(error) if concerns_one_change(&error) => {
                for mut job in jobs.drain(..) {
                    match commit(&ledger, std::slice::from_mut(&mut job)).await {
                        Ok(()) => job.finish(Ok(())),
                        Err(error) => fail(&ledger, job, error),
                    }
                }
            }
            Err(error) => {
                let failed = CommitFailed(Arc::new(error));
                for job in jobs.drain(..) {
                    let action = job.action();
                    fail(&ledger, job, LedgerError { action, source: Box::new(failed.clone()) });
                }
            }
        }
    }
}

async fn commit(ledger: &Ledger, jobs: &mut [Box<dyn Job>]) -> Result<(), LedgerError> {
    let mut change = Change::begin(ledger).await?;
    for job in jobs {
        job.apply(&mut change).await?;
    }
    change.commit().await?;
    // What was written into a file that was removed meanwhile is not durable.
    ledger.writable("commit a change")?;
    ledger.note_change(None);
    ledger.note(change.end(), &change.lists);
    Ok(())
}

/// Answers the caller of a change that was not made.
fn fail(ledger: &Ledger, job: Box<dyn Job>, error: LedgerError) {
    let action = job.action();
    if !concerns_one_change(&error) {
        ledger.note_change(Some(action));
    }
    job.finish(Err(LedgerError { action, source: error.source }));
}

/// Enough to share the cost of a commit; the callers of a larger one would wait longer.
const MAX_CHANGES_PER_COMMIT: usize = 256;

/// Changes that may wait. A caller beyond waits for room.
pub(crate) const MAX_WAITING_CHANGES: usize = 1024;
