//! When a CALL that failed is sent again.

use std::time::Duration;

/// Sends a CALL again after a CALLERROR or if no answer comes, as stations do with messages about
/// transactions.
///
/// The application sets the numbers: `MessageAttempts` and `MessageAttemptInterval` of
/// OCPPCommCtrlr (2.x), or `TransactionMessageAttempts` and `TransactionMessageRetryInterval`
/// (1.6). The wait before a repetition is the interval multiplied by the number of transmissions so
/// far. The repetition has the same id (2.0.1 errata 2024-09), so a late answer to an earlier
/// attempt ends it, too.
///
/// Messages with a retry policy keep their order: while one waits for its next attempt, later ones
/// wait, too, and messages without a policy pass. They also wait until BootNotification is
/// accepted, while messages without a policy fail. A policy ends with the connection, because only
/// the application can keep messages over a restart. It continues the count on the next connection
/// with [`Retry::after`].
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
    /// `attempts` in total, including the first one; 0 counts as 1.
    #[must_use]
    pub fn new(attempts: u32, interval: Duration) -> Self {
        Self { attempts, interval, preceding: 0 }
    }

    /// The message has been sent `preceding` times on earlier connections. It is sent at least once
    /// more.
    #[must_use]
    pub fn after(self, preceding: u32) -> Self {
        Self { preceding, ..self }
    }

    /// How often the message was sent before this session.
    #[must_use]
    pub fn preceding(&self) -> u32 {
        self.preceding
    }

    /// The wait after the message was sent `sent` times in total and failed; `None` after the last
    /// time.
    #[must_use]
    pub fn delay_after(&self, sent: u32) -> Option<Duration> {
        (sent < self.attempts).then(|| self.interval.saturating_mul(sent).min(LONGEST_DELAY))
    }
}

/// One day. A longer wait means never, and with this bound a point in time can be computed.
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
