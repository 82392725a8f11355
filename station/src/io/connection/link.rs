//! The state of the connection to the CSMS, for local commands.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use ocpp_transport::{Peer, Registration};
use ocpp_types::Version;
use station_store::OwnCertificate;

use crate::{
    control::Link,
    inventory::{CertificateEntry, timestamp},
};

/// The state of the connection.
#[derive(Debug, Default)]
pub(crate) struct LinkState(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    New,
    Down {
        slot: u32,
        error: Option<String>,
    },
    Up(Box<Up>),
}

/// A connection that is up.
#[derive(Debug)]
struct Up {
    slot: u32,
    url: String,
    peer: Peer,
    since: SystemTime,
    certificate: Option<OwnCertificate>,
}

/// The connection counts as up until this is dropped.
#[derive(Debug)]
pub(crate) struct UpGuard<'a> {
    link: &'a LinkState,
    slot: u32,
}

impl LinkState {
    /// An attempt on `slot` has failed.
    pub(crate) fn handle_failed(&self, slot: u32, error: String) {
        *self.state() = State::Down { slot, error: Some(error) };
    }

    /// A connection to `url` is up, by the network profile in `slot`, with `certificate` or the
    /// password.
    pub(crate) fn handle_connected(
        &self,
        slot: u32,
        url: String,
        peer: Peer,
        certificate: Option<OwnCertificate>,
    ) -> UpGuard<'_> {
        *self.state() = State::Up(Box::new(Up { slot, url, peer, since: SystemTime::now(), certificate }));
        UpGuard { link: self, slot }
    }

    /// The state in the form of a command's reply.
    pub(crate) fn report(&self, registration: Registration, now: SystemTime) -> Link {
        match &*self.state() {
            State::New => Link::Down { slot: None, error: None },
            State::Down { slot, error } => Link::Down { slot: Some(*slot), error: error.clone() },
            State::Up(up) => Link::Up {
                slot: up.slot,
                url: up.url.clone(),
                ocpp_version: up.peer.version().to_string(),
                security_profile: up.peer.profile().number(),
                since: timestamp(up.since),
                registration: match registration {
                    Registration::NotBooted => None,
                    Registration::Pending => Some("Pending".to_owned()),
                    Registration::Rejected => Some("Rejected".to_owned()),
                    Registration::Accepted => Some("Accepted".to_owned()),
                },
                certificate: up
                    .certificate
                    .as_ref()
                    .and_then(|own| Some(Box::new(CertificateEntry::of(own.chain.first()?, None, now)))),
            },
        }
    }

    /// The version of OCPP of the connection. `None`: there is no connection.
    pub(crate) fn version(&self) -> Option<Version> {
        match &*self.state() {
            State::Up(up) => Some(up.peer.version()),
            State::New | State::Down { .. } => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is replaced as a whole, so a poisoned lock is still consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UpGuard<'_> {
    fn drop(&mut self) {
        *self.link.state() = State::Down { slot: self.slot, error: None };
    }
}
