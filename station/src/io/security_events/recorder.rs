//! Records security events, and wakes the task that reports them.

use std::sync::Arc;

use program::causes;
use tokio::sync::Notify;

use crate::{
    io::{blocking::on_blocking_thread, security_events::log::SecurityLog},
    security_events::{Noted, SecurityEvent},
};

/// The station's security events.
#[derive(Debug)]
pub(crate) struct SecurityEvents {
    log: SecurityLog,
    /// Wakes the task that reports them: an event waits.
    queued: Notify,
}

impl SecurityEvents {
    pub(crate) fn new(log: SecurityLog) -> Self {
        Self { log, queued: Notify::new() }
    }

    /// The log of all events, with the queue of those to be reported.
    pub(crate) fn log(&self) -> &SecurityLog {
        &self.log
    }

    /// Ready when an event waits to be reported.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn queued(&self) {
        self.queued.notified().await;
    }

    /// Records a security event durably; it is reported when the CSMS can receive it. Blocks.
    pub(crate) fn record(&self, event: SecurityEvent, info: &str) {
        if self.log.record(event, info) == Noted::Queued {
            self.queued.notify_one();
        }
    }

    /// Like [`SecurityEvents::record`], on a thread that may block.
    pub(crate) async fn raise(self: &Arc<Self>, event: SecurityEvent, info: String) {
        let events = Arc::clone(self);
        if let Err(error) = on_blocking_thread(move || events.record(event, &info)).await {
            tracing::error!(error = %causes(&error), event = event.name(), "a security event was not noted");
        }
    }

    /// Records the result for an event.
    pub(crate) async fn note(self: &Arc<Self>, note: impl FnOnce(&SecurityLog) + Send + 'static) {
        let events = Arc::clone(self);
        if let Err(error) = on_blocking_thread(move || note(&events.log)).await {
            tracing::error!(error = %causes(&error), "a security event may be reported again");
        }
    }
}
