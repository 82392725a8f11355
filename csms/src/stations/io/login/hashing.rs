//! The threads that compute Argon2. Each thread reuses its own memory.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use argon2::Block;
use tokio::sync::oneshot;

/// A fixed set of threads: one per core, at most `MAX_HASHING_WORKERS`.
#[derive(Debug)]
pub(crate) struct Hashing {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

/// The blocks of Argon2. They grow to the largest hash that was computed in them.
#[derive(Debug, Default)]
pub(crate) struct HashMemory(Vec<Block>);

/// The worker has ended, because the service ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the threads that verify passwords have ended")]
pub(crate) struct Ended;

type Job = Box<dyn FnOnce(&mut HashMemory) + Send>;

struct Shared {
    state: Mutex<State>,
    arrived: Condvar,
}

struct State {
    /// The gate of the logins bounds the queue.
    jobs: VecDeque<Job>,
    closed: bool,
}

impl HashMemory {
    /// At least `count` blocks. They contain the data of earlier hashes.
    pub(crate) fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            // The old blocks are freed first, so that a worker never holds both.
            self.0 = Vec::new();
            self.0 = vec![Block::new(); count];
        }
        &mut self.0
    }
}

impl Hashing {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the operating system cannot create a thread.
    pub(crate) fn start() -> std::io::Result<Self> {
        let state = State { jobs: VecDeque::new(), closed: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), arrived: Condvar::new() });
        let mut hashing = Self { shared, workers: Vec::new() };
        let count = thread::available_parallelism().map_or(1, usize::from).min(MAX_HASHING_WORKERS);
        for number in 0..count {
            let shared = Arc::clone(&hashing.shared);
            let worker =
                thread::Builder::new().name(format!("argon2-{number}")).spawn(move || work(&shared))?;
            hashing.workers.push(worker);
        }
        Ok(hashing)
    }

    /// The number of threads.
    pub(crate) fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Runs `compute` on a worker.
    ///
    /// # Errors
    /// [`Ended`].
    ///
    /// # Cancel safety
    /// Dropping the future before a worker has begun cancels the work. After that, the worker
    /// completes it and drops the result.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        compute: impl FnOnce(&mut HashMemory) -> T + Send + 'static,
    ) -> Result<T, Ended> {
        let (reply, done) = oneshot::channel();
        let job = Box::new(move |memory: &mut HashMemory| {
            if !reply.is_closed() {
                let _ = reply.send(compute(memory));
            }
        });
        self.shared.lock().jobs.push_back(job);
        self.shared.arrived.notify_one();
        done.await.map_err(|_| Ended)
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.closed = true;
            state.jobs.clear();
        }
        self.shared.arrived.notify_all();
        for worker in self.workers.drain(..) {
            // The worker ends after the current hash.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No holder of the lock can leave the jobs half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("jobs", &self.lock().jobs.len()).finish_non_exhaustive()
    }
}

/// Runs the jobs, one after the other.
fn work(shared: &Shared) {
    let mut memory = HashMemory::default();
    loop {
        let job = {
            let mut state = shared.lock();
            loop {
                if state.closed {
                    return;
                }
                match state.jobs.pop_front() {
                    Some(job) => break job,
                    None => state = shared.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            }
        };
        // A worker that ended would be missing until a restart. The caller gets an error, because
        // its reply is dropped.
        if catch_unwind(AssertUnwindSafe(|| job(&mut memory))).is_err() {
            tracing::error!("the computation of a password's hash panicked");
            memory = HashMemory::default();
        }
    }
}

/// Hashes that are computed at the same time. Each worker holds up to 64 MiB, the most that one
/// hash may take.
const MAX_HASHING_WORKERS: usize = 4;

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::{
            Barrier,
            atomic::{AtomicBool, Ordering},
        },
        task::Poll,
    };

    use tokio::task::{JoinSet, spawn_blocking};

    use super::*;

    #[tokio::test]
    async fn jobs_of_callers_that_have_left_are_not_computed() {
        let hashing = Arc::new(Hashing::start().expect("threads"));
        let workers = hashing.workers();
        // Every worker is busy until the test lets it continue.
        let gate = Arc::new(Barrier::new(workers + 1));
        let mut busy = JoinSet::new();
        for _ in 0..workers {
            let (hashing, gate) = (Arc::clone(&hashing), Arc::clone(&gate));
            busy.spawn(async move {
                let wait = move |_: &mut HashMemory| {
                    gate.wait();
                    gate.wait();
                };
                hashing.run(wait).await.expect("the workers run");
            });
        }
        let wait = |gate: &Arc<Barrier>| {
            let gate = Arc::clone(gate);
            spawn_blocking(move || gate.wait())
        };
        wait(&gate).await.expect("all workers have begun");
        let was_run = Arc::new(AtomicBool::new(false));
        {
            let was_run = Arc::clone(&was_run);
            let mut job = std::pin::pin!(hashing.run(move |_| was_run.store(true, Ordering::SeqCst)));
            let pending = poll_fn(|context| Poll::Ready(job.as_mut().poll(context).is_pending()));
            assert!(pending.await);
        }
        wait(&gate).await.expect("all workers continue");
        busy.join_all().await;
        assert!(hashing.run(|_| true).await.expect("the workers run"));
        assert!(!was_run.load(Ordering::SeqCst), "no worker has computed it");
    }

    #[test]
    fn memory_is_used_again() {
        let mut memory = HashMemory::default();
        let first = memory.blocks(8).as_ptr();
        assert_eq!(memory.blocks(4).as_ptr(), first);
        assert_eq!(memory.blocks(8).len(), 8);
        assert_eq!(memory.blocks(16).len(), 16);
    }
}
