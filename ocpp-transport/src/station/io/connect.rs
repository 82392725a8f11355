//! The station's side: one connection to a CSMS.

use std::io;
use std::sync::Arc;

use ocpp_types::Version;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::{TlsConnector, TlsStream};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tracing::{Instrument, debug, info_span};

use crate::calls::io::peer::{Link, Peer};
use crate::calls::io::router::Router;
use crate::connection::close::{Close, CloseReason};
use crate::connection::io::driver::Driver;
use crate::connection::io::read_ahead::ReadAhead;
use crate::connection::io::socket::Socket;
use crate::connection::io::stream::Stream;
use crate::connection::profile::SecurityProfile;
use crate::metrics::Metrics;
use crate::session;
use crate::station::io::config::StationConfig;
use crate::station::io::dial::dial;
use crate::tls::TlsFailure;
use crate::tls::handshake_error::plain;
use crate::tls::io::blocking::on_blocking_thread;
use crate::upgrade::basic;
use crate::upgrade::io::head::{HeadError, read_head};
use crate::upgrade::{self, Opened, ResponseError};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL does not fit the profile.
    #[error("{url} cannot be used under security profile {profile}: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// The profile.
        profile: SecurityProfile,
        /// The reason.
        reason: &'static str,
    },
    /// No TCP connection.
    #[error("{endpoint} cannot be reached")]
    Unreachable {
        /// Host and port.
        endpoint: String,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// TLS failed; [`TlsFailure::BadServerCertificate`] is for the event `InvalidCsmsCertificate`.
    #[error("no TLS connection to {endpoint}")]
    Tls {
        /// Host and port.
        endpoint: String,
        /// The cause.
        #[source]
        source: TlsFailure,
    },
    /// The CSMS answered the upgrade with another status than 101: 401 for wrong credentials, 404
    /// for an unknown identity, 403 for another profile, 400 for no common subprotocol.
    #[error("{endpoint} refused the station with HTTP {status}")]
    Refused {
        /// Host and port.
        endpoint: String,
        /// The HTTP status.
        status: u16,
    },
    /// The CSMS opened the WebSocket, but for no offered version of OCPP. The station must not
    /// continue.
    #[error("{endpoint} speaks none of the offered versions of OCPP")]
    NoSubprotocol {
        /// Host and port.
        endpoint: String,
    },
    /// The peer is not a WebSocket server.
    #[error("{endpoint} did not answer as a WebSocket server does: {reason}")]
    NotWebSocket {
        /// Host and port.
        endpoint: String,
        /// What the peer did.
        reason: String,
    },
    /// The connection failed during the handshake.
    #[error("the connection to {endpoint} failed during the handshake")]
    Handshake {
        /// Host and port.
        endpoint: String,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// Not ready within [`StationConfig::connect_timeout`].
    #[error("{endpoint} was not ready in time")]
    Timeout {
        /// Host and port.
        endpoint: String,
    },
    /// The operating system has no randomness.
    #[error("no random numbers from the operating system")]
    Random(#[source] getrandom::Error),
}

/// An open connection of a station. It owns the task that drives it. Dropping it cuts the
/// connection.
#[derive(Debug)]
pub struct Connection {
    peer: Peer,
    driver: Option<JoinHandle<()>>,
}

impl Connection {
    /// The CSMS.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Waits until the connection is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing; the connection stays open.
    pub async fn closed(&mut self) -> CloseReason {
        self.peer.closed().await
    }

    /// Closes the connection after pending answers are flushed, and waits for its task and its
    /// handlers.
    ///
    /// # Cancel safety
    /// Dropping the future cuts the connection, because the future owns it.
    pub async fn close(mut self, close: Close) -> CloseReason {
        let reason = self.peer.close(close).await;
        if let Some(mut driver) = self.driver.take() {
            // It ends by the deadline of handlers at the latest. If this future is dropped, it ends
            // on its own.
            let _ = (&mut driver).await;
        }
        reason
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.abort();
        }
    }
}

/// Connects a station to its CSMS. The versions of the router are offered in their order.
///
/// All addresses of the host are tried. The next one is tried as soon as one has failed or has not
/// answered for 250 ms (RFC 8305).
///
/// The TLS handshake runs on a thread for blocking work, because a key in an HSM signs
/// synchronously.
///
/// # Errors
/// See [`ConnectError`]. Nothing is retried.
///
/// # Cancel safety
/// Dropping the future cancels the attempt and closes the socket. Only a signature in progress is
/// not interrupted.
pub async fn connect(config: &StationConfig, router: Router) -> Result<Connection, ConnectError> {
    let metrics = Metrics::new(session::Role::ChargingStation);
    let connected = connect_counted(config, router, metrics.clone()).await;
    connected.inspect_err(|error| metrics.handshake_refused(error.label()))
}

async fn connect_counted(
    config: &StationConfig,
    router: Router,
    metrics: Metrics,
) -> Result<Connection, ConnectError> {
    let target = Target::new(config)?;
    let endpoint = || target.endpoint.clone();
    let deadline = Instant::now() + config.connect_timeout;

    let tcp = timeout_at(deadline, dial(&target.host, target.port))
        .await
        .map_err(|_| ConnectError::Timeout { endpoint: endpoint() })?
        .and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp))
        .map_err(|source| ConnectError::Unreachable { endpoint: endpoint(), source })?;
    let remote =
        tcp.peer_addr().map_err(|source| ConnectError::Unreachable { endpoint: endpoint(), source })?;

    let mut stream = match config.security.tls() {
        None => Stream::Plain(tcp.into()),
        Some(tls) => {
            handshake(tcp, Arc::clone(tls), target.server_name.clone(), deadline, &target.endpoint).await?
        }
    };
    let (opened, tail) = timeout_at(deadline, open(&mut stream, config, &target, router.versions()))
        .await
        .map_err(|_| ConnectError::Timeout { endpoint: endpoint() })??;

    let version = opened.version;
    let socket = Socket::open(stream, tail, Role::Client, &config.link, opened.deflate, &metrics).await;
    let link = Link {
        role: session::Role::ChargingStation,
        registration: config.registration,
        version,
        identity: config.identity.clone(),
        profile: config.security.profile(),
        remote,
        client_certificate: None,
        context: None,
        metrics,
    };
    let mut seed = [0; 16];
    getrandom::fill(&mut seed).map_err(ConnectError::Random)?;
    let (peer, channels) = Peer::new(link);
    let driver = Driver::new(socket, seed, Arc::new(router), config.link.clone(), (peer.clone(), channels));
    let span =
        info_span!("connection", station = %config.identity, profile = %config.security.profile(), %version);
    debug!(parent: &span, endpoint = target.endpoint, "connected");
    let run = async move {
        let (_, remains) = driver.run().await;
        remains.join().await;
    };
    Ok(Connection { peer, driver: Some(tokio::spawn(run.instrument(span))) })
}

