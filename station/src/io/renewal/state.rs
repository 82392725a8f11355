//! The state of the renewal of the station's certificates, and the connection for its requests.

use std::{
    sync::{Mutex, MutexGuard},
    time::SystemTime,
};

use ocpp_transport::Peer;
use ocpp_types::Version;
use station_store::{
    CertificateSigningUse, PendingCsr, PendingId, PendingState, SendNote, SignedOutcome, Store,
};
use tokio::sync::{Notify, broadcast};

use crate::{
    device_model::DeviceModel,
    following::Happened,
    io::{
        locking::lock,
        renewal::subjects::{schedule, subject_of, use_of},
    },
    renewal::{Note, Record, Renewal, SignAnswer, SignedVerdict, Stage, Target},
};

/// The renewal of the station's certificates, and the connection for its requests.
#[derive(Debug)]
pub(crate) struct RenewalState {
    state: Mutex<State>,
    /// Wakes the driver: something has happened.
    wake: Notify,
    /// Reports the steps to their subscribers.
    happened: broadcast::Sender<Happened<PendingId>>,
}

#[derive(Debug)]
struct State {
    core: Renewal<PendingId>,
    /// The connection whose CSMS accepts requests.
    peer: Option<Peer>,
    /// Its number. An answer to a request on another connection is ignored.
    connection: u64,
}

impl RenewalState {
    /// Continues from the state in which the station stopped.
    pub(crate) fn restore(store: &Store, model: &DeviceModel, now: SystemTime) -> Self {
        let records = store.pending().into_iter().map(|pending| Record {
            pending: pending.id,
            subject: subject_of(&pending),
            csr: match pending.state {
                PendingState::KeyAnnounced => None,
                _ => Some(pending.sent.map(|SendNote { accepted, due, .. }| Note { accepted, due })),
            },
        });
        let core = Renewal::restore(schedule(model), now, records);
        Self {
            state: Mutex::new(State { core, peer: None, connection: 0 }),
            wake: Notify::new(),
            happened: broadcast::Sender::new(MAX_STEPS),
        }
    }

    /// The CSMS on this connection accepts requests. A connection that has ended is ignored: work
    /// that was triggered on it may follow [`RenewalState::handle_disconnected`].
    pub(crate) fn handle_connected(&self, peer: &Peer) {
        let mut state = self.lock();
        if !peer.is_open() {
            return;
        }
        state.peer = Some(peer.clone());
        match peer.version() {
            Version::V16 => state.core.handle_connected_without_waits(SystemTime::now()),
            Version::V201 | Version::V21 => state.core.handle_connected(),
            // The station offers no other version.
            _ => {}
        }
        drop(state);
        self.wake.notify_one();
    }

    /// The connection has ended.
    pub(crate) fn handle_disconnected(&self) {
        let mut state = self.lock();
        state.peer = None;
        state.connection += 1;
        state.core.handle_disconnected(SystemTime::now());
    }

    /// The disk takes writes again. `waiting` are the requests in the store. A request that is no
    /// longer there has its certificate: that was answered Rejected because it was not known to be
    /// durable.
    pub(crate) fn handle_disk_written(&self, waiting: &[PendingCsr]) {
        let now = SystemTime::now();
        let mut state = self.lock();
        state.core.handle_disk_written(now);
        let gone = |pending: &PendingId| waiting.iter().all(|known| known.id != *pending);
        for pending in state.core.pending().into_iter().filter(gone) {
            state.core.handle_certificate(now, pending, SignedVerdict::Accepted);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Something that renewal depends on may have changed: settings, certificates.
    pub(crate) fn handle_change(&self) {
        self.wake.notify_one();
    }

    /// Handles the result for the certificate in CertificateSigned. `pending` is its key, or `None`
    /// if the key is unknown.
    pub(crate) fn handle_certificate<R>(
        &self,
        outcome: &SignedOutcome<R>,
        pending: Option<PendingId>,
        use_: Option<CertificateSigningUse>,
    ) {
        let now = SystemTime::now();
        let mut state = self.lock();
        match (pending, &outcome.installed, &outcome.refused) {
            (Some(pending), Some(_), _) => {
                state.core.handle_certificate(now, pending, SignedVerdict::Accepted);
            }
            (Some(pending), None, Some(_)) => {
                state.core.handle_certificate(now, pending, SignedVerdict::Invalid);
            }
            // A02.FR.20: a certificate for a foreign key answers the pending request, if only one
            // request can be meant.
            (None, None, Some(_)) => {
                state.core.handle_invalid_for(now, |subject| use_.is_none_or(|use_| use_ == use_of(subject)))
            }
            _ => {}
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Subscribes to the events from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Happened<PendingId>> {
        self.happened.subscribe()
    }

    /// The state of each certificate.
    pub(crate) fn overview(&self) -> Vec<(Target, Option<Stage>, Option<SystemTime>)> {
        self.lock().core.overview()
    }

    /// Reports a step to the subscribers.
    pub(super) fn report(&self, happened: Happened<PendingId>) {
        // Usually there are none.
        drop(self.happened.send(happened));
    }

    pub(super) fn handle_announced(&self, subject: Target, pending: PendingId) {
        self.lock().core.handle_announced(subject, pending);
        self.wake.notify_one();
    }

    pub(super) fn handle_answer(&self, connection: u64, pending: PendingId, answer: SignAnswer) {
        let mut state = self.lock();
        if state.connection == connection {
            state.core.handle_answer(SystemTime::now(), pending, answer);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// The present connection for requests, and its number.
    pub(super) fn connection(&self) -> (Option<Peer>, u64) {
        let state = self.lock();
        (state.peer.clone(), state.connection)
    }

    /// Changes or reads the core.
    pub(super) fn with<T>(&self, use_core: impl FnOnce(&mut Renewal<PendingId>) -> T) -> T {
        use_core(&mut self.lock().core)
    }

    /// Ready when something has happened.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Steps that are kept for a slow subscriber: a dozen requests from their keys to their ends.
const MAX_STEPS: usize = 64;
