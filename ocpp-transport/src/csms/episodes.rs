//! One security event for each episode of the same failure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use certificates::Fingerprint;

use crate::csms::network::Network;
use crate::tls::SecurityEventKind;

/// The kind of a failure, its origin, and its certificate, because a proxy gives many stations one
/// address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Failure {
    pub(crate) network: Network,
    pub(crate) kind: SecurityEventKind,
    pub(crate) which: Which,
}

/// Which certificate was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Which {
    /// The failure has another reason, or happened before a certificate was received.
    None,
    One(Fingerprint),
    /// The network has too many certificates to distinguish them.
    Many,
}

/// What to report about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// Nothing: it belongs to an episode that is reported already.
    None,
    /// A security event.
    Event,
    /// A security event that stands for all further certificates of the network, which has
    /// reached the limit of certificates that are distinguished.
    FurtherCertificates,
    /// A security event that stands for all further failures of every network, because the limit of
    /// distinguished episodes is reached.
    FurtherFailures,
}

impl Report {
    /// What the reason of the security event adds for the operator, beginning with `"; "`, or an
    /// empty text.
    pub(crate) fn note(self) -> &'static str {
        match self {
            Self::None | Self::Event => "",
            Self::FurtherCertificates => {
                "; further certificates from this network are not distinguished, they are reported together once an hour"
            }
            Self::FurtherFailures => {
                "; further failures from all networks are not distinguished, they are reported together once an hour"
            }
        }
    }
}

/// The failures that continue. A refused station retries forever, and one notification is enough
/// (A00.FR.316, A00.FR.419).
#[derive(Debug, Default)]
pub(crate) struct Episodes {
    going_on: HashMap<Failure, Episode>,
    /// When a failure beyond the limit was last reported.
    without_room: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Episode {
    /// The time of the first report of the current minute.
    reported: Instant,
    /// The number of reports in this minute.
    reports: u32,
    last: Instant,
    /// A station was admitted that may have caused this failure.
    is_over: bool,
}

impl Episode {
    fn report(&mut self, now: Instant) {
        if now.saturating_duration_since(self.reported) >= MINUTE {
            (self.reported, self.reports) = (now, 0);
        }
        self.reports += 1;
        self.is_over = false;
    }
}

impl Episodes {
    /// A connection failed. Returns what to report about it.
    pub(crate) fn handle_failure(&mut self, now: Instant, mut failure: Failure) -> Report {
        if matches!(failure.which, Which::One(_)) && !self.going_on.contains_key(&failure) {
            // A peer can generate any number of certificates.
            let same =
                |known: &&Failure| known.network == failure.network && matches!(known.which, Which::One(_));
            if self.going_on.keys().filter(same).count() >= MAX_CERTIFICATES {
                self.forget(now);
            }
            if self.going_on.keys().filter(same).count() >= MAX_CERTIFICATES {
                failure.which = Which::Many;
            }
        }
        let event = match failure.which {
            Which::None | Which::One(_) => Report::Event,
            Which::Many => Report::FurtherCertificates,
        };
        let since = |then: Instant| now.saturating_duration_since(then);
        if let Some(episode) = self.going_on.get_mut(&failure) {
            let is_new = match failure.which {
                // Each failure may be of another certificate.
                Which::Many => since(episode.reported) >= QUIET,
                Which::None | Which::One(_) => {
                    let has_room = episode.reports < MAX_REPORTS || since(episode.reported) >= MINUTE;
                    since(episode.last) >= QUIET || (episode.is_over && has_room)
                }
            };
            episode.last = now;
            if is_new {
                episode.report(now);
                return event;
            }
            return Report::None;
        }
        if self.going_on.len() >= MAX_EPISODES {
            self.forget(now);
        }
        if self.going_on.len() >= MAX_EPISODES {
            if self.without_room.is_some_and(|reported| since(reported) < QUIET) {
                return Report::None;
            }
            self.without_room = Some(now);
            return Report::FurtherFailures;
        }
        self.going_on.insert(failure, Episode { reported: now, reports: 1, last: now, is_over: false });
        event
    }

    /// A station was admitted from this network, perhaps with a certificate. The failures of this
    /// network without a certificate, or with this one, are over. A failure with another
    /// certificate belongs to another station.
    pub(crate) fn handle_success(
        &mut self,
        network: Network,
        certificate: impl FnOnce() -> Option<Fingerprint>,
    ) {
        if self.going_on.keys().any(|failure| failure.network == network) {
            let admitted = certificate();
            for (failure, episode) in &mut self.going_on {
                if failure.network == network {
                    episode.is_over |= match failure.which {
                        Which::None => true,
                        Which::One(refused) => admitted == Some(refused),
                        Which::Many => false,
                    };
                }
            }
        }
    }

    /// Removes the failures that were quiet for so long that they would be reported again anyway.
    fn forget(&mut self, now: Instant) {
        self.going_on.retain(|_, episode| now.saturating_duration_since(episode.last) < QUIET);
    }
}

/// A failure is reported again after this time without one. It is longer than the wait of any
/// station between two attempts.
const QUIET: Duration = Duration::from_secs(60 * 60);

/// The reports in one minute. Behind a proxy, other stations are admitted while one continues to
/// fail.
const MAX_REPORTS: u32 = 4;

const MINUTE: Duration = Duration::from_secs(60);

/// Certificates of one network that are distinguished.
const MAX_CERTIFICATES: usize = 256;

/// Episodes that are distinguished.
const MAX_EPISODES: usize = 4096;

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;

