//! Simulates herds of stations in virtual time, and checks that all of them are verified.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

use super::{LoginQueue, Standing, Ticket, queue::MAX_WAITING_LOGINS};

/// Stations that connect at the same time, with the time they wait and the time until they retry.
#[derive(Clone, Copy)]
struct Herd {
    stations: usize,
    patience: Duration,
    retry: Duration,
}

/// Which login is verified next.
enum Order {
    /// The queue of this crate.
    Ours(LoginQueue<Attempt>),
    /// First come, first served. No login leaves the queue.
    Fifo(VecDeque<Attempt>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Attempt {
    station: usize,
    number: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Comes { station: usize },
    GivesUp { station: usize, attempt: u32 },
    Verified { station: usize, attempt: u32 },
}

#[derive(Clone, Copy, Default)]
struct Station {
    attempt: u32,
    present: bool,
    ticket: Option<Ticket>,
    booted: bool,
}

/// The result of a simulation.
#[derive(Debug)]
struct Outcome {
    booted: usize,
    /// Passwords that were verified for stations that had left.
    in_vain: usize,
    /// When the last station was verified.
    seconds: f64,
}

/// Two workers that need 25 ms for a password.
const WORKERS: usize = 2;
const SERVICE: Duration = Duration::from_millis(25);

/// The virtual time at which a simulation ends.
const END: Duration = Duration::from_secs(15 * 60);

fn simulate(herd: Herd, mut order: Order) -> Outcome {
    let start = Instant::now();
    let mut stations = vec![Station::default(); herd.stations];
    let mut events = BinaryHeap::new();
    for station in 0..herd.stations {
        // The herd arrives within a second, as fast as TLS lets it.
        let at = Duration::from_secs(1).mul_f64(station as f64 / herd.stations as f64);
        events.push(Reverse((at, Event::Comes { station })));
    }
    let (mut idle, mut outcome) = (WORKERS, Outcome { booted: 0, in_vain: 0, seconds: 0.0 });
    while let Some(Reverse((at, event))) = events.pop().filter(|Reverse((at, _))| *at < END) {
        let now = start + at;
        match event {
            Event::Comes { station } => {
                let entry = &mut stations[station];
                entry.attempt += 1;
                entry.present = true;
                let attempt = Attempt { station, number: entry.attempt };
                events
                    .push(Reverse((at + herd.patience, Event::GivesUp { station, attempt: attempt.number })));
                match &mut order {
                    Order::Ours(queue) => {
                        let (ticket, refused) = queue.enter(now, Standing::Clean, attempt);
                        stations[station].ticket = Some(ticket);
                        if let Some(refused) = refused {
                            let entry = &mut stations[refused.station];
                            entry.present = false;
                            events
                                .push(Reverse((at + herd.retry, Event::Comes { station: refused.station })));
                        }
                    }
                    Order::Fifo(queue) => queue.push_back(attempt),
                }
            }
            Event::GivesUp { station, attempt } => {
                let entry = &mut stations[station];
                if entry.present && entry.attempt == attempt && !entry.booted {
                    entry.present = false;
                    if let (Order::Ours(queue), Some(ticket)) = (&mut order, entry.ticket) {
                        queue.leave(ticket);
                    }
                    events.push(Reverse((at + herd.retry, Event::Comes { station })));
                }
            }
            Event::Verified { station, attempt } => {
                idle += 1;
                let entry = &mut stations[station];
                if entry.present && entry.attempt == attempt {
                    entry.booted = true;
                    outcome.booted += 1;
                    outcome.seconds = at.as_secs_f64();
                } else {
                    outcome.in_vain += 1;
                }
            }
        }
        while idle > 0 {
            let next = match &mut order {
                Order::Ours(queue) => queue.next(now),
                Order::Fifo(queue) => queue.pop_front(),
            };
            let Some(Attempt { station, number: attempt }) = next else { break };
            idle -= 1;
            events.push(Reverse((at + SERVICE, Event::Verified { station, attempt })));
        }
    }
    outcome
}

fn herd(stations: usize, patience: u64, retry: u64) -> Herd {
    Herd { stations, patience: Duration::from_secs(patience), retry: Duration::from_secs(retry) }
}

#[test]
fn every_herd_converges_and_hardly_a_password_is_verified_in_vain() {
    for (stations, patience, retry) in [
        (2_000, 60, 30),
        (5_000, 60, 30),
        (2_000, 5, 5),
        (5_000, 5, 5),
        (5_000, 5, 1),
        (5_000, 2, 10),
        (20_000, 5, 5),
    ] {
        let outcome = simulate(herd(stations, patience, retry), Order::Ours(LoginQueue::new()));
        assert_eq!(outcome.booted, stations, "{stations} {patience} {retry}: {outcome:?}");
        // In each round a full queue is served, or as many stations as can be served before they
        // give up.
        let a_round =
            (MAX_WAITING_LOGINS as f64).min(patience as f64 / SERVICE.as_secs_f64() * WORKERS as f64);
        let round_seconds = retry as f64 + a_round * SERVICE.as_secs_f64() / WORKERS as f64;
        let most = (stations as f64 / a_round).ceil() * round_seconds + 2.0 * patience as f64;
        assert!(outcome.seconds <= most, "{stations} {patience} {retry}: {outcome:?}, at most {most}");
        assert!(outcome.in_vain * 20 <= stations, "{stations} {patience} {retry}: {outcome:?}");
    }
}

/// The reason for the queue: in order of arrival and without departures, the workers verify for
/// stations that have left.
#[test]
fn first_come_first_served_does_not_converge() {
    let outcome = simulate(herd(5_000, 5, 5), Order::Fifo(VecDeque::new()));
    assert!(outcome.booted < 1_000, "{outcome:?}");
    assert!(outcome.in_vain > 10 * outcome.booted, "{outcome:?}");
    // With patient stations it converges.
    let outcome = simulate(herd(2_000, 60, 30), Order::Fifo(VecDeque::new()));
    assert_eq!(outcome.booted, 2_000, "{outcome:?}");
}
