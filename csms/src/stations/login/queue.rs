//! Logins that wait for a worker to verify their password.
//!
//! A login costs a worker tens of milliseconds. After an outage more stations wait than can be
//! verified before they give up. Three rules make sure that all of these stations are verified
//! after some time. A login leaves the queue when its peer closes the connection, so a worker never
//! verifies for an absent peer. If the oldest login has waited too long, the newest is next,
//! because its peer will wait the longest. The queue is bounded, and a login that does not fit is
//! refused. Each verified password then reduces the number of waiting stations by one.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The priority of a login; the first is served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// A new password that an operator sets.
    Operator,
    /// The password was verified recently.
    Known,
    /// No recent failure, and few logins of its network in progress.
    Clean,
    /// Its network has many logins in progress or many recent failures, but none for this station.
    Suspect,
    /// A recent password for this station from this network was wrong.
    Failed,
}

impl Standing {
    const ALL: [Self; 5] = [Self::Operator, Self::Known, Self::Clean, Self::Suspect, Self::Failed];
}

/// The waiting logins, by standing and then by arrival. The caller passes the time.
///
/// Order of calls: [`enter`](Self::enter), then [`leave`](Self::leave) or [`next`](Self::next);
/// [`poll_overload`](Self::poll_overload) after each and about once a second.
#[derive(Debug)]
pub(crate) struct LoginQueue<W> {
    waiting: BTreeMap<(Standing, u64), Waiting<W>>,
    next_number: u64,
    /// Since the beginning of the last overload, or of the service.
    counts: Overload,
    overloaded: bool,
    last_pressure: Option<Instant>,
}

#[derive(Debug)]
struct Waiting<W> {
    since: Instant,
    work: W,
}

/// The place of one login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(Standing, u64);

/// An episode of overload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overload {
    /// When it began.
    pub(crate) began: Option<Instant>,
    /// The most logins that waited at once.
    pub(crate) most_waiting: usize,
    /// Logins that a worker has taken.
    pub(crate) served: u64,
    /// Logins that were refused because the queue was full.
    pub(crate) refused: u64,
    /// Logins whose peer closed the connection while they waited.
    pub(crate) gone: u64,
}

/// A change that is reported to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OverloadChange {
    /// Logins wait too long or are refused.
    Began,
    /// No login has waited too long or was refused for a while.
    Ended(Overload),
}

impl<W> LoginQueue<W> {
    pub(crate) fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            next_number: 0,
            counts: Overload::default(),
            overloaded: false,
            last_pressure: None,
        }
    }

    /// Adds a login. If the queue is full, the oldest login of the worst standing is removed and
    /// returned; the caller refuses it. It may be the new one.
    pub(crate) fn enter(&mut self, now: Instant, standing: Standing, work: W) -> (Ticket, Option<W>) {
        let ticket = Ticket(standing, self.next_number);
        self.next_number += 1;
        self.waiting.insert((standing, ticket.1), Waiting { since: now, work });
        let mut refused = None;
        if self.waiting.len() > MAX_WAITING_LOGINS
            && let Some((worst, _)) = self.waiting.last_key_value().map(|(key, _)| *key)
            && let Some(oldest) = self.waiting.range((worst, 0)..).next().map(|(key, _)| *key)
        {
            refused = self.waiting.remove(&oldest).map(|waiting| waiting.work);
            self.counts.refused += 1;
            self.last_pressure = Some(now);
        }
        self.counts.most_waiting = self.counts.most_waiting.max(self.waiting.len());
        (ticket, refused)
    }

    /// The peer of a login has closed its connection. Returns the work if no worker has taken it.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Option<W> {
        let left = self.waiting.remove(&(ticket.0, ticket.1))?;
        self.counts.gone += 1;
        Some(left.work)
    }

    /// The next work for a worker: the oldest of the best standing, or the newest if the oldest has
    /// waited too long.
    pub(crate) fn next(&mut self, now: Instant) -> Option<W> {
        let (best, oldest, since) =
            self.waiting.first_key_value().map(|((best, oldest), first)| (*best, *oldest, first.since))?;
        let late = now.saturating_duration_since(since) >= OVERLOADED_AFTER;
        let newest = || self.waiting.range((best, 0)..=(best, u64::MAX)).next_back();
        let number = match late.then(newest).flatten() {
            Some(((_, newest), _)) => *newest,
            None => oldest,
        };
        let taken = self.waiting.remove(&(best, number))?;
        self.counts.served += 1;
        if late {
            self.last_pressure = Some(now);
        }
        Some(taken.work)
    }

    /// Whether an episode of overload has begun or ended since the last call.
    pub(crate) fn poll_overload(&mut self, now: Instant) -> Option<OverloadChange> {
        // The first of each standing is its oldest.
        let standings = Standing::ALL;
        let mut oldest = standings.iter().filter_map(|standing| {
            self.waiting
                .range((*standing, 0)..=(*standing, u64::MAX))
                .next()
                .map(|(_, waiting)| waiting.since)
        });
        if oldest.any(|since| now.saturating_duration_since(since) >= OVERLOADED_AFTER) {
            self.last_pressure = Some(now);
        }
        let pressed = self.last_pressure.is_some_and(|last| now.saturating_duration_since(last) < CALM);
        match (self.overloaded, pressed) {
            (false, true) => {
                self.overloaded = true;
                self.counts = Overload {
                    began: Some(now),
                    most_waiting: self.waiting.len(),
                    // The refusals and departures since the last call belong to the overload.
                    ..self.counts
                };
                Some(OverloadChange::Began)
            }
            (true, false) => {
                self.overloaded = false;
                let ended = std::mem::take(&mut self.counts);
                Some(OverloadChange::Ended(ended))
            }
            (false, false) => {
                self.counts = Overload::default();
                None
            }
            (true, true) => None,
        }
    }

    /// The current episode, if any.
    pub(crate) fn overload(&self) -> Option<Overload> {
        self.overloaded.then_some(self.counts)
    }

    /// The number of waiting logins.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

