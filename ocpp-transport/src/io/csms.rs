//! The CSMS's side: a server for stations.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::{LazyConfigAcceptor, TlsStream};
use tokio_tungstenite::tungstenite::protocol::Role;
use tracing::{Instrument, debug, info, info_span, warn};

use crate::admission::{Admission, DynAdmission, Refusal, UpgradeRequest};
use crate::close::Close;
use crate::io::blocking::on_blocking_thread;
use crate::io::driver::Driver;
use crate::io::head::{HeadError, read_head};
use crate::io::registry::Registry;
use crate::io::settings::LinkSettings;
use crate::io::socket::Socket;
use crate::io::stream::Stream;
use crate::peer::{Link, Peer};
use crate::profile::SecurityProfile;
use crate::router::Router;
use crate::tls::BadCertificate;
use crate::upgrade::{self, HttpRefusal};

/// Where a CSMS listens, and how.
#[derive(Clone)]
#[non_exhaustive]
pub struct CsmsConfig {
    /// The address to listen on; port 0 takes a free one, see [`Csms::local_addr`].
    pub listen: SocketAddr,
    /// Made by [`tls::server_config`](crate::tls::server_config). None is security profile 1: no TLS.
    pub tls: Option<Arc<ServerConfig>>,
    /// The path of the endpoint; stations append `/` and their identity. Default `/`.
    pub base_path: String,
    /// Deadline of TLS, HTTP and admission together. Default 15 s.
    pub handshake_timeout: Duration,
    /// Connections that have not been admitted yet. Default 128: each may hold a thread during its TLS handshake.
    pub max_handshakes: usize,
    /// Connections in all. Default 20,000. Above that, new ones wait in the operating system's queue.
    pub max_connections: usize,
    /// Deadlines and bounds of each connection.
    pub link: LinkSettings,
}

impl CsmsConfig {
    /// A server for profiles 2 and 3.
    #[must_use]
    pub fn new(listen: SocketAddr, tls: Arc<ServerConfig>) -> Self {
        Self { tls: Some(tls), ..Self::unsecured(listen) }
    }

    /// A server for profile 1, without TLS. For trusted networks only.
    #[must_use]
    pub fn unsecured(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            base_path: "/".to_owned(),
            handshake_timeout: Duration::from_secs(15),
            max_handshakes: 128,
            max_connections: 20_000,
            link: LinkSettings::default(),
        }
    }

    /// Sets the path of the endpoint, such as `/ocpp`.
    #[must_use]
    pub fn with_base_path(self, base_path: impl Into<String>) -> Self {
        Self { base_path: base_path.into(), ..self }
    }

    /// Sets the deadline of TLS, HTTP and admission together.
    #[must_use]
    pub fn with_handshake_timeout(self, handshake_timeout: Duration) -> Self {
        Self { handshake_timeout, ..self }
    }

    /// Sets how many connections there may be.
    #[must_use]
    pub fn with_max_connections(self, max_connections: usize) -> Self {
        Self { max_connections, ..self }
    }

    /// Sets deadlines and bounds of each connection.
    #[must_use]
    pub fn with_link(self, link: LinkSettings) -> Self {
        Self { link, ..self }
    }
}

impl fmt::Debug for CsmsConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CsmsConfig")
            .field("listen", &self.listen)
            .field("tls", &self.tls.is_some())
            .field("base_path", &self.base_path)
            .field("handshake_timeout", &self.handshake_timeout)
            .field("max_handshakes", &self.max_handshakes)
            .field("max_connections", &self.max_connections)
            .field("link", &self.link)
            .finish()
    }
}

/// Why a CSMS cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the operating system says.
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

/// What all connections need.
struct Shared {
    config: CsmsConfig,
    router: Arc<Router>,
    admission: Arc<dyn DynAdmission>,
    registry: Registry,
}

