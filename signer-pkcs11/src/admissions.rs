//! How much each station has asked for, and which keys belong to whom, as far as this process has seen.

use std::{
    collections::{HashMap, VecDeque},
    time::SystemTime,
};

use crate::{
    answer::RequestHash,
    policy::{Limits, Refused},
};

/// The memory of one authority. Bounded: what is forgotten is asked of the record before anything is signed.
#[derive(Debug, Default)]
pub(crate) struct Admissions {
    /// By station: when requests were let in, and which.
    requests: HashMap<String, VecDeque<(SystemTime, RequestHash)>>,
    /// By SHA-256 over the SubjectPublicKeyInfo.
    owners: HashMap<[u8; 32], String>,
}

impl Admissions {
    /// Lets a request in, or says why not. The same request again is let in without being counted.
    pub(crate) fn admit(
        &mut self,
        now: SystemTime,
        station: &str,
        request: RequestHash,
        key: &[u8; 32],
        limits: &Limits,
    ) -> Result<(), Refused> {
        if self.owners.get(key).is_some_and(|owner| owner != station) {
            return Err(Refused::KeyOfAnother);
        }
        let age = limits.window.max(limits.same_answer);
        let is_old = |at: SystemTime| now.duration_since(at).is_ok_and(|passed| passed >= age);
        if self.requests.len() >= MOST_STATIONS {
            self.requests.retain(|_, seen| seen.back().is_some_and(|(at, _)| !is_old(*at)));
        }
        let seen = self.requests.entry(station.to_owned()).or_default();
        while seen.front().is_some_and(|(at, _)| is_old(*at)) {
            seen.pop_front();
        }
        // What lies in the future, because the clock was set back, counts.
        let within = |at: SystemTime, window| now.duration_since(at).map_or(true, |passed| passed < window);
        if seen.iter().any(|(at, earlier)| *earlier == request && within(*at, limits.same_answer)) {
            return Ok(());
        }
        let counted = seen.iter().filter(|(at, _)| within(*at, limits.window)).count();
        if counted >= limits.certificates {
            return Err(Refused::TooMany { certificates: limits.certificates, window: limits.window });
        }
        seen.push_back((now, request));
        Ok(())
    }

    /// Remembers that a key was certified for a station.
    pub(crate) fn certified(&mut self, key: [u8; 32], station: &str) {
        if self.owners.len() >= MOST_KEYS {
            self.owners.clear();
        }
        self.owners.insert(key, station.to_owned());
    }
}

/// Beyond it, stations that have asked for nothing lately are forgotten.
const MOST_STATIONS: usize = 10_000;

/// Beyond it, all are forgotten. 100 bytes each.
const MOST_KEYS: usize = 100_000;

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::Admissions;
    use crate::policy::{Limits, Refused};

    const KEY: [u8; 32] = [7; 32];

    #[test]
    fn rates_are_counted_per_station_and_pass() {
        let limits =
            Limits::default().certificates(2, Duration::from_secs(60)).same_answer(Duration::from_secs(30));
        let mut admissions = Admissions::default();
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let mut ask = |seconds: u64, station: &str, request: u8| {
            let now = start + Duration::from_secs(seconds);
            admissions.admit(now, station, [request; 32], &KEY, &limits)
        };
        assert_eq!(ask(0, "a", 1), Ok(()));
        assert_eq!(ask(1, "a", 2), Ok(()));
        let refused: Result<(), _> =
            Err(Refused::TooMany { certificates: 2, window: Duration::from_secs(60) });
        assert_eq!(ask(2, "a", 3), refused);
        assert_eq!(ask(2, "b", 3), Ok(()), "another station");
        assert_eq!(ask(29, "a", 1), Ok(()), "a resend (A02.FR.17)");
        assert_eq!(ask(31, "a", 1), refused, "too late for a resend");
        assert_eq!(ask(60, "a", 1), Ok(()), "the first one has passed");
        assert_eq!(ask(60, "a", 4), refused);
        assert_eq!(ask(0, "a", 9), refused, "a clock that was set back lets nobody in for free");
    }

    #[test]
    fn a_key_belongs_to_one_station() {
        let mut admissions = Admissions::default();
        admissions.certified(KEY, "a");
        let now = SystemTime::UNIX_EPOCH;
        let limits = Limits::default();
        assert_eq!(admissions.admit(now, "b", [0; 32], &KEY, &limits), Err(Refused::KeyOfAnother));
        assert_eq!(admissions.admit(now, "a", [0; 32], &KEY, &limits), Ok(()));
    }
}
