//! The wait before the next attempt to connect (2.0.1 Part 4, 5.3).

use std::time::Duration;

/// The variables of `OCPPCommCtrlr` that set the back-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackOffSettings {
    /// `RetryBackOffWaitMinimum`. Default 5 s.
    pub wait_minimum: Duration,
    /// `RetryBackOffRandomRange`. Default 5 s, so that stations that lost their CSMS at the same
    /// time do not return at the same time.
    pub random_range: Duration,
    /// `RetryBackOffRepeatTimes`. Default 5: the longest wait is 32 times the shortest.
    pub repeat_times: u32,
}

impl BackOffSettings {
    /// The three variables.
    #[must_use]
    pub fn new(wait_minimum: Duration, random_range: Duration, repeat_times: u32) -> Self {
        Self { wait_minimum, random_range, repeat_times }
    }
}

impl Default for BackOffSettings {
    fn default() -> Self {
        Self::new(Duration::from_secs(5), Duration::from_secs(5), 5)
    }
}

/// The reconnect back-off of OCPP-J. The first wait is the minimum. Each failure doubles it, at
/// most `repeat_times` times. A new random part is added each time and is never doubled. A success
/// resets the wait.
#[derive(Clone, Debug)]
pub struct BackOff {
    settings: BackOffSettings,
    waits: u32,
}

impl BackOff {
    /// A back-off without a failure.
    #[must_use]
    pub fn new(settings: BackOffSettings) -> Self {
        Self { settings, waits: 0 }
    }

    /// Replaces the settings. Earlier waits still count.
    pub fn set_settings(&mut self, settings: BackOffSettings) {
        self.settings = settings;
    }

    /// A connection was established: the next wait is the minimum again (errata 2025-04).
    pub fn handle_success(&mut self) {
        self.waits = 0;
    }

    /// The wait before the next attempt; `random` is uniform over all its values.
    #[must_use]
    pub fn next_wait(&mut self, random: u32) -> Duration {
        let BackOffSettings { wait_minimum, random_range, repeat_times } = self.settings;
        let doublings = self.waits.min(repeat_times).min(MOST_DOUBLINGS);
        self.waits = self.waits.saturating_add(1);
        let random_part = random_range.mul_f64(f64::from(random) / f64::from(u32::MAX));
        wait_minimum.saturating_mul(1 << doublings).saturating_add(random_part)
    }
}

/// 2^16 times the minimum exceeds every sensible wait. The configured number is usually far
/// smaller.
const MOST_DOUBLINGS: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn back_off(wait_minimum: u64, random_range: u64, repeat_times: u32) -> BackOff {
        let (wait, range) = (Duration::from_secs(wait_minimum), Duration::from_secs(random_range));
        BackOff::new(BackOffSettings::new(wait, range, repeat_times))
    }

    #[test]
    fn waits_double_up_to_repeat_times_and_start_over_after_success() {
        let mut back_off = back_off(5, 0, 2);
        let waits = [0; 4].map(|random| back_off.next_wait(random).as_secs());
        assert_eq!(waits, [5, 10, 20, 20]);
        back_off.handle_success();
        assert_eq!(back_off.next_wait(0), Duration::from_secs(5));
    }

    #[test]
    fn random_part_is_added_and_never_doubled() {
        let mut back_off = back_off(5, 2, 8);
        assert_eq!(back_off.next_wait(u32::MAX), Duration::from_secs(7));
        assert_eq!(back_off.next_wait(u32::MAX), Duration::from_secs(12));
        assert_eq!(back_off.next_wait(0), Duration::from_secs(20));
    }

    #[test]
    fn enormous_settings_do_not_overflow() {
        let mut back_off = back_off(u32::MAX.into(), 1, u32::MAX);
        for _ in 0..100 {
            assert!(back_off.next_wait(u32::MAX) >= Duration::from_secs(u32::MAX.into()));
        }
    }
}
