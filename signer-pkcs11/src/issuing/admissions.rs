//! How many certificates each station may have, and which keys belong to which station, as far as
//! this process has seen.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use certificates::{KeyHash, StationIdentity};

use crate::policy::{refused::Refused, settings::RequestLimits};

/// What makes two requests the same: station, use, id and every byte of the CSR.
pub(crate) type RequestHash = [u8; 32];

/// The memory of one authority. It is bounded. Before a signature, the record supplies the facts
/// that were forgotten. Clones share the memory.
///
/// Times are monotonic: setting the clock neither raises nor lowers the limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admissions(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    stations: HashMap<StationIdentity, Counted>,
    owners: HashMap<KeyHash, StationIdentity>,
}

/// What counts against the limit of a station.
#[derive(Debug, Default)]
struct Counted {
    /// When certificates were issued.
    made: VecDeque<Instant>,
    /// Requests that were admitted and are not decided yet.
    reserved: Vec<(RequestHash, Weak<Reservation>)>,
}

/// A place within a station's limit. It is free again when this is dropped, unless the certificate
/// was issued: a request that fails on the authority's side does not count.
#[derive(Debug)]
pub(crate) struct Reservation {
    admissions: Admissions,
    station: StationIdentity,
    used: AtomicBool,
}

impl Admissions {
    /// Admits a request or refuses it. The same request shares the place of the first one until
    /// that is decided.
    pub(crate) fn admit(
        &self,
        now: Instant,
        station: &StationIdentity,
        request: RequestHash,
        key: &KeyHash,
        limits: &RequestLimits,
    ) -> Result<Arc<Reservation>, Refused> {
        // Dropped after the lock: the last owner of a reservation takes the lock itself.
        let shared;
        let mut memory = self.lock();
        memory.check_owner(key, station)?;
        if memory.stations.len() >= MAX_STATIONS {
            memory.stations.retain(|_, counted| counted.is_recent(now, limits));
        }
        let counted = memory.stations.entry(station.clone()).or_default();
        counted.forget(now, limits);
        let same = counted.reserved.iter().find(|(reserved, _)| *reserved == request);
        shared = same.and_then(|(_, reservation)| reservation.upgrade()).filter(|one| !one.is_used());
        if let Some(reservation) = &shared {
            return Ok(Arc::clone(reservation));
        }
        if counted.made.len() + counted.reserved.len() >= limits.certificates {
            return Err(too_many(limits));
        }
        let reservation = Arc::new(Reservation {
            admissions: self.clone(),
            station: station.clone(),
            used: AtomicBool::new(false),
        });
        counted.reserved.push((request, Arc::downgrade(&reservation)));
        Ok(reservation)
    }

    /// Refuses the key of another station.
    pub(crate) fn check_owner(&self, key: &KeyHash, station: &StationIdentity) -> Result<(), Refused> {
        self.lock().check_owner(key, station)
    }

    /// Refuses a certificate above the limit, judged by the record, which survives this process.
    /// Reserved places are not on record yet, including the place of this request.
    pub(crate) fn check_recorded(
        &self,
        station: &StationIdentity,
        recorded: u64,
        limits: &RequestLimits,
    ) -> Result<(), Refused> {
        let memory = self.lock();
        let reserved = memory.stations.get(station).map_or(0, |counted| counted.reserved.len());
        let recorded = usize::try_from(recorded).unwrap_or(usize::MAX);
        match recorded.saturating_add(reserved.max(1)) > limits.certificates {
            true => Err(too_many(limits)),
            false => Ok(()),
        }
    }

    /// Remembers that a key was certified for a station.
    pub(crate) fn certified(&self, key: KeyHash, station: &StationIdentity) {
        let mut memory = self.lock();
        if memory.owners.len() >= MAX_KEYS {
            memory.owners.clear();
        }
        memory.owners.insert(key, station.clone());
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        // No holder of the lock can leave the maps half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn check_owner(&self, key: &KeyHash, station: &StationIdentity) -> Result<(), Refused> {
        match self.owners.get(key).is_some_and(|owner| owner != station) {
            true => Err(Refused::KeyOfAnother),
            false => Ok(()),
        }
    }
}

