//! What the handlers ask of the agent: it does these things after their answers have left.

use std::{pin::pin, sync::Arc};

use tokio::sync::Notify;

/// Requests to the agent. Each is kept until the agent has taken it.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Connect again, with the certificate that has come.
    pub(crate) reconnect: Notify,
    /// Start again.
    pub(crate) reset: Notify,
    /// Send BootNotification, which the CSMS has triggered.
    pub(crate) boot: Notify,
    /// The interval of heartbeats has changed.
    pub(crate) heartbeat_interval: Notify,
}

/// Requests a reconnection when it is dropped: after the answer has left, or could not leave. A
/// connection that ended before its certificate was stored may have been followed by one with the
/// certificate before.
#[derive(Debug)]
pub(crate) struct Reconnection(Arc<Signals>);

impl Signals {
    /// A request to connect again, which is made when what is returned is dropped.
    pub(crate) fn reconnection(self: &Arc<Self>) -> Reconnection {
        Reconnection(Arc::clone(self))
    }

    /// An attempt to connect begins: requests that concern the connection before are dropped.
    pub(crate) fn handle_attempt(&self) {
        for request in [&self.reconnect, &self.boot] {
            // Takes a request for which no task waits any more.
            pin!(request.notified()).enable();
        }
    }
}

impl Drop for Reconnection {
    fn drop(&mut self) {
        self.0.reconnect.notify_one();
    }
}