impl Ticket {
    /// When a refused station should try again. The times are spread.
    pub(crate) fn retry_after(self) -> Duration {
        RETRY_AFTER + Duration::from_secs(self.1 % RETRY_SPREAD_SECONDS)
    }
}

/// Logins that wait at the same time; each holds a TLS connection, about 20 KiB. Two workers verify
/// that many in 13 s, which is within the deadline of a handshake.
pub(crate) const MAX_WAITING_LOGINS: usize = 1_024;

/// If a login has waited longer, the newest is next. Stations give up after 5 s or more.
const OVERLOADED_AFTER: Duration = Duration::from_secs(1);

/// An overload ends when no login was refused or waited too long for this time.
const CALM: Duration = Duration::from_secs(10);

/// The shortest `Retry-After`.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The refused stations are spread over this many seconds.
const RETRY_SPREAD_SECONDS: u64 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: f64) -> Duration {
        Duration::from_secs_f64(count)
    }

    #[test]
    fn the_oldest_is_next_until_it_has_waited_too_long() {
        let start = Instant::now();
        let mut queue = LoginQueue::new();
        for (number, at) in [0.0, 0.1, 0.2, 0.3].into_iter().enumerate() {
            queue.enter(start + seconds(at), Standing::Clean, number);
        }
        assert_eq!(queue.next(start + seconds(0.5)), Some(0));
        assert_eq!(queue.next(start + seconds(1.2)), Some(3));
        assert_eq!(queue.next(start + seconds(1.2)), Some(2));
        assert_eq!(queue.next(start + seconds(1.2)), Some(1));
        assert_eq!(queue.next(start + seconds(1.2)), None);
    }

    #[test]
    fn who_has_failed_comes_last_and_is_refused_first() {
        let start = Instant::now();
        let mut queue = LoginQueue::new();
        for number in 0..MAX_WAITING_LOGINS {
            assert_eq!(queue.enter(start, Standing::Failed, number).1, None);
        }
        assert_eq!(queue.enter(start, Standing::Clean, 1_000).1, Some(0), "the oldest of the worst");
        assert_eq!(queue.enter(start, Standing::Suspect, 1_001).1, Some(1));
        assert_eq!(queue.enter(start, Standing::Operator, 1_002).1, Some(2));
        assert_eq!(queue.len(), MAX_WAITING_LOGINS);
        let order: Vec<_> = (0..4).filter_map(|_| queue.next(start)).collect();
        assert_eq!(order, [1_002, 1_000, 1_001, 3]);

        let mut queue = LoginQueue::new();
        for number in 0..MAX_WAITING_LOGINS {
            queue.enter(start, Standing::Clean, number);
        }
        assert_eq!(queue.enter(start, Standing::Failed, 1_000).1, Some(1_000), "only it has failed");
        assert_eq!(queue.enter(start, Standing::Clean, 1_001).1, Some(0));
    }

    #[test]
    fn who_has_gone_is_not_served() {
        let start = Instant::now();
        let mut queue = LoginQueue::new();
        let (first, _) = queue.enter(start, Standing::Clean, 1);
        queue.enter(start, Standing::Clean, 2);
        assert_eq!(queue.leave(first), Some(1));
        assert_eq!(queue.leave(first), None);
        assert_eq!(queue.next(start), Some(2));
        assert_eq!(queue.next(start), None);
    }

    #[test]
    fn an_overload_is_reported_once_with_what_it_cost() {
        let start = Instant::now();
        let mut queue = LoginQueue::new();
        queue.enter(start, Standing::Clean, ());
        assert_eq!(queue.poll_overload(start), None);
        assert_eq!(queue.overload(), None);
        for _ in 0..MAX_WAITING_LOGINS + 5 {
            queue.enter(start + seconds(0.5), Standing::Clean, ());
        }
        assert_eq!(queue.poll_overload(start + seconds(0.5)), Some(OverloadChange::Began));
        assert_eq!(queue.poll_overload(start + seconds(2.0)), None);
        let (ticket, _) = queue.enter(start + seconds(2.0), Standing::Clean, ());
        queue.leave(ticket);
        while queue.next(start + seconds(3.0)).is_some() {}
        assert_eq!(queue.poll_overload(start + seconds(12.9)), None);
        let Some(OverloadChange::Ended(ended)) = queue.poll_overload(start + seconds(13.0)) else {
            panic!("it goes on")
        };
        assert_eq!((ended.refused, ended.gone, ended.most_waiting), (7, 1, MAX_WAITING_LOGINS));
        assert_eq!(ended.served, 1_023);
        assert_eq!(queue.overload(), None);
    }
}
