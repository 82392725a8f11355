//! The CSMS's side: a server for stations.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use certificates::Fingerprint;
use program::causes;
use rustls_pki_types::UnixTime;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};
use tracing::{Instrument, debug, error, info, info_span, warn};

use crate::calls::io::peer::{Link, Peer};
use crate::calls::io::router::Router;
use crate::connection::close::Close;
use crate::connection::io::driver::Driver;
use crate::connection::io::read_ahead::ReadAhead;
use crate::connection::io::socket::Socket;
use crate::csms::drain;
use crate::csms::episodes::{Failure, Report, Which};
use crate::csms::io::admission::Admission;
use crate::csms::io::admission::Refusal;
use crate::csms::io::config::CsmsConfig;
use crate::csms::io::open::{MAX_FAREWELLS, NotOpened, OpenError, is_gone, open};
use crate::csms::io::registry::Registry;
use crate::csms::io::shared::Shared;
use crate::csms::io::turnstile::{Entry, Turns, Turnstile};
use crate::csms::network::Network;
use crate::metrics::Metrics;
use crate::tls::io::accept::MAX_SIGNERS;
use crate::tls::{SecurityEvent, ServerTls};

/// Why a CSMS cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// The error of the operating system.
    #[source]
    pub source: io::Error,
}

/// A server that stations connect to.
#[derive(Debug)]
pub struct Csms {
    listener: TcpListener,
    local_addr: SocketAddr,
    shared: Arc<Shared>,
}

/// Changes a [`Csms`] while it serves. A clone is a handle to the same server.
#[derive(Debug, Clone)]
pub struct CsmsHandle {
    shared: Arc<Shared>,
}

/// A server that was bound without TLS cannot get a TLS configuration, because its stations would
/// not learn of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server was bound without TLS")]
pub struct NotTls;

/// The progress of a shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// Connections that are not admitted yet are cut. The others are closed one after the other.
    Draining,
    /// The remaining connections close.
    Closing,
}

