//! Limits the connections between TCP and admission, so that no peer can lock out the others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::csms::network::Network;

/// Counts the connections that are not admitted yet.
///
/// There are two bounds. The first is the number of connections, silent ones included. Above it, a
/// new connection replaces the oldest one without a turn, in the network that has the most of them.
/// The second is the number of turns, which a connection needs for its handshake. Above it,
/// connections wait. The next turn goes to the network with the fewest turns, and there to its
/// newest connection, whose peer has the most patience left. No network has more turns than its
/// share. A network without any takes one from a network that has held several for
/// too long.
#[derive(Debug)]
pub(crate) struct Turnstile {
    state: Mutex<State>,
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    turnstile: Arc<Turnstile>,
    network: Network,
    number: u64,
    pushed_out: oneshot::Receiver<()>,
}

/// Requests the turn of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    turnstile: Arc<Turnstile>,
    network: Network,
    number: u64,
}

/// The turn of a connection, which may use the processor. Dropping it gives the turn to the next
/// one.
#[derive(Debug)]
pub(crate) struct Turn {
    turnstile: Arc<Turnstile>,
    network: Network,
    number: u64,
}

#[derive(Debug)]
struct State {
    max_pending: usize,
    max_turns: usize,
    /// Of one network.
    max_turns_each: usize,
    next_number: u64,
    pending: usize,
    turns: usize,
    ticks: u64,
    networks: HashMap<Network, Members>,
    /// Networks by the number of connections that can be pushed out.
    crowded: BTreeSet<(usize, Network)>,
    /// Networks with waiting connections and room for a turn, in the order in which they get one.
    next: BTreeSet<(usize, Reverse<u64>, Network)>,
    /// Networks by the number of their turns.
    busy: BTreeSet<(usize, Network)>,
}

/// The connections of one network by number, which is the order in which they came.
#[derive(Debug, Default)]
struct Members {
    /// Silent ones, and refused ones that have not read the response yet.
    idle: BTreeMap<u64, Member>,
    waiting: BTreeMap<u64, (Member, oneshot::Sender<()>)>,
    turns: BTreeMap<u64, (Member, u64)>,
    /// Their handshake is done; they wait for the admission.
    undecided: BTreeMap<u64, Member>,
}

/// Dropping it signals the connection that it is pushed out.
type Member = oneshot::Sender<()>;

