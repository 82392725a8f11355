//! One security event for each episode of the same failure.

use core::net::IpAddr;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use certificates::Fingerprint;

use crate::tls::SecurityEventKind;

/// What goes wrong, where it comes from, and with which certificate: behind a proxy many stations
/// have one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Failure {
    pub(crate) address: IpAddr,
    pub(crate) kind: SecurityEventKind,
    /// `None` if it failed for another reason, or before a certificate was seen.
    pub(crate) certificate: Option<Fingerprint>,
}

/// The failures that go on at the moment. A station that is refused tries again for ever; one
/// notification is enough (A00.FR.316, A00.FR.419).
#[derive(Debug, Default)]
pub(crate) struct Episodes {
    last: HashMap<Failure, Instant>,
}

impl Episodes {
    /// A connection failed. Whether that begins an episode.
    pub(crate) fn handle_failure(&mut self, now: Instant, mut failure: Failure) -> bool {
        // Anybody can sign certificates without end: those that are too many for one address are
        // one episode.
        if failure.certificate.is_some() && !self.last.contains_key(&failure) {
            let same = self.last.keys().filter(|known| known.address == failure.address);
            if same.count() >= MAX_CERTIFICATES {
                failure.certificate = None;
            }
        }
        if let Some(last) = self.last.get_mut(&failure) {
            let over = now.saturating_duration_since(*last) >= QUIET;
            *last = now;
            return over;
        }
        if self.last.len() >= MAX_EPISODES {
            self.last.retain(|_, last| now.saturating_duration_since(*last) < QUIET);
        }
        if self.last.len() >= MAX_EPISODES {
            let oldest = self.last.iter().min_by_key(|(_, last)| **last).map(|(failure, _)| *failure);
            oldest.map(|failure| self.last.remove(&failure));
        }
        self.last.insert(failure, now);
        true
    }

    /// A station was admitted from this address, perhaps with a certificate: what went wrong there
    /// without one, or with this one, is over. What goes wrong with another certificate is another
    /// station's.
    pub(crate) fn handle_success(
        &mut self,
        address: IpAddr,
        certificate: impl FnOnce() -> Option<Fingerprint>,
    ) {
        if self.last.keys().any(|failure| failure.address == address) {
            let admitted = certificate();
            self.last.retain(|failure, _| {
                let this = failure.certificate.is_none() || failure.certificate == admitted;
                !(failure.address == address && this)
            });
        }
    }
}

/// After so long without a failure, the next one is news. Longer than any station waits between two
/// attempts.
const QUIET: Duration = Duration::from_secs(60 * 60);

/// Certificates from one address that are told apart.
const MAX_CERTIFICATES: usize = 256;

/// Episodes that are remembered; beyond it, the oldest is told again if it goes on.
const MAX_EPISODES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: SecurityEventKind = SecurityEventKind::InvalidTlsVersion;
    const CIPHER: SecurityEventKind = SecurityEventKind::InvalidTlsCipherSuite;

    fn without_certificate(number: u32, kind: SecurityEventKind) -> Failure {
        Failure { address: IpAddr::V4(number.into()), kind, certificate: None }
    }

    fn with_certificate(number: u32, certificate: &[u8]) -> Failure {
        let kind = SecurityEventKind::InvalidChargingStationCertificate;
        let certificate = Some(Fingerprint::of(certificate));
        Failure { address: IpAddr::V4(number.into()), kind, certificate }
    }

    #[test]
    fn a00_fr_419_an_episode_is_told_once() {
        let (mut episodes, start) = (Episodes::default(), Instant::now());
        let minute = Duration::from_secs(60);
        let failure = without_certificate(1, VERSION);
        assert!(episodes.handle_failure(start, failure));
        for minutes in 1..120 {
            assert!(!episodes.handle_failure(start + minute * minutes, failure));
        }
        assert!(episodes.handle_failure(start, without_certificate(2, VERSION)), "another address");
        assert!(episodes.handle_failure(start, without_certificate(1, CIPHER)), "another failure");
        let now = start + minute * 120;
        episodes.handle_success(failure.address, || None);
        assert!(episodes.handle_failure(now, failure), "it had worked meanwhile");
        assert!(episodes.handle_failure(now + QUIET, failure), "it was quiet for long");
    }

    #[test]
    fn a00_fr_407_each_certificate_behind_a_proxy_is_an_episode() {
        let (mut episodes, now) = (Episodes::default(), Instant::now());
        for certificate in [b"a", b"b", b"c"] {
            assert!(episodes.handle_failure(now, with_certificate(1, certificate)));
            assert!(!episodes.handle_failure(now, with_certificate(1, certificate)));
        }
        // Others that are admitted through the same proxy do not begin these anew.
        let address = with_certificate(1, b"a").address;
        episodes.handle_success(address, || Some(Fingerprint::of(b"good")));
        episodes.handle_success(address, || None);
        assert!(!episodes.handle_failure(now, with_certificate(1, b"a")));
        episodes.handle_success(address, || Some(Fingerprint::of(b"a")));
        assert!(episodes.handle_failure(now, with_certificate(1, b"a")));
        assert!(!episodes.handle_failure(now, with_certificate(1, b"b")));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut episodes, start) = (Episodes::default(), Instant::now());
        for number in 0..5_000 {
            let now = start + Duration::from_millis(u64::from(number));
            assert!(episodes.handle_failure(now, without_certificate(number, VERSION)));
            assert!(episodes.last.len() <= MAX_EPISODES);
        }
        // The newest are known still.
        let newest = without_certificate(4_999, VERSION);
        assert!(!episodes.handle_failure(start + Duration::from_secs(5), newest));
    }
    #[test]
    fn endless_certificates_from_one_address_do_not_flood_the_log() {
        let (mut episodes, now) = (Episodes::default(), Instant::now());
        let told = (0..5_000u32)
            .filter(|number| episodes.handle_failure(now, with_certificate(1, &number.to_be_bytes())));
        assert_eq!(told.count(), MAX_CERTIFICATES + 1);
        assert!(episodes.handle_failure(now, with_certificate(2, b"a")), "another address");
    }
}
