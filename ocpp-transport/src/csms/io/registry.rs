//! Which stations are connected to a CSMS, one connection each.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use certificates::StationIdentity;
use tokio::sync::watch;

use crate::calls::io::peer::Peer;
use crate::connection::close::Close;

/// The connections of the stations, one for each.
///
/// Invariant: the newest connection of an identity is in the map, and it starts after all older
/// ones have ended.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next_generation: u64,
    connections: HashMap<StationIdentity, Entry>,
}

#[derive(Debug)]
struct Entry {
    generation: u64,
    peer: Peer,
    /// Its sender is dropped when the connection has ended.
    ended: watch::Receiver<()>,
}

/// The place of one connection. Dropping it informs the next connection of the identity that this
/// one has ended.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    registry: &'a Registry,
    generation: u64,
    identity: StationIdentity,
    _ended: watch::Sender<()>,
}

impl Registry {
    /// Takes the place of an identity. The connection that had it is closed. Returns when that
    /// connection has ended.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place. The older connection is closed nevertheless.
    pub(crate) async fn take(&self, peer: &Peer) -> Place<'_> {
        let (ended, receiver) = watch::channel(());
        let identity = peer.identity().clone();
        let (place, previous) = {
            let mut inner = self.lock();
            let generation = inner.next_generation;
            inner.next_generation += 1;
            let entry = Entry { generation, peer: peer.clone(), ended: receiver };
            let previous = inner.connections.insert(identity.clone(), entry);
            (Place { registry: self, generation, identity, _ended: ended }, previous)
        };
        if let Some(mut previous) = previous {
            previous.peer.begin_close(Close::Replaced);
            // Returns an error when the sender is dropped. The driver of the older connection
            // bounds the wait.
            while previous.ended.changed().await.is_ok() {}
        }
        place
    }

    /// The connections of all stations.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        self.lock().connections.values().map(|entry| entry.peer.clone()).collect()
    }

    /// How many stations have a connection.
    pub(crate) fn len(&self) -> usize {
        self.lock().connections.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inner = self.registry.lock();
        let own =
            inner.connections.get(&self.identity).is_some_and(|entry| entry.generation == self.generation);
        if own {
            inner.connections.remove(&self.identity);
        }
    }
}
