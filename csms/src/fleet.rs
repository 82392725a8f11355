//! Who is connected.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ocpp_transport::Peer;

use crate::control::ConnectedStation;

/// The stations that are connected, by identity.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    members: Mutex<HashMap<String, Member>>,
}

#[derive(Clone, Debug)]
struct Member {
    peer: Peer,
    station: ConnectedStation,
}

impl Fleet {
    /// A station connected; a former connection of the same identity is forgotten.
    pub(crate) fn handle_connected(&self, peer: Peer, station: ConnectedStation) {
        self.lock().insert(station.identity.clone(), Member { peer, station });
    }

    /// The station's connection ended. For one identity, connections and their ends are told in order.
    pub(crate) fn handle_disconnected(&self, identity: &str) {
        self.lock().remove(identity);
    }

    /// The station's BootNotification was accepted.
    pub(crate) fn handle_booted(&self, identity: &str) {
        if let Some(member) = self.lock().get_mut(identity) {
            member.station.booted = true;
        }
    }

    /// The connection of a station.
    #[must_use]
    pub(crate) fn peer(&self, identity: &str) -> Option<Peer> {
        self.lock().get(identity).map(|member| member.peer.clone())
    }

    /// All stations that are connected, by identity.
    #[must_use]
    pub(crate) fn stations(&self) -> Vec<ConnectedStation> {
        let mut stations: Vec<_> = self.lock().values().map(|member| member.station.clone()).collect();
        stations.sort_by(|left, right| left.identity.cmp(&right.identity));
        stations
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Member>> {
        // Nothing that holds the lock can leave the map half changed.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