impl Csms {
    /// Binds the address. [`Csms::serve`] then serves stations.
    ///
    /// # Errors
    /// If the address is in use or not permitted.
    ///
    /// # Cancel safety
    /// Dropping the future releases the address.
    pub async fn bind(
        config: CsmsConfig,
        router: Router,
        admission: impl Admission,
    ) -> Result<Self, BindError> {
        let address = config.listen;
        let bound = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // A restart does not wait until the system has forgotten the connections of the
            // previous process.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let listener = socket.listen(BACKLOG)?;
            let local_addr = listener.local_addr()?;
            Ok((listener, local_addr))
        };
        let (listener, local_addr) = bound().map_err(|source| BindError { address, source })?;
        let shared = Shared {
            router: Arc::new(router),
            admission: Arc::new(admission),
            tls: RwLock::new(config.tls.clone()),
            signers: Arc::new(Semaphore::new(MAX_SIGNERS)),
            farewells: Semaphore::new(MAX_FAREWELLS),
            crowded_out: Mutex::default(),
            registry: Registry::default(),
            metrics: Metrics::new(crate::session::Role::Csms),
            episodes: Mutex::default(),
            config,
        };
        shared.warn_of_stale_lists();
        Ok(Self { listener, local_addr, shared: Arc::new(shared) })
    }

    /// The address that the server listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// A handle that changes the server while it serves.
    #[must_use]
    pub fn handle(&self) -> CsmsHandle {
        CsmsHandle { shared: Arc::clone(&self.shared) }
    }

    /// Serves stations until `shutdown` is ready. Then it closes every connection with 1001 after
    /// its pending answers are flushed, spread over [`CsmsConfig::drain`], and returns when all
    /// handlers have ended.
    ///
    /// # Cancel safety
    /// Dropping the future cuts all connections and drops their handlers.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, local_addr, shared } = self;
        let each = shared.config.max_handshakes_per_address;
        let (pending, handshakes) = (shared.config.max_pending, shared.config.max_handshakes);
        let each = each.unwrap_or(handshakes - handshakes / 4);
        let turnstile = Turnstile::new(pending, handshakes, each);
        let (phase, watched) = watch::channel(Phase::Serving);
        let mut connections = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        info!(%local_addr, "listening");
        loop {
            // Connections that are not admitted yet have a bound of their own and do not count
            // here.
            let admitted = connections.len().saturating_sub(turnstile.pending());
            let room = admitted < shared.config.max_connections;
            tokio::select! {
                () = &mut shutdown => break,
                Some(ended) = connections.join_next() => report_panic(ended),
                _ = ticks.tick() => turnstile.tick(),
                accepted = listener.accept(), if room => match accepted {
                    Ok((tcp, remote)) => match turnstile.enter(Network::of(remote.ip())) {
                        Some(entry) => {
                            let task = serve_connection(Arc::clone(&shared), tcp, remote, entry, watched.clone());
                            connections.spawn(task);
                        }
                        None => shared.handle_crowded_out(remote),
                    },
                    Err(error) => {
                        // Usually the file descriptors are exhausted. Connections that close return
                        // theirs.
                        warn!(error = %causes(&error), "cannot accept a connection");
                        turnstile.make_room();
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        phase.send_replace(Phase::Draining);
        let peers = shared.registry.peers();
        info!(connections = peers.len(), "closing all connections");
        let pause = drain::pause(peers.len(), shared.config.drain);
        // Computed from the beginning, so that one late timer does not delay all others.
        let mut next = Instant::now();
        for peer in peers.into_iter().filter(Peer::is_open) {
            peer.begin_close(Close::GoingAway);
            next += pause;
            tokio::time::sleep_until(next).await;
        }
        phase.send_replace(Phase::Closing);
        // Each connection ends within its own deadlines.
        while let Some(ended) = connections.join_next().await {
            report_panic(ended);
        }
    }
}

impl CsmsHandle {
    /// Serves new connections with other certificates, roots and revocation lists. Open connections
    /// stay open, except those of stations whose certificates have been revoked: they are closed
    /// (1008).
    ///
    /// Returns the identities of these stations.
    ///
    /// # Errors
    /// If the server was bound without TLS.
    ///
    /// # Cancel safety
    /// From the first poll on, new connections use the new configuration. If the future is dropped,
    /// any number of the open ones may have been closed.
    pub async fn reload_tls(&self, tls: ServerTls) -> Result<Vec<certificates::StationIdentity>, NotTls> {
        {
            let mut current = self.shared.tls.write().unwrap_or_else(PoisonError::into_inner);
            if current.is_none() {
                return Err(NotTls);
            }
            *current = Some(tls.clone());
        }
        info!("new connections get the new TLS configuration");
        self.shared.warn_of_stale_lists();
        let peers = self.shared.registry.peers();
        // The verification of a path takes several signatures, and there may be thousands of paths.
        let revoked = spawn_blocking(move || {
            let now = UnixTime::now();
            peers.into_iter().filter(|peer| is_revoked(peer, &tls, now)).collect::<Vec<_>>()
        });
        let revoked = revoked.await.unwrap_or_else(|error| {
            error!(error = %causes(&error), "open connections were not checked against the new revocation lists; reload again");
            Vec::new()
        });
        for peer in &revoked {
            warn!(station = %peer.identity(), "its certificate is revoked; its connection is closed");
            peer.begin_close(Close::PolicyViolation);
        }
        Ok(revoked.iter().map(|peer| peer.identity().clone()).collect())
    }

    /// The number of connected stations.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.registry.len()
    }
}

fn is_revoked(peer: &Peer, tls: &ServerTls, now: UnixTime) -> bool {
    let chain = peer.client_certificate().and_then(<[_]>::split_first);
    chain.is_some_and(|(own, others)| tls.rules.is_revoked(own, others, now))
}

impl Shared {
    fn warn_of_stale_lists(&self) {
        let stale = self.tls().and_then(|tls| tls.rules.stale_crl(UnixTime::now()));
        if let Some(next_update) = stale {
            warn!(next_update = next_update.as_secs(), "a revocation list is past its nextUpdate");
        }
    }

    /// A connection was closed to make room for others. A flood of them does not flood the log.
    fn handle_crowded_out(&self, remote: SocketAddr) {
        self.metrics.handshake_refused("too_many");
        let mut crowded_out = self.crowded_out.lock().unwrap_or_else(PoisonError::into_inner);
        crowded_out.0 += 1;
        if crowded_out.0.is_power_of_two() {
            warn!(%remote, in_all = crowded_out.0, "too many connections wait for admission; one was closed");
        }
    }

    /// Logs why a connection was refused, and reports a security event to the application once per
    /// episode.
    fn handle_refused(&self, remote: SocketAddr, error: &OpenError) {
        self.metrics.handshake_refused(error.label());
        let reason = causes(error);
        let Some(kind) = error.event() else {
            match error {
                // Load balancers connect like this to check the service. The other errors are
                // frequent, and the admission reports them once per overload.
                OpenError::Silent
                | OpenError::Gone
                | OpenError::Refused {
                    refusal: Refusal::Overloaded { .. } | Refusal::Throttled { .. },
                    ..
                } => debug!(%remote, error = %reason, "a connection was refused"),
                _ => warn!(%remote, error = %reason, "a connection was refused"),
            }
            return;
        };
        let mut episodes = self.episodes.lock().unwrap_or_else(PoisonError::into_inner);
        let certificate = error.presented();
        let which = certificate.map_or(Which::None, |presented| Which::One(presented.fingerprint));
        let failure = Failure { network: Network::of(remote.ip()), kind, which };
        let report = episodes.handle_failure(Instant::now().into_std(), failure);
        drop(episodes);
        if report == Report::None {
            debug!(%remote, event = kind.as_str(), error = %reason, "a connection was refused again");
            return;
        }
        // A00.FR.408: with the name of the security event.
        let reason = format!("{reason}{}", report.note());
        let shown = certificate.map(tracing::field::display);
        warn!(%remote, event = kind.as_str(), error = %reason, certificate = shown, "a connection was refused");
        let certificate = certificate.cloned();
        self.admission.security_event(&SecurityEvent { kind, remote, reason, certificate });
    }
}

/// Serves one connection. A handshake needs several times the memory of an idle connection, so each
/// has a future of its own.
fn serve_connection(
    shared: Arc<Shared>,
    tcp: TcpStream,
    remote: SocketAddr,
    entry: Entry,
    phase: watch::Receiver<Phase>,
) -> impl Future<Output = ()> + Send {
    let opening = Box::pin(open_connection(shared, tcp, remote, entry, phase));
    async move {
        if let Some(opened) = opening.await {
            opened.await;
        }
    }
}

/// Opens one connection, and returns the future that serves it.
async fn open_connection(
    shared: Arc<Shared>,
    tcp: TcpStream,
    remote: SocketAddr,
    mut entry: Entry,
    mut phase: watch::Receiver<Phase>,
) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
    let opening = open_in_turn(&shared, tcp, remote, entry.turns());
    let opened = tokio::select! {
        opened = opening => opened,
        () = reached(&mut phase, Phase::Draining) => return None,
        () = entry.pushed_out() => {
            shared.handle_crowded_out(remote);
            return None;
        }
    };
    let (socket, link) = match opened {
        Ok(opened) => opened,
        Err(not_opened) => {
            shared.handle_refused(remote, &not_opened.error);
            // The connection still counts as pending, but it can be pushed out.
            let farewell = not_opened.say_farewell(shared.farewells.try_acquire().ok());
            tokio::select! {
                () = farewell => {}
                () = entry.pushed_out() => {}
            }
            return None;
        }
    };
    drop(entry);
    let mut seed = [0; 16];
    if let Err(error) = getrandom::fill(&mut seed) {
        warn!(%remote, error = %causes(&error), "no random numbers from the operating system");
        return None;
    }
    let span = info_span!("connection", station = %link.identity, profile = %link.profile, version = %link.version, %remote);
    let serve = async move {
        let (peer, channels) = Peer::new(link);
        let place = shared.registry.take(&peer).await;
        info!("connected");
        shared.admission.connected(&peer);
        let link_settings = shared.config.link.clone();
        let router = Arc::clone(&shared.router);
        let driver = Driver::new(socket, seed, router, link_settings, (peer.clone(), channels))
            .with_message_rate(shared.config.message_rate);
        let mut run = std::pin::pin!(driver.run());
        let (reason, remains) = tokio::select! {
            ended = &mut run => ended,
            () = reached(&mut phase, Phase::Closing) => {
                peer.begin_close(Close::GoingAway);
                run.await
            }
        };
        info!(%reason, "disconnected");
        shared.admission.disconnected(&peer, &reason);
        // The next connection of this station may begin only now.
        drop(place);
        remains.join().await;
    };
    Some(Box::pin(serve.instrument(span)))
}

