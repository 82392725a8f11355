//! The station's clock beside that of its CSMS.
//!
//! Certificates are judged by the system's clock, which is not this program's to set: the CSMS's
//! time (G02.FR.06) comes over a connection whose certificate was judged already, so it cannot help
//! a clock that was never set, and to let it overrule one that was would let a CSMS choose which
//! certificates have expired. What the station can do is to say that the two differ, because every
//! refusal for time follows from that; each such refusal names both times as well.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ocpp_types::Timestamp;

/// What is known of the two clocks.
#[derive(Debug)]
pub(crate) struct Clock {
    /// How far they may be apart, as for certificates.
    skew: Duration,
    /// Whether it has been said that they differ.
    reported: AtomicBool,
}

impl Clock {
    /// Says so where the clock was never set.
    pub(crate) fn new(skew: Duration, now: SystemTime) -> Self {
        if was_never_set(now) {
            tracing::error!(
                now = %Timestamp::from(now),
                "the system's clock was never set: every certificate will seem to lie in the future; \
                 set it, or let a time service keep it over restarts"
            );
        }
        Self { skew, reported: AtomicBool::new(false) }
    }

    /// The CSMS has sent its time, in the answer to BootNotification or Heartbeat.
    pub(crate) fn handle_csms_time(&self, csms: SystemTime, now: SystemTime) {
        let apart = differ(csms, now) > self.skew;
        if apart && !self.reported.swap(apart, Ordering::Relaxed) {
            tracing::warn!(
                now = %Timestamp::from(now),
                csms = %Timestamp::from(csms),
                "the clocks of station and CSMS differ: certificates may be refused as expired, or as not valid yet; \
                 set the clock that is wrong"
            );
        } else if !apart && self.reported.swap(apart, Ordering::Relaxed) {
            tracing::info!("the clocks of station and CSMS agree again");
        }
    }
}

fn differ(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|ahead| ahead.duration())
}

fn was_never_set(now: SystemTime) -> bool {
    now < UNIX_EPOCH + BEFORE_THIS_PROGRAM
}

/// 2025-01-01: nothing that this program sees was made before.
const BEFORE_THIS_PROGRAM: Duration = Duration::from_secs(1_735_689_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_once_until_it_is_over() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let clock = Clock::new(Duration::from_secs(300), now);
        let reported = || clock.reported.load(Ordering::Relaxed);
        for (seconds, expected) in [(0, false), (300, false), (301, true), (4000, true), (10, false)] {
            clock.handle_csms_time(now - Duration::from_secs(seconds), now);
            assert_eq!(reported(), expected, "{seconds} s behind");
            clock.handle_csms_time(now + Duration::from_secs(seconds), now);
            assert_eq!(reported(), expected, "{seconds} s ahead");
        }
    }

    #[test]
    fn a_clock_of_1970_was_never_set() {
        assert!(was_never_set(UNIX_EPOCH) && was_never_set(UNIX_EPOCH + BEFORE_THIS_PROGRAM / 2));
        assert!(!was_never_set(UNIX_EPOCH + BEFORE_THIS_PROGRAM * 2));
    }
}
