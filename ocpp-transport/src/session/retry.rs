//! When a CALL that failed is sent again.

use std::time::Duration;

/// Sends a CALL again that brings a CALLERROR or no answer, as stations do with messages about
/// transactions.
///
/// The numbers are the application's: `MessageAttempts` and `MessageAttemptInterval` of
/// OCPPCommCtrlr (2.x), or `TransactionMessageAttempts` and `TransactionMessageRetryInterval`
/// (1.6). Before each repetition the interval is waited for as many times as the message has been
/// sent. The repetition carries the same id (2.0.1 errata 2024-09), so a late answer to an earlier
/// attempt ends it too.
///
/// Messages with a retry policy stay in order among themselves: while one waits for its next
/// attempt, those behind it wait too, and messages without a policy pass. They also wait until
/// BootNotification is accepted, where others fail. A policy ends with the connection, for only the
/// application can keep messages over a restart; it continues the count on the next connection with
/// [`Retry::after`].
///
/// ```
/// use std::time::Duration;
/// use ocpp_transport::session::Retry;
///
/// let retry = Retry::new(3, Duration::from_secs(60));
/// assert_eq!(retry.delay_after(1), Some(Duration::from_secs(60)));
/// assert_eq!(retry.delay_after(2), Some(Duration::from_secs(120)));
/// assert_eq!(retry.delay_after(3), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    attempts: u32,
    interval: Duration,
    preceding: u32,
}

impl Retry {
    /// `attempts` in all, the first one included; 0 counts as 1.
    #[must_use]
    pub fn new(attempts: u32, interval: Duration) -> Self {
        Self { attempts, interval, preceding: 0 }
    }

    /// The message has been sent `preceding` times already, on earlier connections. It is sent once
    /// more at least.
    #[must_use]
    pub fn after(self, preceding: u32) -> Self {
        Self { preceding, ..self }
    }

    /// How often the message was sent before this session.
    #[must_use]
    pub fn preceding(&self) -> u32 {
        self.preceding
    }

    /// How long to wait after the message was sent `sent` times in all and failed; `None` if that
    /// was the last time.
    #[must_use]
    pub fn delay_after(&self, sent: u32) -> Option<Duration> {
        (sent < self.attempts).then(|| self.interval.saturating_mul(sent).min(LONGEST_DELAY))
    }
}

/// A day. Who configures more means never, and a point in time can be computed from it.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_attempts_counts_all_of_them_and_message_attempt_interval_grows() {
        let retry = Retry::new(4, Duration::from_secs(10));
        let delays: Vec<_> =
            (1..=5).map(|sent| retry.delay_after(sent).map(|delay| delay.as_secs())).collect();
        assert_eq!(delays, [Some(10), Some(20), Some(30), None, None]);
        assert_eq!(Retry::new(0, Duration::ZERO).delay_after(1), None);
        assert_eq!(Retry::new(u32::MAX, Duration::MAX).delay_after(9), Some(LONGEST_DELAY));
    }
}
