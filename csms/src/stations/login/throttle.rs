//! Limits how often a password may be guessed.
//!
//! Guesses are counted per pair of station and network, so a peer in another network cannot lock a
//! station out. Failures are also counted per network. They change the order of the waiting logins
//! only: a network with many failures is not refused, because a whole fleet may be behind it, but
//! its logins come after others.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

use certificates::StationIdentity;
use ocpp_transport::Network;

use crate::stations::login::Standing;

/// The wrong guesses that are known. The caller passes the time.
///
/// Order of calls: [`begin`](Self::begin), then one of [`handle_right`](Self::handle_right),
/// [`handle_wrong`](Self::handle_wrong) and [`handle_unjudged`](Self::handle_unjudged).
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    limits: GuessLimits,
    pairs: HashMap<Guess, Bucket>,
    networks: HashMap<Network, Bucket>,
    /// The number of guesses in progress of each network. The queue of logins bounds the map.
    under_way: HashMap<Network, usize>,
}

/// How often passwords may be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GuessLimits {
    /// Wrong passwords of a station from one address, before it has one attempt per minute.
    pub(crate) per_station: u32,
    /// Wrong passwords from one address, before its logins come after those of others.
    pub(crate) per_address: u32,
    /// Logins of one address in progress. Above this number they come after those of others.
    pub(crate) under_way: usize,
}

impl Default for GuessLimits {
    /// A site may have some stations with wrong passwords. Above these numbers other logins go
    /// first.
    fn default() -> Self {
        Self { per_station: 5, per_address: 30, under_way: 8 }
    }
}

impl GuessLimits {
    fn pair(&self) -> Size {
        Size { guesses: self.per_station.max(1), refill: Duration::from_secs(60) }
    }

    fn network(&self) -> Size {
        Size { guesses: self.per_address.max(1), refill: Duration::from_secs(10) }
    }
}

/// A network that guesses the password of a station.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Guess {
    /// The network that the guess comes from.
    pub(crate) network: Network,
    /// The station whose password is guessed.
    pub(crate) station: StationIdentity,
}

/// A bucket of guesses that refills with time, stored as the instant at which it is full.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    full_at: Instant,
}

/// The size of a bucket, and the time in which one guess is added to it.
struct Size {
    guesses: u32,
    refill: Duration,
}

impl Throttle {
    pub(crate) fn new(limits: GuessLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes one guess of the pair before a password is verified. Returns the standing of the
    /// login, or how long the pair has to wait.
    pub(crate) fn begin(&mut self, now: Instant, guess: &Guess) -> Result<Standing, Duration> {
        let (pair, network) = (self.limits.pair(), self.limits.network());
        let crowded =
            self.networks.get(&guess.network).is_some_and(|bucket| bucket.wait(now, &network).is_some());
        let bucket = self.pairs.get(guess).copied().unwrap_or(Bucket { full_at: now });
        if let Some(wait) = bucket.wait(now, &pair) {
            return Err(wait);
        }
        let clean = bucket.full_at <= now;
        let under_way = self.under_way.entry(guess.network).or_default();
        let crowded = crowded || *under_way >= self.limits.under_way;
        *under_way += 1;
        put(&mut self.pairs, now, guess, bucket.less(now, &pair, 1), MAX_PAIRS);
        Ok(match (clean, crowded) {
            (true, false) => Standing::Clean,
            (true, true) => Standing::Suspect,
            (false, _) => Standing::Failed,
        })
    }

    /// The password was right: the bucket of the pair is full again.
    pub(crate) fn handle_right(&mut self, guess: &Guess) {
        self.end(guess.network);
        self.pairs.remove(guess);
    }

    /// The password was wrong. Returns whether this was the last guess of the pair.
    pub(crate) fn handle_wrong(&mut self, now: Instant, guess: &Guess) -> bool {
        self.end(guess.network);
        let (pair, network) = (self.limits.pair(), self.limits.network());
        let bucket = self.networks.get(&guess.network).copied().unwrap_or(Bucket { full_at: now });
        let crowded = bucket.wait(now, &network).is_some();
        if !crowded {
            put(&mut self.networks, now, &guess.network, bucket.less(now, &network, 1), MAX_NETWORKS);
        }
        // A network with many failures may try one station after another. Each station then has a
        // single guess.
        let bucket = self.pairs.get(guess).copied().unwrap_or(Bucket { full_at: now });
        let bucket = match crowded {
            true => bucket.less(now, &pair, pair.guesses),
            false => bucket,
        };
        put(&mut self.pairs, now, guess, bucket, MAX_PAIRS);
        bucket.wait(now, &pair).is_some()
    }

    /// The password was not verified, because the peer left or was refused.
    pub(crate) fn handle_unjudged(&mut self, guess: &Guess) {
        self.end(guess.network);
        if let Some(bucket) = self.pairs.get_mut(guess) {
            bucket.full_at -= self.limits.pair().refill;
        }
    }

    fn end(&mut self, network: Network) {
        if let Some(under_way) = self.under_way.get_mut(&network) {
            *under_way -= 1;
            if *under_way == 0 {
                self.under_way.remove(&network);
            }
        }
    }
}

impl Bucket {
    /// The time until the bucket holds a guess; `None` if it holds one now.
    fn wait(self, now: Instant, size: &Size) -> Option<Duration> {
        let missing = self.full_at.saturating_duration_since(now);
        let wait = missing.saturating_sub(size.refill * (size.guesses - 1));
        (wait > Duration::ZERO).then_some(wait)
    }

