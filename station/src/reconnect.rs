//! When to connect again, and what to present: decisions without a clock or a socket.

use std::time::Duration;

/// OCPP-J's reconnect back-off (Part 4, `RetryBackOff…`): the first wait is the minimum, each failure doubles it, at
/// most `repeat_times` times, a random part is added anew each time, and a success starts over.
#[derive(Clone, Debug)]
pub struct BackOff {
    wait_minimum: Duration,
    random_range: Duration,
    repeat_times: u32,
    failures: u32,
}

impl BackOff {
    /// A back-off that has seen no failure.
    #[must_use]
    pub fn new(wait_minimum: Duration, random_range: Duration, repeat_times: u32) -> Self {
        Self { wait_minimum, random_range, repeat_times, failures: 0 }
    }

    /// A connection stood: the next wait is the minimum again (errata 2025-04).
    pub fn handle_success(&mut self) {
        self.failures = 0;
    }

    /// The wait before the next attempt; `random` is uniform over all its values.
    #[must_use]
    pub fn next_wait(&mut self, random: u32) -> Duration {
        let doublings = self.failures.min(self.repeat_times).min(MOST_DOUBLINGS);
        self.failures = self.failures.saturating_add(1);
        let random_part = self.random_range.mul_f64(f64::from(random) / f64::from(u32::MAX));
        self.wait_minimum.saturating_mul(1 << doublings).saturating_add(random_part)
    }
}

/// Which of its certificates the station presents at an attempt: the newest first, then each older one in turn, so
/// that a renewed certificate that the CSMS does not accept never strands it (A02.FR.28 with B10.FR.08).
///
/// `newest_first` holds at most two, the renewed one and the one in use; `attempt` counts from 0 since the last
/// connection. `None`: the station has no certificate and enrols with its password.
#[must_use]
pub fn presented<T>(newest_first: &[T], attempt: u32) -> Option<&T> {
    let count = u32::try_from(newest_first.len()).unwrap_or(u32::MAX);
    newest_first.get(attempt.checked_rem(count)? as usize)
}

/// 2^16 times the minimum is beyond every sensible wait; the configured number is mostly far smaller.
const MOST_DOUBLINGS: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tc_b_57_waits_double_up_to_repeat_times_and_start_over_after_success() {
        let mut back_off = BackOff::new(Duration::from_secs(5), Duration::ZERO, 2);
        let waits = [0; 4].map(|random| back_off.next_wait(random).as_secs());
        assert_eq!(waits, [5, 10, 20, 20]);
        back_off.handle_success();
        assert_eq!(back_off.next_wait(0), Duration::from_secs(5));
    }

    #[test]
    fn random_part_is_added_and_never_doubled() {
        let mut back_off = BackOff::new(Duration::from_secs(5), Duration::from_secs(2), 8);
        assert_eq!(back_off.next_wait(u32::MAX), Duration::from_secs(7));
        assert_eq!(back_off.next_wait(u32::MAX), Duration::from_secs(12));
        assert_eq!(back_off.next_wait(0), Duration::from_secs(20));
    }

    #[test]
    fn enormous_settings_do_not_overflow() {
        let mut back_off =
            BackOff::new(Duration::from_secs(u32::MAX.into()), Duration::from_secs(1), u32::MAX);
        for _ in 0..100 {
            assert!(back_off.next_wait(u32::MAX) >= Duration::from_secs(u32::MAX.into()));
        }
    }

    #[test]
    fn a02_fr_28_renewed_and_old_certificate_alternate() {
        let own = ["renewed", "in use"];
        let order = [0, 1, 2, 3].map(|attempt| presented(&own, attempt).copied());
        assert_eq!(order, [Some("renewed"), Some("in use"), Some("renewed"), Some("in use")]);
        assert_eq!(presented::<()>(&[], 3), None);
    }
}
