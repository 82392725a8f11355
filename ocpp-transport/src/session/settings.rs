//! The bounds of a session.

use std::time::Duration;

use crate::frame::Limits;

/// The bounds of a session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionSettings {
    /// How long a CALL of this side waits for its answer. Default 30 s, as the specification suggests.
    pub call_timeout: Duration,
    /// How long the application may take to answer a CALL. Default 25 s: less than the peer's usual patience.
    pub answer_deadline: Duration,
    /// CALLs of this side that wait for the one in flight. Default 16: one goes at a time, so a longer queue would
    /// only add latency.
    pub max_queued_calls: usize,
    /// CALLs of the peer that wait for the one being answered. Default 4: the peer should have none.
    pub max_waiting_calls: usize,
    /// Bounds on each frame, in both directions as far as the length goes.
    pub limits: Limits,
}

impl SessionSettings {
    /// Sets how long a CALL of this side waits for its answer (`messageTimeout` of a network profile).
    #[must_use]
    pub fn with_call_timeout(self, call_timeout: Duration) -> Self {
        Self { call_timeout, ..self }
    }

    /// Sets how long a handler may take; InternalError is sent for it after that.
    #[must_use]
    pub fn with_answer_deadline(self, answer_deadline: Duration) -> Self {
        Self { answer_deadline, ..self }
    }

    /// Sets how many CALLs of this side may wait.
    #[must_use]
    pub fn with_max_queued_calls(self, max_queued_calls: usize) -> Self {
        Self { max_queued_calls, ..self }
    }

    /// Sets the bounds on frames.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(30),
            answer_deadline: Duration::from_secs(25),
            max_queued_calls: 16,
            max_waiting_calls: 4,
            limits: Limits::default(),
        }
    }
}

/// What happened in a session that should not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Texts of the peer that are no frames.
    pub invalid_frames: u64,
    /// Answers that came too late or were never asked for.
    pub unmatched_answers: u64,
    /// CALLs of this side that were not answered in time.
    pub timeouts: u64,
    /// CALLs of the peer refused because it did not wait for its answers.
    pub refused_calls: u64,
    /// CALLs of the peer that came again while they were being answered.
    pub repeated_calls: u64,
}