/// Waits for the first byte, then for the connection's turn, and then opens it.
async fn open_in_turn(
    shared: &Shared,
    tcp: TcpStream,
    remote: SocketAddr,
    turns: Turns,
) -> Result<(Socket, Link), NotOpened> {
    let deadline = Instant::now() + shared.config.handshake_timeout;
    match timeout(shared.config.first_byte_timeout, tcp.peek(&mut [0])).await {
        Ok(Ok(0)) | Err(_) => return Err(OpenError::Silent.into()),
        // A health check that ends in RST.
        Ok(Err(error)) if is_gone(&error) => return Err(OpenError::Silent.into()),
        Ok(Err(error)) => return Err(OpenError::Io(error).into()),
        Ok(Ok(_)) => {}
    }
    let opened = async {
        let mut tcp = ReadAhead::from(tcp);
        let turn = tokio::select! {
            biased;
            () = tcp.gone() => return Err(OpenError::Gone.into()),
            turn = turns.turn() => turn,
        };
        // Connections that wait for their turn do not allocate this future yet.
        Box::pin(open(shared, tcp, remote, turn)).await
    };
    let opened = timeout_at(deadline, opened).await.unwrap_or(Err(OpenError::Timeout.into()))?;
    let own = opened.1.client_certificate.as_ref().and_then(|chain| chain.first());
    let mut episodes = shared.episodes.lock().unwrap_or_else(PoisonError::into_inner);
    episodes.handle_success(Network::of(remote.ip()), || own.map(|own| Fingerprint::of(own)));
    drop(episodes);
    Ok(opened)
}

/// Waits until the server's shutdown has reached a phase. A dropped sender counts, too.
async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    let _ = phase.wait_for(|phase| *phase >= wanted).await;
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        warn!(error = %causes(&error), "the task of a connection failed");
    } else {
        debug!("the task of a connection has ended");
    }
}

/// Connections that the operating system queues until they are accepted. Many stations may
/// reconnect at once.
const BACKLOG: u32 = 4096;

/// The pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The interval between two calls of `Turnstile::tick`, which counts seconds.
const TICK: Duration = Duration::from_secs(1);
