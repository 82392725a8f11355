//! Keeps a station connected.

use std::error::Error;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use program::causes;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::calls::io::peer::Peer;
use crate::calls::io::router::Router;
use crate::connection::close::{Close, CloseReason};
use crate::station::connection_events::{ConnectionEvent, Episode};
use crate::station::io::config::StationConfig;
use crate::station::io::connect::{ConnectError, Connection, connect};
use crate::station::reconnect::{Attempt, AttemptFailure, Reconnect, ReconnectSettings};
use crate::tls::TlsFailure;

/// A station, as its [`Supervisor`] uses it.
pub trait Station: Send + Sync {
    /// Why [`Station::prepare`] cannot prepare an attempt.
    type Error: Error + Send + Sync + 'static;

    /// The variables that set back-off and attempts. Read before each attempt.
    fn settings(&self) -> ReconnectSettings;

    /// `NetworkConfigurationPriority`: the slots of the profiles that have one, in order. Read
    /// before each attempt.
    fn priority(&self) -> Vec<u32>;

    /// Prepares an attempt: the profile of its slot, its credential, and the router for the
    /// connection.
    ///
    /// # Cancel safety
    /// The future is dropped when the station stops.
    fn prepare(
        &self,
        attempt: &Attempt,
    ) -> impl Future<Output = Result<(StationConfig, Router), Self::Error>> + Send;

    /// Uses a connection: boots, reports, and returns when it gives the connection up. It may never
    /// return.
    ///
    /// Meanwhile the router serves the calls of the CSMS.
    ///
    /// # Cancel safety
    /// The future is dropped when the connection has ended or the station stops.
    fn serve(&self, peer: &Peer, attempt: &Attempt) -> impl Future<Output = Next> + Send;

    /// An attempt has failed. Returns whether the credential may be the cause; the default is
    /// [`AttemptError::failure`].
    fn failed(&self, attempt: &Attempt, error: &AttemptError<Self::Error>) -> AttemptFailure {
        let _ = attempt;
        error.failure()
    }

    /// Logs a security event and, if it is critical, queues and reports it (A04.FR.02, A04.FR.04).
    /// Called once for each kind until a connection is established (A00.FR.316, A00.FR.419, note).
    ///
    /// # Cancel safety
    /// The future is dropped when the station stops.
    fn security_event(&self, event: ConnectionEvent, info: &str) -> impl Future<Output = ()> + Send;

    /// A connection has ended.
    fn disconnected(&self, peer: &Peer, reason: &CloseReason) {
        let _ = (peer, reason);
    }
}

impl<S: Station> Station for Arc<S> {
    type Error = S::Error;

    fn settings(&self) -> ReconnectSettings {
        S::settings(self)
    }

    fn priority(&self) -> Vec<u32> {
        S::priority(self)
    }

    fn prepare(
        &self,
        attempt: &Attempt,
    ) -> impl Future<Output = Result<(StationConfig, Router), Self::Error>> + Send {
        S::prepare(self, attempt)
    }

    fn serve(&self, peer: &Peer, attempt: &Attempt) -> impl Future<Output = Next> + Send {
        S::serve(self, peer, attempt)
    }

    fn failed(&self, attempt: &Attempt, error: &AttemptError<Self::Error>) -> AttemptFailure {
        S::failed(self, attempt, error)
    }

    fn security_event(&self, event: ConnectionEvent, info: &str) -> impl Future<Output = ()> + Send {
        S::security_event(self, event, info)
    }

    fn disconnected(&self, peer: &Peer, reason: &CloseReason) {
        S::disconnected(self, peer, reason);
    }
}

/// Why a station gives up an open connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Next {
    /// The station has a new certificate or password (A02.FR.08, A01): connect to the same CSMS
    /// with it, at once.
    Renew,
    /// The station was reset: begin with the first network profile, at once (B10.FR.04).
    Restart,
}

/// Why an attempt has failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError<E: Error + 'static> {
    /// The application could not prepare the attempt.
    #[error("the attempt could not be prepared")]
    Prepare(#[source] E),
    /// The station could not connect to the CSMS.
    #[error("the connection could not be made")]
    Connect(#[source] ConnectError),
}

impl<E: Error + 'static> AttemptError<E> {
    /// Whether the credential may be the cause (A02.FR.28): the CSMS was reached and refused the
    /// station.
    #[must_use]
    pub fn failure(&self) -> AttemptFailure {
        let refused = match self {
            Self::Prepare(_) => false,
            Self::Connect(ConnectError::Refused { status, .. }) => *status < 500,
            Self::Connect(ConnectError::Tls { source, .. }) => {
                !matches!(source, TlsFailure::BadServerCertificate { .. })
            }
            // TLS 1.3: the CSMS's refusal arrives after the station has completed its side of the
            // handshake.
            Self::Connect(ConnectError::Handshake { .. }) => true,
            Self::Connect(_) => false,
        };
        if refused { AttemptFailure::Refused } else { AttemptFailure::Unreachable }
    }
}

/// Keeps a station connected. It goes through the network profiles (B10), waits according to the
/// back-off (2.0.1 Part 4, 5.3), alternates between a new certificate and the one before it
/// (A02.FR.28), and reports the security events of failed attempts. It never gives up (B10.FR.09).
///
/// The deadlines of a connection are in the [`LinkSettings`](crate::LinkSettings) of each
/// [`StationConfig`], including `WebSocketPingInterval`, which detects a half-open connection.
#[derive(Debug)]
pub struct Supervisor<S> {
    station: S,
    reconnect: Reconnect,
    episode: Episode,
}