impl ConnectError {
    /// The label of the error in the metrics.
    fn label(&self) -> &'static str {
        match self {
            Self::Url { .. } => "url",
            Self::Unreachable { .. } => "unreachable",
            Self::Tls { source: TlsFailure::BadServerCertificate { .. }, .. } => "certificate",
            Self::Tls { .. } => "tls",
            Self::Refused { status: 401, .. } => "bad_credentials",
            Self::Refused { status: 403, .. } => "wrong_profile",
            Self::Refused { status: 404, .. } => "unknown_station",
            Self::Refused { .. } => "http",
            Self::NoSubprotocol { .. } => "no_common_subprotocol",
            Self::NotWebSocket { .. } => "not_web_socket",
            Self::Handshake { .. } => "connection_lost",
            Self::Timeout { .. } => "timeout",
            Self::Random(_) => "no_random_numbers",
        }
    }
}

/// The target of a configuration.
struct Target {
    host: String,
    port: u16,
    /// Host and port, for errors.
    endpoint: String,
    /// As in the URL, for the Host header.
    authority: String,
    path: String,
    server_name: ServerName<'static>,
}

impl Target {
    fn new(config: &StationConfig) -> Result<Self, ConnectError> {
        let url = &config.url;
        let profile = config.security.profile();
        let error = |reason| ConnectError::Url { url: url.to_string(), profile, reason };
        match (url.is_tls(), profile) {
            (true, SecurityProfile::UnsecuredWithBasicAuth) => {
                return Err(error("it has to begin with ws://"));
            }
            (false, SecurityProfile::TlsWithBasicAuth | SecurityProfile::TlsWithClientCertificate) => {
                return Err(error("it has to begin with wss://"));
            }
            _ => {}
        }
        let (host, port) = (url.host(), url.port());
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self {
            server_name: ServerName::try_from(bare.clone()).map_err(|_| error("its host is not a name"))?,
            host: bare,
            port,
            endpoint: format!("{host}:{port}"),
            authority: url.authority(),
            path: url.path_for(&config.identity),
        })
    }
}

