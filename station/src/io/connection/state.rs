//! The state of the connection that the handlers need.

use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

use ocpp_transport::{CallError, Registration};
use tokio::sync::watch;

use crate::io::locking::lock;

/// The slot of the connection, the registration of the station on it, and whether its certificate
/// is confirmed.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    /// The slot of the network profile of the connection.
    slot: AtomicU32,
    /// The answer of the CSMS to the last BootNotification.
    registration: Mutex<Registration>,
    /// Whether the store has recorded the certificate and root of this connection; see
    /// [`ConnectionState::settled`].
    confirmed: watch::Sender<bool>,
}

impl ConnectionState {
    pub(crate) fn new() -> Self {
        Self {
            slot: AtomicU32::new(1),
            registration: Mutex::new(Registration::NotBooted),
            confirmed: watch::Sender::new(false),
        }
    }

    /// An attempt to connect begins.
    pub(crate) fn handle_attempt(&self) {
        self.confirmed.send_replace(false);
    }

    /// A connection is up, by the network profile in `slot`.
    pub(crate) fn handle_slot(&self, slot: u32) {
        self.slot.store(slot, Ordering::Relaxed);
    }

    /// The certificate of the connection is confirmed.
    pub(crate) fn handle_confirmed(&self) {
        self.confirmed.send_replace(true);
    }

    /// Sets the answer of the CSMS to BootNotification.
    pub(crate) fn handle_registration(&self, registration: Registration) {
        *lock(&self.registration) = registration;
    }

    /// The slot of the network profile of the connection.
    pub(crate) fn slot(&self) -> u32 {
        self.slot.load(Ordering::Relaxed)
    }

    /// The answer of the CSMS to the last BootNotification.
    pub(crate) fn registration(&self) -> Registration {
        *lock(&self.registration)
    }

    /// Refuses a call of a CSMS that has rejected the station (B03.FR.08, TC_B_30).
    pub(crate) fn permit(&self) -> Result<(), CallError> {
        match self.registration() {
            Registration::Rejected => {
                Err(CallError::security("the CSMS has rejected the station's BootNotification"))
            }
            _ => Ok(()),
        }
    }

    /// Waits until the store has recorded the certificate and root of the connection. Both decide
    /// what the store holds (A02.FR.10, M05.FR.13) and what it refuses. The first messages of a
    /// connection may arrive before that.
    pub(crate) async fn settled(&self) {
        // The sender lives as long as `self`.
        let _ = self.confirmed.subscribe().wait_for(|confirmed| *confirmed).await;
    }
}