enum Ended {
    Shutdown,
    Closed(CloseReason),
    Next(Next),
}

impl<S: Station> Supervisor<S> {
    /// A station that has just started.
    #[must_use]
    pub fn new(station: S) -> Self {
        let now = Instant::now().into_std();
        let reconnect = Reconnect::new(station.settings(), station.priority(), now);
        Self { station, reconnect, episode: Episode::default() }
    }

    /// Sets the network profile that worked before the station was restarted, for
    /// [`Exhausted::LastThatWorked`](crate::Exhausted::LastThatWorked) and
    /// [`Exhausted::StartOverWithLastThatWorked`](crate::Exhausted::StartOverWithLastThatWorked).
    #[must_use]
    pub fn with_last_that_worked(mut self, slot: u32) -> Self {
        self.reconnect.restore_last_that_worked(slot);
        self
    }

    /// Connects and reconnects until `shutdown` is ready. Then it closes the connection with 1001
    /// after pending answers are flushed.
    ///
    /// # Cancel safety
    /// Dropping the future cuts the connection.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            self.configure();
            let now = Instant::now();
            let Some(attempt) = self.reconnect.poll_attempt(now.into_std()) else {
                let due = self.reconnect.poll_timeout().map(Instant::from_std);
                let wake = due.unwrap_or(now + LOOK_FOR_PROFILES).min(now + LOOK_FOR_PROFILES);
                tokio::select! {
                    () = &mut shutdown => return,
                    () = sleep_until(wake) => continue,
                }
            };
            let connected = tokio::select! {
                () = &mut shutdown => return,
                connected = self.attempt(&attempt) => connected,
            };
            match connected {
                Ok(connection) => {
                    self.reconnect.handle_connected();
                    self.episode.handle_connected();
                    if self.live(connection, &attempt, shutdown.as_mut()).await.is_break() {
                        return;
                    }
                }
                Err(error) => tokio::select! {
                    () = &mut shutdown => return,
                    () = self.handle_failed(&attempt, &error) => {}
                },
            }
        }
    }

    fn configure(&mut self) {
        self.reconnect.set_settings(self.station.settings());
        self.reconnect.set_priority(self.station.priority());
    }

    async fn attempt(&self, attempt: &Attempt) -> Result<Connection, AttemptError<S::Error>> {
        let (config, router) = self.station.prepare(attempt).await.map_err(AttemptError::Prepare)?;
        connect(&config, router).await.map_err(AttemptError::Connect)
    }

    /// Serves one connection until it ends.
    async fn live(
        &mut self,
        mut connection: Connection,
        attempt: &Attempt,
        shutdown: Pin<&mut impl Future<Output = ()>>,
    ) -> ControlFlow<()> {
        let peer = connection.peer().clone();
        let ended = tokio::select! {
            () = shutdown => Ended::Shutdown,
            reason = connection.closed() => Ended::Closed(reason),
            next = self.station.serve(&peer, attempt) => Ended::Next(next),
        };
        match ended {
            Ended::Shutdown => {
                let reason = connection.close(Close::GoingAway).await;
                self.station.disconnected(&peer, &reason);
                return ControlFlow::Break(());
            }
            Ended::Closed(reason) => {
                warn!(%reason, "the connection ended");
                self.station.disconnected(&peer, &reason);
                self.reconnect.handle_lost(Instant::now().into_std(), random());
            }
            Ended::Next(next) => {
                // B10.FR.06: the old connection has ended before the new one begins.
                let reason = connection.close(Close::Normal).await;
                self.station.disconnected(&peer, &reason);
                let now = Instant::now().into_std();
                match next {
                    Next::Renew => self.reconnect.handle_renewed(now),
                    Next::Restart => {
                        self.configure();
                        self.reconnect.handle_restart(now);
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    async fn handle_failed(&mut self, attempt: &Attempt, error: &AttemptError<S::Error>) {
        warn!(slot = attempt.slot, error = %causes(error), "not connected");
        if let AttemptError::Connect(error) = error
            && let Some((event, info)) = event(error)
            && self.episode.handle_event(event)
        {
            self.station.security_event(event, &info).await;
        }
        let failure = self.station.failed(attempt, error);
        let now = Instant::now().into_std();
        self.reconnect.handle_failed(now, failure, random());
        if let Some(due) = self.reconnect.poll_timeout() {
            info!(seconds = (due - now).as_secs_f32(), "connecting again");
        }
    }
}

/// The security event of a failed attempt, and its description.
fn event(error: &ConnectError) -> Option<(ConnectionEvent, String)> {
    let (event, info) = match error {
        ConnectError::Tls { source, .. } => {
            let info = match source {
                TlsFailure::BadServerCertificate { reason } => reason.to_string(),
                source => source.to_string(),
            };
            (ConnectionEvent::of_tls(source), info)
        }
        ConnectError::Refused { status, .. } => (ConnectionEvent::of_status(*status), error.to_string()),
        _ => return None,
    };
    Some((event?, info))
}

/// Without randomness, the longest wait. It spares the CSMS.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}

/// The interval at which a waiting station checks whether its profiles have changed.
const LOOK_FOR_PROFILES: Duration = Duration::from_secs(10);
