//! How many connections may be between TCP and admission, so that nobody can keep the others out.

use core::net::{IpAddr, Ipv6Addr};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counts the connections that are not admitted yet.
///
/// There are two bounds, and no address gets more than three quarters of either, so that one that holds all it can
/// leaves the last quarter to the others. Connections in all, silent ones included: beyond it, a new one is hung up on.
/// Handshakes, which begin with the first byte: beyond it, a connection waits for its turn, in order. An address stands
/// for its /64 network under IPv6, where a customer has as many as it likes.
#[derive(Debug)]
pub(crate) struct Turnstile {
    max_pending: usize,
    max_handshakes: usize,
    handshakes: Arc<Semaphore>,
    pending: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    total: usize,
    networks: HashMap<IpAddr, Network>,
}

#[derive(Debug)]
struct Network {
    pending: usize,
    handshakes: Arc<Semaphore>,
}

/// A connection that is counted. Dropping it ends that.
#[derive(Debug)]
pub(crate) struct Entry {
    turnstile: Arc<Turnstile>,
    network: IpAddr,
}

/// The turn of a connection: it may use the processor. Dropping it lets the next one have its turn.
#[derive(Debug)]
pub(crate) struct Turn {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Turnstile {
    pub(crate) fn new(max_pending: usize, max_handshakes: usize) -> Arc<Self> {
        let max_handshakes = max_handshakes.clamp(1, Semaphore::MAX_PERMITS);
        let handshakes = Arc::new(Semaphore::new(max_handshakes));
        Arc::new(Self { max_pending, max_handshakes, handshakes, pending: Mutex::default() })
    }

    /// Counts a new connection; none if there are too many, in all or from its address.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Entry> {
        let network = network(address);
        let mut pending = self.lock();
        if pending.total >= self.max_pending {
            return None;
        }
        let share =
            Network { pending: 0, handshakes: Arc::new(Semaphore::new(three_quarters(self.max_handshakes))) };
        let own = pending.networks.entry(network).or_insert(share);
        if own.pending >= three_quarters(self.max_pending) {
            return None;
        }
        own.pending += 1;
        pending.total += 1;
        Some(Entry { turnstile: Arc::clone(self), network })
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Waits for the connection's turn.
    ///
    /// # Cancel safety
    /// Dropping the future gives the place in the queue up.
    pub(crate) async fn turn(&self) -> Option<Turn> {
        let own = self.turnstile.lock().networks.get(&self.network).map(|own| Arc::clone(&own.handshakes))?;
        // First its own network's, so that what waits in the common queue is no more than that network's share.
        let own = own.acquire_owned().await.ok()?;
        let all = Arc::clone(&self.turnstile.handshakes).acquire_owned().await.ok()?;
        Some(Turn { _own: own, _all: all })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut pending = self.turnstile.lock();
        pending.total -= 1;
        if let Some(own) = pending.networks.get_mut(&self.network) {
            own.pending -= 1;
            if own.pending == 0 {
                pending.networks.remove(&self.network);
            }
        }
    }
}

/// What one address may have of a bound.
fn three_quarters(bound: usize) -> usize {
    (bound - bound / 4).max(1)
}

/// Who is counted as one.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => address.into(),
            None => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn one_address_leaves_a_quarter_to_the_others() {
        let turnstile = Turnstile::new(8, 100);
        let greedy = address("192.0.2.1");
        let held = (0..6).map(|_| turnstile.enter(greedy).unwrap()).collect::<Vec<_>>();
        assert!(turnstile.enter(greedy).is_none());
        let others = ["192.0.2.2", "192.0.2.3"].map(|other| turnstile.enter(address(other)).unwrap());
        assert!(turnstile.enter(address("192.0.2.4")).is_none(), "eight in all");
        drop(held);
        assert!(turnstile.enter(greedy).is_some());
        drop(others);
        assert_eq!(turnstile.lock().total, 0);
        assert!(turnstile.lock().networks.is_empty(), "nothing is kept of who is gone");
    }

    #[test]
    fn handshakes_of_one_address_wait_for_one_another_and_not_for_others() {
        let turnstile = Turnstile::new(100, 4);
        let entries = (0..4).map(|_| turnstile.enter(address("192.0.2.1")).unwrap()).collect::<Vec<_>>();
        let turns = entries[..3].iter().map(|entry| poll(entry.turn())).collect::<Vec<_>>();
        assert!(turns.iter().all(|turn| matches!(turn, Poll::Ready(Some(_)))));
        let mut waiting = pin!(entries[3].turn());
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        let other = turnstile.enter(address("192.0.2.2")).unwrap();
        assert!(matches!(poll(other.turn()), Poll::Ready(Some(_))));
        drop(turns);
        assert!(matches!(waiting.as_mut().poll(&mut context), Poll::Ready(Some(_))));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        assert_eq!(network(address("2001:db8::1")), network(address("2001:db8::ffff:1")));
        assert_ne!(network(address("2001:db8::1")), network(address("2001:db8:0:1::1")));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }
}
