//! The station's work while it is connected: it boots, reports security events and sends
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
    /// The slot, profile and version with which the CSMS has accepted the station.
    pub(crate) booted: Mutex<Option<(u32, SecurityProfile, Version)>>,
}

impl OnlineTasks {
    /// Sets the boot reason for BootNotification.
    pub(crate) fn set_boot_reason(&mut self, reason: BootReason) {
        self.boot.reason = reason;
    }

    /// An attempt to connect begins. Signals for the connection before it are discarded.
    pub(crate) fn handle_attempt(&self) {
        self.connection.handle_attempt();
        self.signals.handle_attempt();
    }

    /// The station is connected by the network profile in `slot`.
    pub(crate) fn handle_connected(&self, slot: u32) {
        self.connection.handle_slot(slot);
    }

    /// The connection has ended.
    pub(crate) fn handle_disconnected(&self) {
        self.renewals.handle_disconnected();
    }

    /// Ready when a handler requests another connection.
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

    /// Boots if a boot is due, then reports events and sends heartbeats until the connection ends.
    pub(crate) async fn run(&self, peer: &Peer, slot: u32) {
        // B01.FR.01: after a start. B10.FR.10: also after a change of the network profile.
        let now = (slot, peer.profile(), peer.version());
        let booted = *lock(&self.booted);
        if booted != Some(now) {
            if self.boot(peer).await.is_none() {
                return std::future::pending().await;
            }
            *lock(&self.booted) = Some(now);
        }
        // Requests that a restart or a lost connection interrupted, and requests that become due.
        self.renewals.handle_connected(peer);
        tokio::join!(self.statuses.keep(peer), self.report(peer));
    }

    /// Reports events and sends heartbeats.
    async fn report(&self, peer: &Peer) {
        // Refusals on this connection: at most as many as the queue may hold events.
        let mut refused = Vec::new();
        loop {
            self.report_events(peer, &mut refused).await;
            tokio::select! {
                () = self.events.queued() => {}
                () = self.signals.heartbeat_interval.notified() => {}
                // Triggered by a central system of OCPP 1.6.
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

    /// Sends BootNotification until the CSMS accepts. `None` if the connection ended.
    async fn boot(&self, peer: &Peer) -> Option<()> {
        self.connection.handle_registration(Registration::NotBooted);
        loop {
            // A CALL may follow directly after the answer, and the answer decides what the CALL may
            // do.
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

    /// Reports the waiting events, oldest first. An event that is not confirmed stays in the queue
    /// (A04.FR.02). `refused` are the events that the CSMS cannot accept on this connection.
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
                // The CSMS would refuse the same event again.
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

/// The interval between heartbeats if the CSMS leaves the choice to the station (interval 0), and
/// between boot attempts.
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(300);
