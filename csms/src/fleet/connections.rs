//! The connected stations.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use certificates::StationIdentity;
use ocpp_transport::Peer;

use crate::service::control::ConnectedStation;

/// The connected stations, by identity.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    members: Mutex<HashMap<StationIdentity, Member>>,
}

#[derive(Clone, Debug)]
struct Member {
    peer: Peer,
    station: ConnectedStation,
    due: Due,
}

/// Whether the certificates that are due were sent to a station on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// Not yet: the station has just connected and may still boot.
    Later,
    /// Not yet, and they have to be sent now.
    Now,
    /// They were sent.
    Done,
}

impl Fleet {
    /// Adds a station that has connected. It replaces a former connection of the same identity.
    pub(crate) fn handle_connected(&self, peer: Peer, station: ConnectedStation) {
        self.lock().insert(station.identity.clone(), Member { peer, station, due: Due::Later });
    }

    /// Removes a station whose connection has ended. For one identity, connections and their ends
    /// are passed in order.
    pub(crate) fn handle_disconnected(&self, identity: &StationIdentity) {
        self.lock().remove(identity);
    }

    /// Notes that the station's BootNotification was accepted. The caller sends what is due after
    /// the answer.
    pub(crate) fn handle_booted(&self, identity: &StationIdentity) {
        if let Some(member) = self.lock().get_mut(identity) {
            member.station.booted = true;
            member.due = Due::Done;
        }
    }

    /// Notes that the station's BootNotification was answered Pending. The caller sends what is due
    /// after the answer.
    pub(crate) fn handle_pending(&self, identity: &StationIdentity) {
        if let Some(member) = self.lock().get_mut(identity) {
            member.due = Due::Done;
        }
    }

    /// The stations that were already connected at the last call and have not booted since; a
    /// reconnect needs no BootNotification. Each connection is returned once.
    #[must_use]
    pub(crate) fn take_unbooted(&self) -> Vec<Peer> {
        let mut ready = Vec::new();
        for member in self.lock().values_mut() {
            member.due = match member.due {
                Due::Later => Due::Now,
                Due::Now => {
                    ready.push(member.peer.clone());
                    Due::Done
                }
                Due::Done => Due::Done,
            };
        }
        ready
    }

    /// The connection of a station.
    #[must_use]
    pub(crate) fn peer(&self, identity: &StationIdentity) -> Option<Peer> {
        self.lock().get(identity).map(|member| member.peer.clone())
    }

    /// The connections of all stations.
    #[must_use]
    pub(crate) fn peers(&self) -> Vec<Peer> {
        self.lock().values().map(|member| member.peer.clone()).collect()
    }

    /// All connected stations, by identity.
    #[must_use]
    pub(crate) fn stations(&self) -> Vec<ConnectedStation> {
        let mut stations: Vec<_> = self.lock().values().map(|member| member.station.clone()).collect();
        stations.sort_by(|left, right| left.identity.cmp(&right.identity));
        stations
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StationIdentity, Member>> {
        // No holder of the lock can leave the map half changed.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
