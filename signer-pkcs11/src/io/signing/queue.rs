//! A bounded queue for several producers and several consumers. If it is full, it refuses instead
//! of waiting.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Jobs that wait for a worker.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    capacity: usize,
}

struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
    /// Workers that wait for a job.
    idle: usize,
    /// How often idle workers were woken.
    wakes: u64,
}

/// The next action of a worker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<T> {
    Job(T),
    /// A task for idle workers.
    IdleTask,
}

/// Why a job was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushError {
    Full,
    Closed,
}

impl<T> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = Mutex::new(State {
            waiting: VecDeque::with_capacity(capacity),
            closed: false,
            idle: 0,
            wakes: 0,
        });
        Self { state, filled: Condvar::new(), capacity }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Adds a job at the end, or refuses it at once.
    pub(crate) fn try_push(&self, job: T) -> Result<(), PushError> {
        let mut state = self.lock();
        if state.closed {
            return Err(PushError::Closed);
        }
        if state.waiting.len() >= self.capacity {
            return Err(PushError::Full);
        }
        state.waiting.push_back(job);
        // Waking is a system call. Under load no worker waits: a worker that finishes takes the
        // job.
        let wake = state.idle > 0;
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits for the next job, or for a wake-up that this worker has not `seen`. Returns `None`
    /// once the queue is closed and empty.
    pub(crate) fn pop(&self, seen: &mut u64) -> Option<Next<T>> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                return Some(Next::Job(job));
            }
            if state.closed {
                return None;
            }
            if state.wakes != *seen {
                *seen = state.wakes;
                return Some(Next::IdleTask);
            }
            state.idle += 1;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// How often idle workers were woken so far. A new worker ignores earlier wake-ups.
    pub(crate) fn wakes(&self) -> u64 {
        self.lock().wakes
    }

    /// Wakes every idle worker; a busy worker gets the wake-up when it becomes idle.
    pub(crate) fn wake_idle(&self) {
        self.lock().wakes += 1;
        self.filled.notify_all();
    }

    /// Accepts no more jobs. Queued jobs are still handed out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Next, PushError, Queue};

    #[test]
    fn full_closed_and_drained() {
        let queue = Queue::new(2);
        assert_eq!(queue.try_push(1), Ok(()));
        assert_eq!(queue.try_push(2), Ok(()));
        assert_eq!(queue.try_push(3), Err(PushError::Full));
        queue.wake_idle();
        let mut seen = 0;
        assert_eq!(queue.pop(&mut seen), Some(Next::Job(1)));
        queue.close();
        assert_eq!(queue.try_push(4), Err(PushError::Closed));
        // Jobs come first, and wake-ups do not delay the end.
        assert_eq!(queue.pop(&mut seen), Some(Next::Job(2)));
        assert_eq!(queue.pop(&mut seen), None);
    }

    #[test]
    fn every_worker_is_woken_once() {
        let queue = Queue::<()>::new(1);
        let (mut one, mut other) = (0, 0);
        queue.wake_idle();
        assert_eq!(queue.pop(&mut one), Some(Next::IdleTask));
        assert_eq!(queue.pop(&mut other), Some(Next::IdleTask));
        assert_eq!(queue.try_push(()), Ok(()));
        assert_eq!(queue.pop(&mut one), Some(Next::Job(())));
        queue.wake_idle();
        assert_eq!(queue.pop(&mut one), Some(Next::IdleTask));
    }
}
