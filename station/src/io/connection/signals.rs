//! Signals from the handlers to the agent. The agent acts on them after the answers have been sent.

use std::{pin::pin, sync::Arc};

use tokio::sync::Notify;

/// Signals to the agent. Each is kept until the agent has taken it.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Reconnect with the new certificate.
    pub(crate) reconnect: Notify,
    /// Restart.
    pub(crate) reset: Notify,
    /// Send BootNotification, which the CSMS has triggered.
    pub(crate) boot: Notify,
    /// The interval of heartbeats has changed.
    pub(crate) heartbeat_interval: Notify,
}

/// Requests a reconnection when it is dropped: after the answer was sent, or could not be sent. A
/// connection that ended before its certificate was stored may have been followed by one with the
/// former certificate.
#[derive(Debug)]
pub(crate) struct Reconnection(Arc<Signals>);

impl Signals {
    /// Returns a request to reconnect, which is made when the value is dropped.
    pub(crate) fn reconnection(self: &Arc<Self>) -> Reconnection {
        Reconnection(Arc::clone(self))
    }

    /// An attempt to connect begins. Signals for the connection before it are discarded.
    pub(crate) fn handle_attempt(&self) {
        for request in [&self.reconnect, &self.boot] {
            // Takes a signal for which no task waits any more.
            pin!(request.notified()).enable();
        }
    }
}

impl Drop for Reconnection {
    fn drop(&mut self) {
        self.0.reconnect.notify_one();
    }
}