impl Turnstile {
    pub(crate) fn new(max_pending: usize, max_turns: usize, max_turns_each: usize) -> Arc<Self> {
        let state = State {
            max_pending,
            max_turns: max_turns.max(1),
            max_turns_each: max_turns_each.max(1),
            next_number: 0,
            pending: 0,
            turns: 0,
            ticks: 0,
            networks: HashMap::new(),
            crowded: BTreeSet::new(),
            next: BTreeSet::new(),
            busy: BTreeSet::new(),
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Counts a new connection. `None` if the bound is reached and every connection has a turn.
    pub(crate) fn enter(self: &Arc<Self>, network: Network) -> Option<Entry> {
        let mut state = self.lock();
        if state.pending >= state.max_pending && !state.push_out() {
            return None;
        }
        let number = state.next_number;
        state.next_number += 1;
        state.pending += 1;
        let (member, pushed_out) = oneshot::channel();
        state.change(network, |members| members.idle.insert(number, member));
        Some(Entry { turnstile: Arc::clone(self), network, number, pushed_out })
    }

    /// The number of connections that are counted.
    pub(crate) fn pending(&self) -> usize {
        self.lock().pending
    }

    /// Closes one connection that can be pushed out, if any, because the system has no room left.
    pub(crate) fn make_room(&self) {
        self.lock().push_out();
    }

    /// Called once a second. Takes turns from networks that have held several for too long, if
    /// others have none.
    pub(crate) fn tick(&self) {
        let mut state = self.lock();
        state.ticks += 1;
        let starving = state.next.iter().take_while(|(turns, _, _)| *turns == 0).count();
        for _ in 0..starving {
            if state.turns < state.max_turns || !state.take_turn() {
                break;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// The handle that requests the connection's turn.
    pub(crate) fn turns(&self) -> Turns {
        Turns { turnstile: Arc::clone(&self.turnstile), network: self.network, number: self.number }
    }

    /// Waits until the connection has to make room for others.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn pushed_out(&mut self) {
        // The sender is dropped, never used.
        let _ = (&mut self.pushed_out).await;
    }
}

impl Turns {
    /// Waits for the connection's turn.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue.
    pub(crate) async fn turn(self) -> Turn {
        let (grant, granted) = oneshot::channel();
        let turn =
            Turn { turnstile: Arc::clone(&self.turnstile), network: self.network, number: self.number };
        {
            let mut state = self.turnstile.lock();
            let number = self.number;
            state.change(self.network, |members| {
                if let Some(member) = members.idle.remove(&number) {
                    members.waiting.insert(number, (member, grant));
                }
            });
            state.grant();
        }
        if granted.await.is_err() {
            // It was pushed out, which ends the task.
            std::future::pending::<()>().await;
        }
        turn
    }
}

impl Turn {
    /// The handshake is done. The turn is free, and the connection waits for the admission.
    pub(crate) fn end_handshake(&self) {
        let mut state = self.turnstile.lock();
        let number = self.number;
        let had_turn = state.change(self.network, |members| match members.turns.remove(&number) {
            Some((member, _)) => members.undecided.insert(number, member).is_none(),
            None => false,
        });
        if had_turn {
            state.turns -= 1;
            state.grant();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turnstile.lock();
        let number = self.number;
        let had_turn = state.change(self.network, |members| {
            let waited = members.waiting.remove(&number).map(|(member, _)| member);
            let served = members.turns.remove(&number).map(|(member, _)| member);
            let had_turn = served.is_some();
            if let Some(member) = waited.or(served).or_else(|| members.undecided.remove(&number)) {
                members.idle.insert(number, member);
            }
            had_turn
        });
        if had_turn {
            state.turns -= 1;
            state.grant();
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut state = self.turnstile.lock();
        state.remove(self.network, self.number);
        state.grant();
    }
}

impl State {
    /// Changes the connections of a network and updates the indexes.
    fn change<T>(&mut self, network: Network, change: impl FnOnce(&mut Members) -> T) -> T {
        let share = self.max_turns_each;
        let members = self.networks.entry(network).or_default();
        let (crowd, place, turns) = (members.crowd(), members.place(share), members.turns.len());
        let result = change(members);
        let (crowd_now, place_now, turns_now) = (members.crowd(), members.place(share), members.turns.len());
        if members.is_empty() {
            self.networks.remove(&network);
        }
        replace(
            &mut self.crowded,
            (crowd > 0).then_some((crowd, network)),
            (crowd_now > 0).then_some((crowd_now, network)),
        );
        let named =
            |place: Option<(usize, Reverse<u64>)>| place.map(|(turns, newest)| (turns, newest, network));
        replace(&mut self.next, named(place), named(place_now));
        replace(
            &mut self.busy,
            (turns > 0).then_some((turns, network)),
            (turns_now > 0).then_some((turns_now, network)),
        );
        result
    }

    /// Grants the free turns to waiting connections.
    fn grant(&mut self) {
        while self.turns < self.max_turns
            && let Some((_, Reverse(number), network)) = self.next.first().copied()
        {
            let ticks = self.ticks;
            let granted = self.change(network, |members| {
                let (member, grant) = members.waiting.remove(&number)?;
                members.turns.insert(number, (member, ticks));
                Some(grant)
            });
            self.turns += 1;
            // The receiver is gone if the connection is ending; then `Turn` returns the turn.
            granted.map(|grant| grant.send(()));
        }
    }

    /// Makes room for a new connection. Removes the oldest silent connection of the largest
    /// network, or else its oldest waiting one, or else its oldest undecided one.
    fn push_out(&mut self) -> bool {
        let Some((_, network)) = self.crowded.last().copied() else { return false };
        let Some(members) = self.networks.get(&network) else { return false };
        let oldest = members.idle.keys().next().or_else(|| members.waiting.keys().next());
        let oldest = oldest.or_else(|| members.undecided.keys().next());
        let Some(number) = oldest.copied() else { return false };
        self.remove(network, number);
        true
    }

    /// Takes the oldest turn of the network with the most turns, if that is old enough and not the
    /// only one.
    fn take_turn(&mut self) -> bool {
        let Some((_, network)) = self.busy.last().copied().filter(|(turns, _)| *turns > 1) else {
            return false;
        };
        let Some(members) = self.networks.get(&network) else { return false };
        let oldest = members.turns.iter().next().map(|(number, (_, since))| (*number, *since));
        let Some((number, since)) = oldest else { return false };
        if self.ticks - since < MIN_TURN_SECONDS {
            return false;
        }
        self.remove(network, number);
        self.grant();
        true
    }

    /// Removes a connection. Dropping its sender signals its task.
    fn remove(&mut self, network: Network, number: u64) {
        if !self.networks.contains_key(&network) {
            return;
        }
        let (was_pending, had_turn) = self.change(network, |members| {
            let had_turn = members.turns.remove(&number).is_some();
            let waited =
                members.waiting.remove(&number).is_some() || members.undecided.remove(&number).is_some();
            (members.idle.remove(&number).is_some() || waited || had_turn, had_turn)
        });
        self.pending -= usize::from(was_pending);
        self.turns -= usize::from(had_turn);
    }
}

impl Members {
    fn is_empty(&self) -> bool {
        self.idle.is_empty() && self.waiting.is_empty() && self.turns.is_empty() && self.undecided.is_empty()
    }

    /// The number of connections that can be pushed out.
    fn crowd(&self) -> usize {
        self.idle.len() + self.waiting.len() + self.undecided.len()
    }

    /// The key of the network in `State::next`.
    fn place(&self, share: usize) -> Option<(usize, Reverse<u64>)> {
        let newest = self.waiting.last_key_value().map(|(number, _)| *number)?;
        (self.turns.len() < share).then_some((self.turns.len(), Reverse(newest)))
    }
}

fn replace<T: Ord>(set: &mut BTreeSet<T>, before: Option<T>, now: Option<T>) {
    if before != now {
        before.map(|before| set.remove(&before));
        now.map(|now| set.insert(now));
    }
}

/// How long a connection has its turn undisturbed, in seconds. An honest handshake takes
/// milliseconds.
const MIN_TURN_SECONDS: u64 = 3;

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn network(text: &str) -> Network {
        Network::of(text.parse().unwrap())
    }

    fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn enter(turnstile: &Arc<Turnstile>, address: &str) -> Entry {
        turnstile.enter(network(address)).unwrap()
    }

    fn is_pushed_out(entry: &mut Entry) -> bool {
        poll(entry.pushed_out()).is_ready()
    }

    #[test]
    fn silent_connections_of_few_addresses_lock_out_no_other() {
        let turnstile = Turnstile::new(8_192, 512, 384);
        let mut silent: Vec<_> =
            (0..8_192).map(|number| enter(&turnstile, &format!("192.0.2.{}", number % 4))).collect();
        let mut others: Vec<_> =
            (0..100).map(|number| enter(&turnstile, &format!("198.51.100.{number}"))).collect();
        assert_eq!(turnstile.lock().pending, 8_192);
        let gone: Vec<_> = silent.iter_mut().map(is_pushed_out).collect();
        assert!(gone[..100].iter().all(|gone| *gone), "the oldest");
        assert!(!gone[100..].iter().any(|gone| *gone));
        assert!(!others.iter_mut().any(is_pushed_out));
        drop((silent, others));
        let state = turnstile.lock();
        assert_eq!((state.pending, state.turns), (0, 0));
        assert!(
            state.networks.is_empty()
                && state.crowded.is_empty()
                && state.next.is_empty()
                && state.busy.is_empty()
        );
    }

    #[test]
    fn one_address_pushes_out_its_own() {
        let turnstile = Turnstile::new(3, 100, 75);
        let mut greedy: Vec<_> = (0..2).map(|_| enter(&turnstile, "192.0.2.1")).collect();
        let mut other = enter(&turnstile, "192.0.2.2");
        let mut newest = enter(&turnstile, "192.0.2.1");
        assert!(is_pushed_out(&mut greedy[0]) && !is_pushed_out(&mut greedy[1]));
        assert!(!is_pushed_out(&mut other) && !is_pushed_out(&mut newest));
        let turns: Vec<_> =
            [&greedy[1], &other, &newest].into_iter().map(|entry| poll(entry.turns().turn())).collect();
        assert!(turns.iter().all(Poll::is_ready));
        assert!(turnstile.enter(network("192.0.2.3")).is_none(), "all have turns");
    }

    #[test]
    fn connections_that_wait_for_a_decision_are_pushed_out_last() {
        let turnstile = Turnstile::new(3, 1, 1);
        let mut undecided = enter(&turnstile, "192.0.2.1");
        let Poll::Ready(turn) = poll(undecided.turns().turn()) else { panic!("it is free") };
        turn.end_handshake();
        let mut silent = enter(&turnstile, "192.0.2.1");
        let next = enter(&turnstile, "192.0.2.1");
        let next = poll(next.turns().turn());
        assert!(next.is_ready(), "the turn is free again");
        let _newest = enter(&turnstile, "192.0.2.1");
        assert!(is_pushed_out(&mut silent) && !is_pushed_out(&mut undecided));
        drop(turn);
        let _newest = enter(&turnstile, "192.0.2.1");
        assert!(is_pushed_out(&mut undecided), "it is refused, and only gets the time to read why");
    }

    #[test]
    fn the_newest_is_next_and_a_closed_one_never() {
        let turnstile = Turnstile::new(100, 1, 1);
        let first = enter(&turnstile, "192.0.2.1");
        let Poll::Ready(turn) = poll(first.turns().turn()) else { panic!("it is free") };
        let entries: Vec<_> = (0..3).map(|_| enter(&turnstile, "192.0.2.1")).collect();
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting: Vec<_> = entries.iter().map(|entry| Some(Box::pin(entry.turns().turn()))).collect();
        for future in waiting.iter_mut().flatten() {
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
        waiting[2] = None;
        drop(turn);
        assert!(waiting[0].as_mut().unwrap().as_mut().poll(&mut context).is_pending());
        let Poll::Ready(turn) = waiting[1].as_mut().unwrap().as_mut().poll(&mut context) else {
            panic!("the newest that is left")
        };
        // A connection that leaves with its turn returns it.
        drop(turn);
        waiting[0] = None;
        assert_eq!(turnstile.lock().turns, 0);
    }

    #[test]
    fn turns_of_one_address_wait_for_one_another_and_not_for_others() {
        let turnstile = Turnstile::new(100, 4, 3);
        let entries: Vec<_> = (0..4).map(|_| enter(&turnstile, "192.0.2.1")).collect();
        let turns: Vec<_> = entries[..3].iter().map(|entry| poll(entry.turns().turn())).collect();
        assert!(turns.iter().all(Poll::is_ready));
        let mut waiting = pin!(entries[3].turns().turn());
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        let other = enter(&turnstile, "192.0.2.2");
        assert!(poll(other.turns().turn()).is_ready());
        drop(turns);
        assert!(waiting.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn slow_handshakes_of_few_addresses_lock_out_no_other() {
        let turnstile = Turnstile::new(100, 8, 6);
        let mut slow: Vec<_> =
            (0..8).map(|number| enter(&turnstile, &format!("192.0.2.{}", number % 2))).collect();
        let turns: Vec<_> = slow.iter().map(|entry| poll(entry.turns().turn())).collect();
        assert!(turns.iter().all(Poll::is_ready));
        let other = enter(&turnstile, "198.51.100.1");
        let mut waiting = pin!(other.turns().turn());
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        for _ in 0..2 {
            turnstile.tick();
            assert!(waiting.as_mut().poll(&mut context).is_pending(), "an honest handshake is not disturbed");
        }
        turnstile.tick();
        assert!(waiting.as_mut().poll(&mut context).is_ready());
        assert_eq!(slow.iter_mut().map(is_pushed_out).filter(|gone| *gone).count(), 1);
        drop(turns);
    }
}