    /// The bucket without these guesses; it cannot be less than empty.
    fn less(self, now: Instant, size: &Size, guesses: u32) -> Self {
        let full_at = self.full_at.max(now) + size.refill * guesses;
        Self { full_at: full_at.min(now + size.refill * size.guesses) }
    }
}

/// Puts a bucket into a bounded map. If the map is full, all full buckets are removed, or else the
/// part that is full soonest.
fn put<K: Clone + Eq + Hash>(
    buckets: &mut HashMap<K, Bucket>,
    now: Instant,
    key: &K,
    bucket: Bucket,
    bound: usize,
) {
    if buckets.len() >= bound && !buckets.contains_key(key) {
        buckets.retain(|_, bucket| bucket.full_at > now);
        if buckets.len() >= bound {
            let mut full_at = buckets.values().map(|bucket| bucket.full_at).collect::<Vec<_>>();
            // Several entries are removed at once, so that not every failure scans the map.
            let (_, last, _) = full_at.select_nth_unstable(bound / PART);
            let last = *last;
            buckets.retain(|_, bucket| bucket.full_at > last);
        }
    }
    buckets.insert(key.clone(), bucket);
}

/// A full map loses one entry in `PART` at once.
const PART: usize = 8;

/// Pairs that are remembered, about 200 bytes each. Each entry costs a verified password, so a peer
/// can add entries only slowly.
const MAX_PAIRS: usize = 16_384;

/// Networks that are remembered, about 100 bytes each.
const MAX_NETWORKS: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(network: u32, station: &str) -> Guess {
        let address = core::net::IpAddr::V4(network.into());
        Guess {
            network: Network::of(address),
            station: StationIdentity::try_from(station).expect("an identity"),
        }
    }

    fn wrong(throttle: &mut Throttle, now: Instant, guess: &Guess) -> Result<Standing, Duration> {
        let standing = throttle.begin(now, guess)?;
        throttle.handle_wrong(now, guess);
        Ok(standing)
    }

    #[test]
    fn guesses_of_a_pair_are_counted_and_come_back() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let pair = guess(1, "CS1");
        assert_eq!(wrong(&mut throttle, start, &pair), Ok(Standing::Clean));
        for _ in 1..5 {
            assert_eq!(wrong(&mut throttle, start, &pair), Ok(Standing::Failed));
        }
        assert_eq!(wrong(&mut throttle, start, &pair), Err(Duration::from_secs(60)));
        assert_eq!(throttle.begin(start, &guess(1, "cs1")), Err(Duration::from_secs(60)), "another spelling");
        let later = start + Duration::from_secs(60);
        assert_eq!(wrong(&mut throttle, later, &pair), Ok(Standing::Failed));
        assert!(wrong(&mut throttle, later, &pair).is_err());
    }

    #[test]
    fn a_station_is_not_locked_out_from_elsewhere() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        for network in 100..1_000 {
            for _ in 0..10 {
                let _ = wrong(&mut throttle, start, &guess(network, "CS1"));
            }
        }
        assert_eq!(throttle.begin(start, &guess(1, "CS1")), Ok(Standing::Clean));
    }

    #[test]
    fn behind_an_address_of_many_failures_a_station_comes_later_and_is_not_refused() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        for station in 0..200 {
            let _ = wrong(&mut throttle, start, &guess(1, &format!("A{station}")));
        }
        assert_eq!(throttle.begin(start, &guess(1, "CS1")), Ok(Standing::Suspect));
        assert_eq!(throttle.begin(start, &guess(2, "CS1")), Ok(Standing::Clean));
        // If one station after another is tried, each one has a single guess.
        assert_eq!(wrong(&mut throttle, start, &guess(1, "CS2")), Ok(Standing::Suspect));
        assert!(throttle.begin(start, &guess(1, "CS2")).is_err());
    }

    #[test]
    fn who_sends_many_at_once_comes_after_others() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let many: Vec<_> = (0..20).map(|station| guess(1, &format!("A{station}"))).collect();
        let standings: Vec<_> = many.iter().map(|guess| throttle.begin(start, guess)).collect();
        assert!(standings[..8].iter().all(|standing| *standing == Ok(Standing::Clean)));
        assert!(standings[8..].iter().all(|standing| *standing == Ok(Standing::Suspect)));
        assert_eq!(throttle.begin(start, &guess(2, "CS1")), Ok(Standing::Clean));
        many.iter().for_each(|guess| throttle.handle_unjudged(guess));
        throttle.handle_right(&guess(2, "CS1"));
        assert!(throttle.under_way.is_empty());
    }

    #[test]
    fn what_is_right_or_unjudged_costs_nothing() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let pair = guess(1, "CS1");
        for _ in 0..20 {
            assert!(throttle.begin(start, &pair).is_ok());
            throttle.handle_unjudged(&pair);
        }
        for _ in 0..4 {
            let _ = wrong(&mut throttle, start, &pair);
        }
        assert!(throttle.begin(start, &pair).is_ok());
        throttle.handle_right(&pair);
        assert_eq!(throttle.begin(start, &pair), Ok(Standing::Clean));
    }

    #[test]
    fn at_once_a_pair_has_no_more_guesses_than_one_after_the_other() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let begun = (0..100).filter(|_| throttle.begin(start, &guess(1, "CS1")).is_ok()).count();
        assert_eq!(begun, 5);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        for number in 0..20_000 {
            let now = start + Duration::from_micros(u64::from(number));
            let _ = wrong(&mut throttle, now, &guess(number, "CS1"));
            assert!(throttle.pairs.len() <= MAX_PAIRS && throttle.networks.len() <= MAX_NETWORKS);
        }
        assert!(throttle.pairs.len() > MAX_PAIRS / 2 && throttle.networks.len() > MAX_NETWORKS / 2);
        // The newest failures are remembered.
        assert_eq!(throttle.begin(start, &guess(19_999, "CS1")), Ok(Standing::Failed));
    }
}
