//! A circuit breaker: after several failures in a row a token is not called for a while. The wait
//! grows.

use std::time::{Duration, Instant};

/// The state of one token.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    /// Failures since the last success.
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Every call is admitted.
    Closed,
    /// No call is admitted before then.
    Open { until: Instant },
    /// One call was admitted as a test; the others wait for its outcome.
    Probing { since: Instant },
}

/// The health of a token, judged by its last signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// The last signature succeeded, or none was requested yet.
    Works,
    /// The last signature failed; the next one is attempted.
    Fails,
    /// It failed so often that it is not called before then. It recovers by itself, even if no
    /// signature is requested.
    LeftAlone {
        /// Time until the next attempt.
        retry_after: Duration,
    },
}

/// Whether a signature is attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Yes.
    Pass,
    /// No: the token failed too often. Ask again after this time.
    Refuse { retry_after: Duration },
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self { state: State::Closed, failures: 0 }
    }

    /// The health of the token, judged by its last signatures.
    pub(crate) fn health(&self, now: Instant) -> Health {
        match (self.state, self.failures) {
            (State::Closed, 0) => Health::Works,
            (State::Closed, _) => Health::Fails,
            (State::Open { until }, _) => {
                Health::LeftAlone { retry_after: until.saturating_duration_since(now) }
            }
            (State::Probing { .. }, _) => Health::LeftAlone { retry_after: Duration::ZERO },
        }
    }

    /// Whether a signature may be attempted now.
    pub(crate) fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            State::Closed => Admission::Pass,
            State::Open { until } if now < until => Admission::Refuse { retry_after: until - now },
            // A test that never returned does not exclude the others for ever.
            State::Probing { since } if now.saturating_duration_since(since) < MAX_WAIT => {
                Admission::Refuse { retry_after: FIRST_WAIT }
            }
            State::Open { .. } | State::Probing { .. } => {
                self.state = State::Probing { since: now };
                Admission::Pass
            }
        }
    }

    /// A signature succeeded, or was refused for a reason of its own. Returns whether the one
    /// before it had failed.
    pub(crate) fn succeeded(&mut self) -> bool {
        let had_failed = self.failures > 0;
        *self = Self::new();
        had_failed
    }

    /// The token failed. `jitter` is random, so that a fleet does not return all at once.
    ///
    /// Returns for how long the breaker is open, once it is.
    pub(crate) fn failed(&mut self, now: Instant, jitter: u8) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        let is_probe = matches!(self.state, State::Probing { .. });
        if self.failures < FAILURES_TO_OPEN && !is_probe {
            return None;
        }
        let wait = wait(self.failures - FAILURES_TO_OPEN.min(self.failures), jitter);
        self.state = State::Open { until: now + wait };
        Some(wait)
    }

    /// Opens the breaker at once, because all threads hang.
    pub(crate) fn open(&mut self, now: Instant, jitter: u8) -> Duration {
        self.failures = self.failures.max(FAILURES_TO_OPEN - 1);
        self.failed(now, jitter).unwrap_or(FIRST_WAIT)
    }
}

/// 0.5 s · 2ⁿ, at most 60 s; the last quarter is random.
pub(crate) fn wait(repetition: u32, jitter: u8) -> Duration {
    let full = FIRST_WAIT.saturating_mul(1 << repetition.min(10)).min(MAX_WAIT);
    full * 3 / 4 + full / 4 * u32::from(jitter) / 255
}

/// Failures in a row that open the breaker.
const FAILURES_TO_OPEN: u32 = 3;

const FIRST_WAIT: Duration = Duration::from_millis(500);
const MAX_WAIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Admission, Breaker, Health, wait};

    #[test]
    fn three_failures_open_it_and_one_probe_decides() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut breaker = Breaker::new();
        assert_eq!(breaker.failed(at(0), 255), None);
        breaker.succeeded();
        assert_eq!((breaker.failed(at(0), 255), breaker.failed(at(0), 255)), (None, None));
        assert_eq!(breaker.admit(at(0)), Admission::Pass);
        assert_eq!(breaker.health(at(0)), Health::Fails);
        assert_eq!(breaker.failed(at(0), 255), Some(Duration::from_millis(500)));
        let left_alone =
            |milliseconds| Health::LeftAlone { retry_after: Duration::from_millis(milliseconds) };
        assert_eq!(breaker.health(at(100)), left_alone(400));
        let refuse = |milliseconds| Admission::Refuse { retry_after: Duration::from_millis(milliseconds) };
        assert_eq!(breaker.admit(at(100)), refuse(400));
        // One test is admitted, and no other call meanwhile.
        assert_eq!(breaker.admit(at(500)), Admission::Pass);
        assert_eq!(breaker.admit(at(500)), refuse(500));
        assert_eq!(breaker.health(at(500)), left_alone(0));
        assert_eq!(breaker.failed(at(600), 255), Some(Duration::from_secs(1)));
        assert_eq!(breaker.admit(at(1599)), refuse(1));
        assert_eq!(breaker.admit(at(1600)), Admission::Pass);
        breaker.succeeded();
        assert_eq!(breaker.health(at(1600)), Health::Works);
        assert_eq!((breaker.admit(at(1600)), breaker.admit(at(1600))), (Admission::Pass, Admission::Pass));
    }

    #[test]
    fn a_probe_that_never_comes_back_is_replaced() {
        let start = Instant::now();
        let mut breaker = Breaker::new();
        breaker.open(start, 255);
        assert_eq!(breaker.admit(start + Duration::from_secs(1)), Admission::Pass);
        assert!(matches!(breaker.admit(start + Duration::from_secs(60)), Admission::Refuse { .. }));
        assert_eq!(breaker.admit(start + Duration::from_secs(61)), Admission::Pass);
    }

    #[test]
    fn waits_double_up_to_a_minute_with_a_random_quarter() {
        assert_eq!(wait(0, 255), Duration::from_millis(500));
        assert_eq!(wait(0, 0), Duration::from_millis(375));
        assert_eq!(wait(3, 255), Duration::from_secs(4));
        assert_eq!((wait(7, 255), wait(u32::MAX, 255)), (Duration::from_secs(60), Duration::from_secs(60)));
        assert_eq!(wait(9, 0), Duration::from_secs(45));
    }
}
