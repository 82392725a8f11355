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

/// With which of its certificates the station connects: the newest, and where the CSMS refuses that, in turn with the one
/// that worked before, so that a renewed certificate never strands it (A02.FR.28 with B10.FR.08).
///
/// `refusals` counts since the last connection. `None`: with its password. That is so as long as it has no certificate, and
/// in turn with the first one until that has worked: the password is what worked before (B10.FR.07).
#[must_use]
pub fn presented<T>(newest_first: &[T], is_in_use: impl Fn(&T) -> bool, refusals: u32) -> Option<&T> {
    if refusals.is_multiple_of(2) {
        newest_first.first()
    } else {
        newest_first.iter().find(|own| is_in_use(own))
    }
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

    /// `in use` is what the certificate in use is called here.
    fn order<'a>(newest_first: &[&'a str]) -> [Option<&'a str>; 4] {
        [0, 1, 2, 3].map(|refusals| presented(newest_first, |own| *own == "in use", refusals).copied())
    }

    #[test]
    fn a02_fr_28_renewed_and_old_certificate_alternate() {
        let (renewed, in_use) = (Some("renewed"), Some("in use"));
        assert_eq!(order(&["renewed", "in use"]), [renewed, in_use, renewed, in_use]);
        assert_eq!(order(&["renewed", "renewed earlier", "in use"]), [renewed, in_use, renewed, in_use]);
        assert_eq!(order(&["in use"]), [in_use; 4]);
    }

    #[test]
    fn b10_fr_07_first_certificate_and_password_alternate_until_it_has_worked() {
        assert_eq!(order(&["first"]), [Some("first"), None, Some("first"), None]);
        assert_eq!(order(&[]), [None; 4]);
    }
}
