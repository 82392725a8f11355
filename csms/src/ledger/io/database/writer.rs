//! Group commit: the changes that wait are written together and made durable by one commit.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use metrics::histogram;
use sqlx::AnyPool;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    ledger::{
        LedgerError,
        io::database::{change::Change, failure::concerns_one_change, state::State},
    },
    service::io::metrics as names,
};

/// The future of a change.
pub(crate) type Changing<'a, T> = Pin<Box<dyn Future<Output = Result<T, LedgerError>> + Send + 'a>>;

/// What a change does with its data. It runs again, alone, if another change of the same commit
/// fails.
pub(crate) type Apply<D, T> = for<'a> fn(&'a D, &'a mut Change) -> Changing<'a, T>;

/// One change that waits to be made durable.
trait Job: Send + fmt::Debug {
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
pub(crate) struct WriterEnded;

/// The error of a commit, as each of its changes reports it.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
struct CommitFailed(Arc<LedgerError>);

/// The one writer of a ledger. Clones share it; it ends with the last one.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Writer {
    pub(crate) fn start(pool: AnyPool, state: Arc<State>) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING_CHANGES);
        let task = tokio::spawn(write(pool, state, waiting));
        Self { queue, task: Arc::new(Mutex::new(Some(task))) }
    }

    /// See [`Ledger::change`](crate::Ledger).
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
        self.queue.send(job).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Waits until everything is written, if this is the last clone.
    pub(crate) async fn end(self) {
        let Self { queue, task } = self;
        drop(queue);
        if let Some(task) = task.lock().await.take() {
            // A writer that has panicked has ended.
            let _ = task.await;
        }
    }
}

/// Commits what waits, as much as there is at once, until the queue is closed.
async fn write(pool: AnyPool, state: Arc<State>, mut waiting: mpsc::Receiver<Box<dyn Job>>) {
    let mut jobs = Vec::with_capacity(MAX_CHANGES_PER_COMMIT);
    let mut ended = EndedEarly(Some(&state));
    while waiting.recv_many(&mut jobs, MAX_CHANGES_PER_COMMIT).await > 0 {
        histogram!(names::CHANGES_PER_COMMIT).record(jobs.len() as f64);
        let outcome = commit(&pool, &state, &mut jobs).await;
        match outcome {
            Ok(()) => jobs.drain(..).for_each(|job| job.finish(Ok(()))),
            // Which one is not known: each gets a commit of its own.
            Err(error) if concerns_one_change(&error) => {
                for mut job in jobs.drain(..) {
                    match commit(&pool, &state, std::slice::from_mut(&mut job)).await {
                        Ok(()) => job.finish(Ok(())),
                        Err(error) => fail(&state, job, error),
                    }
                }
            }
            Err(error) => {
                let failed = CommitFailed(Arc::new(error));
                for job in jobs.drain(..) {
                    let action = job.action();
                    fail(&state, job, LedgerError { action, source: Box::new(failed.clone()) });
                }
            }
        }
    }
    ended.0 = None;
}

/// Shows that nothing can be written any more, if a writer ends by a panic.
struct EndedEarly<'a>(Option<&'a State>);

impl Drop for EndedEarly<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.0 {
            tracing::error!(
                "the writer of the ledger has failed; nothing is recorded until the service is restarted"
            );
            state.note_change(Some("write"));
        }
    }
}

async fn commit(pool: &AnyPool, state: &State, jobs: &mut [Box<dyn Job>]) -> Result<(), LedgerError> {
    let mut change = Change::begin(pool, state).await?;
    for job in jobs {
        job.apply(&mut change).await?;
    }
    change.commit().await?;
    // What was written into a file that was removed meanwhile is not durable.
    state.check("commit a change")?;
    state.note_change(None);
    state.note(change.end(), &change.lists);
    Ok(())
}

/// Answers the caller of a change that was not made.
fn fail(state: &State, job: Box<dyn Job>, error: LedgerError) {
    let action = job.action();
    if !concerns_one_change(&error) {
        state.note_change(Some(action));
    }
    job.finish(Err(LedgerError { action, source: error.source }));
}

/// Enough to share the cost of a commit; the callers of a larger one would wait longer.
const MAX_CHANGES_PER_COMMIT: usize = 256;

/// Changes that may wait. A caller beyond waits for room.
const MAX_WAITING_CHANGES: usize = 1024;
