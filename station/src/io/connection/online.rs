//! What the station does while it is connected: it boots, reports security events and sends
//! heartbeats.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use ocpp_transport::{CallFailure, Peer, Registration, SecurityProfile};
use ocpp_types::Version;
use program::causes;
use tokio::time::sleep;

use crate::{
    io::{
        certificates::statuses::StatusKeeper,
        connection::{clock::Clock, signals::Signals, state::ConnectionState},
        csms::{self, AskError, Boot, BootReason, Reporting},
        device_model::file::ModelFile,
        locking::lock,
        renewal::state::RenewalState,
        security_events::recorder::SecurityEvents,
    },
    security_events::{MAX_REFUSALS, SecurityEvent},
};

/// The tasks of a connection.
#[derive(Debug)]
pub(crate) struct OnlineTasks {
    pub(crate) boot: Boot,
    pub(crate) connection: Arc<ConnectionState>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) model: Arc<ModelFile>,
    pub(crate) events: Arc<SecurityEvents>,
    pub(crate) renewals: Arc<RenewalState>,
    pub(crate) statuses: Arc<StatusKeeper>,
    pub(crate) clock: Clock,
    /// On which slot, under which profile and in which version the CSMS has accepted the station.
    pub(crate) booted: Mutex<Option<(u32, SecurityProfile, Version)>>,
}

impl OnlineTasks {
    /// Why the station starts, as BootNotification reports it.
    pub(crate) fn set_boot_reason(&mut self, reason: BootReason) {
        self.boot.reason = reason;
    }

    /// An attempt to connect begins; what was meant for the connection before is over.
    pub(crate) fn handle_attempt(&self) {
        self.connection.handle_attempt();
        self.signals.handle_attempt();
    }

    /// The station is connected, by the network profile in `slot`.
    pub(crate) fn handle_connected(&self, slot: u32) {
        self.connection.handle_slot(slot);
    }

    /// The connection is gone.
    pub(crate) fn handle_disconnected(&self) {
        self.renewals.handle_disconnected();
    }

    /// Ready when a handler asks for another connection.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn reconnect_requested(&self) {
        self.signals.reconnect.notified().await;
    }

    /// Records a security event of the connection.
    pub(crate) async fn raise(&self, event: SecurityEvent, info: &str) {
        self.events.raise(event, info.to_owned()).await;
    }

    /// Whether the CSMS has accepted the station since it started.
    pub(crate) fn has_booted(&self) -> bool {
        lock(&self.booted).is_some()
    }

    /// Boots where that is due, then reports events and shows signs of life until the connection
    /// ends.
    pub(crate) async fn run(&self, peer: &Peer, slot: u32) {
        // B01.FR.01: after a start. B10.FR.10: and after the network profile has changed.
        let now = (slot, peer.profile(), peer.version());
        let booted = *lock(&self.booted);
        if booted != Some(now) {
            if self.boot(peer).await.is_none() {
                return std::future::pending().await;
            }
            *lock(&self.booted) = Some(now);
        }
        // Requests that a restart interrupted, that a connection cut off, and those that become
        // due.
        self.renewals.handle_connected(peer);
        tokio::join!(self.statuses.keep(peer), self.report(peer));
    }

    /// Reports events and shows signs of life.
    async fn report(&self, peer: &Peer) {
        // Of this connection; the queue holds no more events than it has a bound for.
        let mut refused = Vec::new();
        loop {
            self.report_events(peer, &mut refused).await;
            tokio::select! {
                () = self.events.queued() => {}
                () = self.signals.heartbeat_interval.notified() => {}
                // Asked for by a central system of OCPP 1.6.
                () = self.signals.boot.notified() => {
                    if self.boot(peer).await.is_none() {
                        return std::future::pending().await;
                    }
                }
                () = sleep(self.model.current().heartbeat_interval()) => {
                    match csms::heartbeat(peer).await {
                        Ok(time) => self.clock.handle_csms_time(time, SystemTime::now()),
                        Err(error) => tracing::warn!(error = %causes(&error), "a heartbeat was not answered"),
                    }
                }
            }
        }
    }

    /// BootNotification until the CSMS accepts; `None` where the connection ended.
    async fn boot(&self, peer: &Peer) -> Option<()> {
        self.connection.handle_registration(Registration::NotBooted);
        loop {
            // A CALL may come right behind the answer, and what it may do depends on the answer.
            let connection = Arc::clone(&self.connection);
            let register = move |registration| connection.handle_registration(registration);
            let wait = match csms::boot(peer, &self.boot, register).await {
                Ok(answer) => {
                    let interval =
                        if answer.interval.is_zero() { DEFAULT_HEARTBEAT } else { answer.interval };
                    self.clock.handle_csms_time(answer.time, SystemTime::now());
                    if answer.registration == Registration::Accepted {
                        self.model.adopt_heartbeat_interval(interval);
                        tracing::info!("the CSMS accepted the station");
                        return Some(());
                    }
                    tracing::warn!(status = ?answer.registration, "the CSMS does not accept the station yet");
                    interval
                }
                Err(AskError::Call(CallFailure::Disconnected)) => return None,
                Err(error) => {
                    tracing::warn!(
                        error = %causes(&error),
                        "BootNotification brought no answer"
                    );
                    DEFAULT_HEARTBEAT
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.signals.boot.notified() => {}
            }
        }
    }

    /// Reports the events that wait, oldest first; one that is not confirmed stays (A04.FR.02).
    /// `refused` are those that the CSMS cannot take on this connection.
    async fn report_events(&self, peer: &Peer, refused: &mut Vec<u64>) {
        while let Some(event) = self.events.log().first_but(refused) {
            let number = event.number();
            match csms::security_event(peer, &event).await {
                // A04.FR.03
                Ok(Reporting::Reported) => {
                    self.events.note(move |events| events.handle_confirmed(&event)).await
                }
                Ok(Reporting::LogOnly) => {
                    let reason = "it is not critical in the version of the connection";
                    self.events.note(move |events| events.handle_not_reported(&event, reason)).await;
                }
                Err(error) if error.has_arrived() => {
                    tracing::warn!(
                        event = event.event.name(),
                        error = %causes(&error),
                        "the CSMS has confirmed a security event in a way that cannot be read"
                    );
                    self.events.note(move |events| events.handle_confirmed(&event)).await;
                }
                Err(error) if error.may_pass() => {
                    refused.push(number);
                    let reason = format!("refused on {MAX_REFUSALS} connections: {}", causes(&error));
                    tracing::warn!(
                        event = event.event.name(),
                        connections = event.refusals + 1,
                        of = MAX_REFUSALS,
                        error = %causes(&error),
                        "the CSMS cannot take a security event now"
                    );
                    self.events.note(move |events| events.handle_refused(&event, &reason)).await;
                }
                // The same event would be refused each time.
                Err(error) if error.is_answer() => {
                    let reason = causes(&error).to_string();
                    self.events.note(move |events| events.handle_not_reported(&event, &reason)).await;
                }
                Err(error) => {
                    tracing::warn!(error = %causes(&error), "a security event waits for the next occasion");
                    return;
                }
            }
        }
    }
}

/// Between heartbeats where the CSMS leaves the choice to the station (interval 0), and between
/// boot attempts.
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(300);