impl Counted {
    fn forget(&mut self, now: Instant, limits: &RequestLimits) {
        self.made.retain(|made| now.saturating_duration_since(*made) < limits.window);
        self.reserved.retain(|(_, reservation)| reservation.strong_count() > 0);
    }

    fn is_recent(&self, now: Instant, limits: &RequestLimits) -> bool {
        let is_recent = |made: &Instant| now.saturating_duration_since(*made) < limits.window;
        self.made.back().is_some_and(is_recent) || !self.reserved.is_empty()
    }
}

impl Reservation {
    /// The certificate was issued at `now`, or another authority issues it: it counts from now on.
    pub(crate) fn use_up(&self, now: Instant) {
        if self.used.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut memory = self.admissions.lock();
        let counted = memory.stations.entry(self.station.clone()).or_default();
        counted.made.push_back(now);
        counted.give_up(self);
    }

    /// Whether the certificate for this place was issued.
    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Ordering::Acquire)
    }
}

impl Counted {
    fn give_up(&mut self, reservation: &Reservation) {
        let is_it = |weak: &Weak<Reservation>| std::ptr::eq(weak.as_ptr(), reservation);
        self.reserved.retain(|(_, weak)| !is_it(weak));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(counted) = self.admissions.lock().stations.get_mut(&self.station) {
            counted.give_up(self);
        }
    }
}

fn too_many(limits: &RequestLimits) -> Refused {
    Refused::TooMany { certificates: limits.certificates, window: limits.window }
}

/// Above this number, stations without a recent request are forgotten.
const MAX_STATIONS: usize = 10_000;

/// Above this number, all keys are forgotten. A key takes 100 bytes.
const MAX_KEYS: usize = 100_000;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use certificates::{KeyHash, StationIdentity};

    use super::Admissions;
    use crate::policy::{refused::Refused, settings::RequestLimits};

    fn key() -> KeyHash {
        KeyHash::from([7; 32])
    }

    fn station(identity: &str) -> StationIdentity {
        identity.parse().expect("an identity")
    }

    #[test]
    fn certificates_are_counted_per_station_and_pass() {
        let limits = RequestLimits::default().certificates(2, Duration::from_secs(60));
        let refused = Refused::TooMany { certificates: 2, window: Duration::from_secs(60) };
        let admissions = Admissions::default();
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let ask = |seconds: u64, identity: &str, request: u8| {
            admissions.admit(at(seconds), &station(identity), [request; 32], &key(), &limits)
        };
        let first = ask(0, "a", 1).expect("the first");
        let second = ask(1, "a", 2).expect("the second");
        assert_eq!(ask(2, "a", 3).expect_err("the third"), refused);
        ask(2, "b", 3).expect("another station");
        ask(2, "a", 1).expect("the same request, which is not decided yet");
        // The second one fails on our side.
        drop(second);
        let third = ask(3, "a", 3).expect("there is room again");
        first.use_up(at(3));
        third.use_up(at(4));
        drop((first, third));
        assert_eq!(ask(5, "a", 1).expect_err("the same request again is another certificate"), refused);
        assert_eq!(ask(62, "a", 4).expect_err("both are recent"), refused);
        ask(63, "a", 4).expect("the first one has passed");
    }

    #[test]
    fn the_count_of_the_record_is_the_limit_after_a_restart() {
        let limits = RequestLimits::default().certificates(2, Duration::from_secs(60));
        let admissions = Admissions::default();
        let _reserved =
            admissions.admit(Instant::now(), &station("a"), [1; 32], &key(), &limits).expect("let in");
        assert_eq!(admissions.check_recorded(&station("a"), 1, &limits), Ok(()));
        let refused = Refused::TooMany { certificates: 2, window: Duration::from_secs(60) };
        assert_eq!(admissions.check_recorded(&station("a"), 2, &limits), Err(refused));
        assert_eq!(admissions.check_recorded(&station("b"), 1, &limits), Ok(()));
    }

    #[test]
    fn a_key_belongs_to_one_station() {
        let admissions = Admissions::default();
        admissions.certified(key(), &station("a"));
        let limits = RequestLimits::default();
        let ask =
            |identity: &str| admissions.admit(Instant::now(), &station(identity), [0; 32], &key(), &limits);
        assert_eq!(ask("b").expect_err("another's"), Refused::KeyOfAnother);
        ask("A").expect("its own");
    }
}