impl Csms {
    /// Takes the address. Stations are served by [`Csms::serve`].
    ///
    /// # Errors
    /// If the address is taken or not permitted.
    ///
    /// # Cancel safety
    /// Dropping the future gives the address back.
    pub async fn bind(
        config: CsmsConfig,
        router: Router,
        admission: impl Admission,
    ) -> Result<Self, BindError> {
        let address = config.listen;
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            let local_addr = listener.local_addr()?;
            Ok((listener, local_addr))
        };
        let (listener, local_addr) = bound.await.map_err(|source| BindError { address, source })?;
        let shared = Shared {
            config,
            router: Arc::new(router),
            admission: Arc::new(admission),
            registry: Registry::default(),
        };
        Ok(Self { listener, local_addr, shared: Arc::new(shared) })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves stations until `shutdown` is ready; then closes every connection with 1001 after its pending answers
    /// are flushed, and returns when all handlers have ended.
    ///
    /// # Cancel safety
    /// Dropping the future cuts all connections and drops their handlers.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, local_addr, shared } = self;
        let handshakes = Arc::new(Semaphore::new(shared.config.max_handshakes));
        let (stop, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        info!(%local_addr, "listening");
        loop {
            let room = connections.len() < shared.config.max_connections;
            let accepted = async {
                let permit = Arc::clone(&handshakes).acquire_owned().await.ok();
                (listener.accept().await, permit)
            };
            tokio::select! {
                () = &mut shutdown => break,
                Some(ended) = connections.join_next() => report_panic(ended),
                (accepted, permit) = accepted, if room => match accepted {
                    Ok((tcp, remote)) => {
                        let task = serve_connection(Arc::clone(&shared), tcp, remote, permit, stopped.clone());
                        connections.spawn(task);
                    }
                    Err(error) => {
                        // Out of file descriptors, mostly: those of closed connections come back.
                        warn!(%error, "cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        stop.send_replace(true);
        info!(connections = connections.len(), "closing all connections");
        // Each connection ends within its own deadlines.
        while let Some(ended) = connections.join_next().await {
            report_panic(ended);
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("config", &self.config)
            .field("router", &self.router)
            .finish_non_exhaustive()
    }
}

async fn serve_connection(
    shared: Arc<Shared>,
    tcp: TcpStream,
    remote: SocketAddr,
    permit: Option<OwnedSemaphorePermit>,
    mut stopped: watch::Receiver<bool>,
) {
    let deadline = Instant::now() + shared.config.handshake_timeout;
    let opened = async {
        let opened = timeout_at(deadline, open(&shared, tcp, remote)).await;
        opened.unwrap_or(Err(OpenError::Timeout))
    };
    let opened = tokio::select! {
        opened = opened => opened,
        () = stop_requested(&mut stopped) => return,
    };
    drop(permit);
    let (socket, link) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            warn!(%remote, error = %WithCause(&error), "a connection was refused");
            return;
        }
    };
    let mut seed = [0; 16];
    if let Err(error) = getrandom::fill(&mut seed) {
        warn!(%remote, %error, "no random numbers from the operating system");
        return;
    }
    let span = info_span!("connection", station = %link.identity, profile = %link.profile, version = %link.version, %remote);
    let serve = async move {
        let (peer, channels) = Peer::new(link);
        let place = shared.registry.take(&peer).await;
        info!("connected");
        shared.admission.connected(&peer);
        let link_settings = shared.config.link.clone();
        let router = Arc::clone(&shared.router);
        let driver = Driver::new(socket, seed, router, link_settings, (peer.clone(), channels));
        let mut run = std::pin::pin!(driver.run());
        let (reason, remains) = tokio::select! {
            ended = &mut run => ended,
            () = stop_requested(&mut stopped) => {
                peer.begin_close(Close::GoingAway);
                run.await
            }
        };
        info!(%reason, "disconnected");
        shared.admission.disconnected(&peer, &reason);
        // Only now may the next connection of this station begin.
        drop(place);
        remains.join().await;
    };
    serve.instrument(span).await;
}

/// Why a connection did not become a WebSocket.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("the TLS handshake failed")]
    Tls(#[source] rustls::Error),
    // A00.FR.408: logged under the name of the security event.
    #[error("InvalidChargingStationCertificate")]
    Certificate(#[source] BadCertificate),
    #[error("the connection failed during the handshake")]
    Io(#[source] io::Error),
    #[error("the thread of the TLS handshake failed")]
    Thread(#[source] tokio::task::JoinError),
    #[error(transparent)]
    Http(HttpRefusal),
    #[error("{identity} refused: {refusal}")]
    Refused { identity: String, refusal: Refusal },
    #[error("the handshake took too long")]
    Timeout,
}

/// TLS, HTTP, admission.
async fn open(shared: &Shared, tcp: TcpStream, remote: SocketAddr) -> Result<(Socket, Link), OpenError> {
    let config = &shared.config;
    tcp.set_nodelay(true).map_err(OpenError::Io)?;
    let mut stream = match &config.tls {
        None => Stream::Plain(tcp),
        Some(tls) => handshake(tcp, Arc::clone(tls)).await?,
    };
    let head = match read_head(&mut stream).await {
        Ok(head) => head,
        Err(HeadError::Io(error)) => return Err(io_error(error)),
        Err(error) => {
            let refusal = match error {
                HeadError::TooLong => {
                    HttpRefusal { status: 431, reason: "the head of the request is too long" }
                }
                _ => HttpRefusal {
                    status: 400,
                    reason: "not HTTP; does the station use TLS as this port does?",
                },
            };
            return Err(refuse(stream, refusal.status, OpenError::Http(refusal)).await);
        }
    };
    let upgrade = match upgrade::parse_request(
        &head.head,
        &config.base_path,
        shared.router.versions(),
        config.link.deflate.as_ref(),
    ) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return Err(refuse(stream, refusal.status, OpenError::Http(refusal)).await),
    };
    let client_certificate = stream.peer_certificates();
    let profile = match (&stream, &client_certificate) {
        (Stream::Plain(_), _) => SecurityProfile::UnsecuredWithBasicAuth,
        (Stream::Tls(_), None) => SecurityProfile::TlsWithBasicAuth,
        (Stream::Tls(_), Some(_)) => SecurityProfile::TlsWithClientCertificate,
    };
    let request = UpgradeRequest {
        identity: upgrade.identity.clone(),
        version: upgrade.version,
        // Under profile 3 the certificate is the proof; a password beside it proves nothing more.
        basic: upgrade.credentials.clone().filter(|_| profile != SecurityProfile::TlsWithClientCertificate),
        client_certificate,
        remote,
        profile,
    };
    let admitted = match admit(shared, &request).await {
        Ok(admitted) => admitted,
        Err(refusal) => {
            let error = OpenError::Refused { identity: request.identity.to_string(), refusal };
            return Err(refuse(stream, refusal.status(), error).await);
        }
    };
    let response = upgrade::accept(&upgrade);
    let written = async {
        stream.write_all(response.as_bytes()).await?;
        stream.flush().await
    };
    written.await.map_err(io_error)?;
    let socket = Socket::open(stream, head.tail, Role::Server, &config.link, upgrade.deflate()).await;
    let link = Link {
        version: upgrade.version,
        identity: request.identity,
        profile,
        remote,
        client_certificate: request.client_certificate,
        context: admitted.context,
    };
    Ok((socket, link))
}

/// What the transport itself can tell, and then the application.
async fn admit(shared: &Shared, request: &UpgradeRequest) -> Result<crate::admission::Admitted, Refusal> {
    if request.profile != SecurityProfile::TlsWithClientCertificate {
        // A00.FR.203, A00.FR.204, A00.FR.302, A00.FR.303; TC_A_02_CSMS: the user is the identity.
        let credentials = request.basic.as_ref().ok_or(Refusal::BadCredentials)?;
        if credentials.user != request.identity.as_str() {
            return Err(Refusal::BadCredentials);
        }
    }
    shared.admission.admit(request).await
}

async fn handshake(tcp: TcpStream, tls: Arc<ServerConfig>) -> Result<Stream, OpenError> {
    // The first message is waited for here, so that who sends nothing holds no thread.
    let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), tcp).await.map_err(io_error)?;
    // In a block of its own: `into_stream` signs before it returns its future.
    let accept = async move { hello.into_stream(tls).await };
    match on_blocking_thread(accept).await {
        Ok(Some(Ok(stream))) => Ok(Stream::Tls(Box::new(TlsStream::Server(stream)))),
        Ok(Some(Err(error))) => Err(io_error(error)),
        Ok(None) => Err(OpenError::Timeout),
        Err(error) => Err(OpenError::Thread(error)),
    }
}

/// Sends an HTTP response that refuses, lets it arrive, and hands `error` back.
async fn refuse(mut stream: Stream, status: u16, error: OpenError) -> OpenError {
    let response = upgrade::refuse(status);
    let linger = async {
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await?;
        // Closing with unread bytes would reset the connection, and the response might be lost.
        stream.take(upgrade::MAX_HEAD_BYTES as u64).read_to_end(&mut Vec::new()).await
    };
    let _ = timeout(LINGER, linger).await;
    error
}

fn io_error(error: io::Error) -> OpenError {
    match error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(error)) => {
            OpenError::Certificate(BadCertificate::from_rustls(error.clone()))
        }
        Some(error) => OpenError::Tls(error.clone()),
        None => OpenError::Io(error),
    }
}

/// Waits until the server is to stop. That its owner is gone counts, too.
async fn stop_requested(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        warn!(%error, "the task of a connection failed");
    } else {
        debug!("the task of a connection has ended");
    }
}

/// An error with its causes, in one line.
struct WithCause<'a>(&'a dyn std::error::Error);

impl fmt::Display for WithCause<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// How long to wait when a connection cannot be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a refused station has to read why.
const LINGER: Duration = Duration::from_secs(2);