    const VERSION: SecurityEventKind = SecurityEventKind::InvalidTlsVersion;
    const CIPHER: SecurityEventKind = SecurityEventKind::InvalidTlsCipherSuite;

    fn network(number: u32) -> Network {
        Network::of(IpAddr::V4(number.into()))
    }

    fn without_certificate(number: u32, kind: SecurityEventKind) -> Failure {
        Failure { network: network(number), kind, which: Which::None }
    }

    fn with_certificate(number: u32, certificate: &[u8]) -> Failure {
        let kind = SecurityEventKind::InvalidChargingStationCertificate;
        Failure { network: network(number), kind, which: Which::One(Fingerprint::of(certificate)) }
    }

    #[test]
    fn a00_fr_419_an_episode_is_reported_once() {
        let (mut episodes, start) = (Episodes::default(), Instant::now());
        let minute = Duration::from_secs(60);
        let failure = without_certificate(1, VERSION);
        assert_eq!(episodes.handle_failure(start, failure), Report::Event);
        for minutes in 1..120 {
            assert_eq!(episodes.handle_failure(start + minute * minutes, failure), Report::None);
        }
        assert_eq!(
            episodes.handle_failure(start, without_certificate(2, VERSION)),
            Report::Event,
            "another address"
        );
        assert_eq!(
            episodes.handle_failure(start, without_certificate(1, CIPHER)),
            Report::Event,
            "another failure"
        );
        let now = start + minute * 120;
        episodes.handle_success(network(1), || None);
        assert_eq!(episodes.handle_failure(now, failure), Report::Event, "it had worked meanwhile");
        assert_eq!(episodes.handle_failure(now + QUIET, failure), Report::Event, "it was quiet for long");
    }

    #[test]
    fn others_that_are_admitted_behind_a_proxy_do_not_flood_the_log() {
        let (mut episodes, start) = (Episodes::default(), Instant::now());
        let failure = without_certificate(1, VERSION);
        let reported = |episodes: &mut Episodes, now: Instant| {
            let one = |_: &u32| {
                episodes.handle_success(network(1), || None);
                episodes.handle_failure(now, failure) != Report::None
            };
            (0..100).filter(one).count()
        };
        assert_eq!(reported(&mut episodes, start), MAX_REPORTS as usize);
        assert_eq!(reported(&mut episodes, start + MINUTE / 2), 0);
        assert_eq!(reported(&mut episodes, start + MINUTE), MAX_REPORTS as usize);
    }

    #[test]
    fn a00_fr_407_each_certificate_behind_a_proxy_is_an_episode() {
        let (mut episodes, now) = (Episodes::default(), Instant::now());
        for certificate in [b"a", b"b", b"c"] {
            assert_eq!(episodes.handle_failure(now, with_certificate(1, certificate)), Report::Event);
            assert_eq!(episodes.handle_failure(now, with_certificate(1, certificate)), Report::None);
        }
        // Other stations that are admitted through the same proxy do not begin new episodes.
        episodes.handle_success(network(1), || Some(Fingerprint::of(b"good")));
        episodes.handle_success(network(1), || None);
        assert_eq!(episodes.handle_failure(now, with_certificate(1, b"a")), Report::None);
        episodes.handle_success(network(1), || Some(Fingerprint::of(b"a")));
        assert_eq!(episodes.handle_failure(now, with_certificate(1, b"a")), Report::Event);
        assert_eq!(episodes.handle_failure(now, with_certificate(1, b"b")), Report::None);
    }

    #[test]
    fn endless_certificates_from_one_address_do_not_flood_the_log() {
        let (mut episodes, start) = (Episodes::default(), Instant::now());
        let reported = |episodes: &mut Episodes, now: Instant| {
            let one = |number: u32| {
                episodes.handle_success(network(1), || None);
                episodes.handle_failure(now, with_certificate(1, &number.to_be_bytes()))
            };
            (0..5_000_u32).map(one).filter(|report| *report != Report::None).collect::<Vec<_>>()
        };
        let reports = reported(&mut episodes, start);
        assert_eq!(reports.len(), MAX_CERTIFICATES + 1);
        let (last, others) = reports.split_last().unwrap();
        assert!(others.iter().all(|report| *report == Report::Event));
        assert_eq!(*last, Report::FurtherCertificates, "the operator sees that the limit is reached");
        assert_eq!(reported(&mut episodes, start + QUIET / 2), []);
        // The further certificates are reported again after an hour, as such.
        assert_eq!(reported(&mut episodes, start + QUIET), [Report::FurtherCertificates]);
        assert_eq!(
            episodes.handle_failure(start, with_certificate(2, b"a")),
            Report::Event,
            "another address"
        );
        // They do not suppress the report of a station that fails much later.
        let later = start + QUIET * 2;
        assert_eq!(episodes.handle_failure(later, with_certificate(1, b"a station")), Report::Event);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut episodes, start) = (Episodes::default(), Instant::now());
        let reported = |episodes: &mut Episodes, now: Instant| {
            let one = |number| episodes.handle_failure(now, without_certificate(number, VERSION));
            let reports = (0..10_000).map(one).filter(|report| *report != Report::None).collect::<Vec<_>>();
            assert!(episodes.going_on.len() <= MAX_EPISODES);
            reports
        };
        let reports = reported(&mut episodes, start);
        assert_eq!(reports.len(), MAX_EPISODES + 1);
        assert_eq!(reports.last(), Some(&Report::FurtherFailures));
        // Failures that continue stay known, however many others follow.
        assert_eq!(reported(&mut episodes, start + Duration::from_secs(60)), []);
    }
}
