//! The rate at which a station may send messages.

use std::time::{Duration, Instant};

/// The rate at which a station may send messages, as a token bucket: `burst` at once, `per_second`
/// continuously.
///
/// Faster messages are read later. TCP slows the station down, and nothing is lost. After a long
/// time offline a station delivers a thousand transaction events, which is not an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageRate {
    /// Messages per second that are read continuously. At least 1.
    pub per_second: u32,
    /// Messages that are read at once after a pause. At least 1.
    pub burst: u32,
}

impl Default for MessageRate {
    /// 50 a second after a burst of 500: a busy station sends one a second.
    fn default() -> Self {
        Self { per_second: 50, burst: 500 }
    }
}

/// The bucket of one connection.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// The time between two messages.
    interval: Duration,
    /// How far the messages read may be ahead of the rate.
    ahead: Duration,
    /// When the bucket is full again.
    full_at: Instant,
}

impl Bucket {
    pub(crate) fn new(now: Instant, rate: MessageRate) -> Self {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        Self { interval, ahead: interval * (rate.burst.max(1) - 1), full_at: now }
    }

    /// A message was read. Returns when the next one may be read.
    pub(crate) fn handle_message(&mut self, now: Instant) -> Instant {
        self.full_at = self.full_at.max(now) + self.interval;
        // The origin of the clock may be less than a burst ago.
        self.full_at.checked_sub(self.ahead).map_or(now, |at| at.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_read_at_once_and_what_follows_at_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(start, MessageRate { per_second: 10, burst: 5 });
        let mut now = start;
        for _ in 0..4 {
            now = bucket.handle_message(now);
            assert_eq!(now, start);
        }
        for late in 1..=20 {
            now = bucket.handle_message(now);
            assert_eq!(now - start, Duration::from_millis(100 * late));
        }
        // A pause fills the bucket, and no more than that.
        now += Duration::from_secs(3600);
        let start = now;
        for _ in 0..4 {
            now = bucket.handle_message(now);
            assert_eq!(now, start);
        }
        assert_eq!(bucket.handle_message(now) - start, Duration::from_millis(100));
    }

    #[test]
    fn a_rate_of_nothing_is_one() {
        let now = Instant::now();
        let mut bucket = Bucket::new(now, MessageRate { per_second: 0, burst: 0 });
        assert_eq!(bucket.handle_message(now) - now, Duration::from_secs(1));
    }
}
