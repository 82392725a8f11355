//! One security event for each episode of the same failure.

use core::net::IpAddr;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::tls::SecurityEventKind;

/// What goes wrong at the moment, and where it comes from. A station that is refused tries again for ever; one
/// notification is enough (A00.FR.316, A00.FR.419).
#[derive(Debug, Default)]
pub(crate) struct Episodes {
    last_failure: HashMap<(IpAddr, SecurityEventKind), Instant>,
}

impl Episodes {
    /// A connection failed. Whether that begins an episode.
    pub(crate) fn handle_failure(&mut self, now: Instant, address: IpAddr, kind: SecurityEventKind) -> bool {
        if let Some(last) = self.last_failure.get_mut(&(address, kind)) {
            let over = now.saturating_duration_since(*last) >= QUIET;
            *last = now;
            return over;
        }
        if self.last_failure.len() >= MAX_EPISODES {
            self.last_failure.retain(|_, last| now.saturating_duration_since(*last) < QUIET);
        }
        if self.last_failure.len() >= MAX_EPISODES {
            let oldest = self.last_failure.iter().min_by_key(|(_, last)| **last).map(|(key, _)| *key);
            oldest.map(|key| self.last_failure.remove(&key));
        }
        self.last_failure.insert((address, kind), now);
        true
    }

    /// A station was admitted from this address: what went wrong there is over.
    pub(crate) fn handle_success(&mut self, address: IpAddr) {
        if !self.last_failure.is_empty() {
            self.last_failure.retain(|(failed, _), _| *failed != address);
        }
    }
}

/// After so long without a failure, the next one is news. Longer than any station waits between two attempts.
const QUIET: Duration = Duration::from_secs(60 * 60);

/// Episodes that are remembered; beyond it, the oldest is told again if it goes on.
const MAX_EPISODES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: SecurityEventKind = SecurityEventKind::InvalidTlsVersion;
    const CIPHER: SecurityEventKind = SecurityEventKind::InvalidTlsCipherSuite;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn a00_fr_419_an_episode_is_told_once() {
        let (mut episodes, start) = (Episodes::default(), Instant::now());
        let minute = Duration::from_secs(60);
        assert!(episodes.handle_failure(start, address(1), VERSION));
        for minutes in 1..120 {
            assert!(!episodes.handle_failure(start + minute * minutes, address(1), VERSION));
        }
        assert!(episodes.handle_failure(start, address(2), VERSION), "another address");
        assert!(episodes.handle_failure(start, address(1), CIPHER), "another failure");
        let now = start + minute * 120;
        episodes.handle_success(address(1));
        assert!(episodes.handle_failure(now, address(1), VERSION), "it had worked meanwhile");
        assert!(episodes.handle_failure(now + QUIET, address(1), VERSION), "it was quiet for long");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut episodes, start) = (Episodes::default(), Instant::now());
        for number in 0..5_000 {
            let now = start + Duration::from_millis(u64::from(number));
            assert!(episodes.handle_failure(now, address(number), VERSION));
            assert!(episodes.last_failure.len() <= MAX_EPISODES);
        }
        // The newest are known still.
        assert!(!episodes.handle_failure(start + Duration::from_secs(5), address(4_999), VERSION));
    }
}
