//! The bounds of a session.

use std::time::Duration;

use crate::frame::Limits;

/// The bounds of a session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionSettings {
    /// How long a CALL of this side waits for its answer. Default 30 s, as the specification
    /// suggests.
    pub call_timeout: Duration,
    /// How long the application may take to answer a CALL. Default 25 s, less than the usual
    /// timeout of a peer.
    pub answer_deadline: Duration,
    /// CALLs of this side that wait for the one in flight, first in, first out. Further ones are
    /// refused. Default [`SessionSettings::MAX_QUEUED_CALLS`].
    pub max_queued_calls: usize,
    /// CALLs of the peer that wait for the one being answered. Further ones are answered with
    /// GenericError. Default [`SessionSettings::MAX_WAITING_CALLS`].
    pub max_waiting_calls: usize,
    /// Bounds on each received frame. The bound on the length applies to sent frames, too.
    pub limits: Limits,
}

impl SessionSettings {
    /// 16 CALLs. One is sent at a time, so a longer queue would only add latency.
    pub const MAX_QUEUED_CALLS: usize = 16;
    /// 4 CALLs. A peer that waits for its answers has none waiting. A peer whose timeout is shorter
    /// than a handler takes has a few.
    pub const MAX_WAITING_CALLS: usize = 4;
    /// 64 frames that are ready to be sent while the socket takes none. Answers are few, because
    /// CALLs are few. Beyond this number SENDs are refused, and answers to invalid messages are
    /// dropped, as the specification permits.
    pub const MAX_TRANSMITS: usize = 64;

    /// Sets how long a CALL of this side waits for its answer (`messageTimeout` of a network
    /// profile).
    #[must_use]
    pub fn with_call_timeout(self, call_timeout: Duration) -> Self {
        Self { call_timeout, ..self }
    }

    /// Sets how long a handler may take. After that InternalError is sent.
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
            max_queued_calls: Self::MAX_QUEUED_CALLS,
            max_waiting_calls: Self::MAX_WAITING_CALLS,
            limits: Limits::default(),
        }
    }
}

/// Counters of the faults in a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Texts of the peer that are not frames.
    pub invalid_frames: u64,
    /// Answers that were too late or never requested.
    pub unmatched_answers: u64,
    /// CALLs of this side that were not answered in time.
    pub timeouts: u64,
    /// CALLs of this side that were sent again.
    pub retries: u64,
    /// CALLs of the peer refused because it did not wait for its answers.
    pub refused_calls: u64,
    /// Messages of the peer that it may not send before BootNotification is accepted.
    pub not_accepted: u64,
    /// Responses of this side that the peer could not process (CALLRESULTERROR).
    pub refused_results: u64,
    /// Frames that were not answered because too many answers wait to be sent.
    pub dropped_refusals: u64,
    /// CALLs of the peer that were repeated while they were being answered.
    pub repeated_calls: u64,
}