async fn handshake(
    tcp: TcpStream,
    tls: Arc<ClientConfig>,
    name: ServerName<'static>,
    deadline: Instant,
    endpoint: &str,
) -> Result<Stream, ConnectError> {
    let connect = async move { TlsConnector::from(tls).connect(name, ReadAhead::from(tcp)).await };
    match timeout_at(deadline, on_blocking_thread(connect)).await {
        Ok(Ok(Some(Ok(stream)))) => Ok(Stream::Tls(Box::new(TlsStream::Client(stream)))),
        Ok(Ok(Some(Err(error)))) => Err(handshake_error(endpoint, error)),
        Err(_) | Ok(Ok(None)) => Err(ConnectError::Timeout { endpoint: endpoint.to_owned() }),
        Ok(Err(error)) => {
            let source = io::Error::other(format!("the thread of the TLS handshake failed: {error}"));
            Err(ConnectError::Handshake { endpoint: endpoint.to_owned(), source })
        }
    }
}

/// The HTTP part of the handshake. Returns the CSMS's selection, and the bytes that followed its
/// response.
async fn open(
    stream: &mut Stream,
    config: &StationConfig,
    target: &Target,
    versions: &[Version],
) -> Result<(Opened, Vec<u8>), ConnectError> {
    let endpoint = || target.endpoint.clone();
    let key = generate_key();
    // A00.FR.202, A00.FR.301: Basic authentication with every connection request.
    let authorization = config.security.password().map(|password| basic::header(&config.identity, password));
    let deflate = config.link.deflate.as_ref();
    let request =
        upgrade::request(&target.authority, &target.path, &key, versions, deflate, authorization.as_ref());
    let written = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await
    };
    written.await.map_err(|error| handshake_error(&target.endpoint, error))?;
    let response = read_head(stream).await.map_err(|error| match error {
        // A server that refuses and then cuts the connection has refused.
        HeadError::Io { head, .. }
            if let Some(status) = upgrade::status_of(&head).filter(|status| *status != 101) =>
        {
            ConnectError::Refused { endpoint: endpoint(), status }
        }
        // Under TLS 1.3 a refusal of the client's certificate arrives here.
        HeadError::Io { source, .. } => handshake_error(&target.endpoint, source),
        error => ConnectError::NotWebSocket { endpoint: endpoint(), reason: error.to_string() },
    })?;
    match upgrade::check_response(&response.head, &key, versions, deflate) {
        Ok(opened) => Ok((opened, response.tail)),
        Err(ResponseError::Status { status }) => Err(ConnectError::Refused { endpoint: endpoint(), status }),
        Err(ResponseError::Subprotocol) => Err(ConnectError::NoSubprotocol { endpoint: endpoint() }),
        Err(error @ (ResponseError::Invalid(_) | ResponseError::Extension(_))) => {
            Err(ConnectError::NotWebSocket { endpoint: endpoint(), reason: error.to_string() })
        }
    }
}

fn handshake_error(endpoint: &str, error: io::Error) -> ConnectError {
    let endpoint = endpoint.to_owned();
    match TlsFailure::from_io(&error) {
        Some(source) => ConnectError::Tls { endpoint, source },
        None => ConnectError::Handshake { endpoint, source: plain(error) },
    }
}
