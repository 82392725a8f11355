//! Compares the station's clock with that of its CSMS.
//!
//! Certificates are checked against the system's clock, which this program does not set. The time
//! of the CSMS (G02.FR.06) arrives over a connection whose certificate was already checked, so it
//! cannot help a clock that was never set. If it overruled a clock that was set, a CSMS could
//! choose which certificates have expired. The station therefore only reports that the two clocks
//! differ, because every refusal for time follows from that. Each such refusal also names both
//! times.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ocpp_types::Timestamp;

/// The state of the comparison.
#[derive(Debug)]
pub(crate) struct Clock {
    /// The permitted difference, as for certificates.
    skew: Duration,
    /// Whether the difference was logged.
    reported: AtomicBool,
}

impl Clock {
    /// Logs a warning if the clock was never set.
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

    /// Handles the time of the CSMS in the answer to BootNotification or Heartbeat.
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

/// 2025-01-01: nothing that this program handles is older.
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
