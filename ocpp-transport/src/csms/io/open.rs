//! Turns a TCP connection into a WebSocket: TLS, HTTP, admission.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use certificates::StationIdentity;
use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::Role;
use tracing::error;

use crate::calls::io::peer::Link;
use crate::connection::io::read_ahead::{ReadAhead, gone};
use crate::connection::io::socket::Socket;
use crate::connection::io::stream::Stream;
use crate::connection::profile::SecurityProfile;
use crate::csms::io::admission::{Admitted, Refusal, UpgradeRequest};
use crate::csms::io::shared::Shared;
use crate::csms::io::turnstile::Turn;
use crate::session;
use crate::tls::handshake_error::HandshakeError;
use crate::tls::io::accept::accept_tls;
use crate::tls::{PresentedCertificate, SecurityEventKind};
use crate::upgrade::io::head::{HeadError, read_head};
use crate::upgrade::{self, Authorization, HttpRefusal, NoCommonSubprotocol};

/// Why a connection did not become a WebSocket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Tls(HandshakeError),
    #[error("the connection failed during the handshake")]
    Io(#[source] io::Error),
    #[error(transparent)]
    Http(HttpRefusal),
    #[error("{identity} refused: {refusal}")]
    Refused {
        identity: StationIdentity,
        profile: SecurityProfile,
        /// The certificate that did not suffice.
        presented: Option<Box<PresentedCertificate>>,
        refusal: Refusal,
    },
    #[error("the peer sent nothing")]
    Silent,
    #[error("the peer closed the connection while it waited")]
    Gone,
    #[error("the handshake took too long")]
    Timeout,
}

impl OpenError {
    /// The security event of the error, if there is one.
    pub(crate) fn event(&self) -> Option<SecurityEventKind> {
        match self {
            Self::Tls(error) => error.event(),
            // A00.FR.405, A00.FR.407: a valid certificate, but of another station.
            Self::Refused {
                profile: SecurityProfile::TlsWithClientCertificate,
                refusal: Refusal::BadCredentials,
                ..
            } => Some(SecurityEventKind::InvalidChargingStationCertificate),
            _ => None,
        }
    }
}

impl OpenError {
    /// The station's certificate, if it is the reason of the refusal.
    pub(crate) fn presented(&self) -> Option<&PresentedCertificate> {
        match self {
            Self::Tls(error) => error.presented(),
            Self::Refused { presented, .. } => presented.as_deref(),
            Self::Io(_) | Self::Http(_) | Self::Silent | Self::Gone | Self::Timeout => None,
        }
    }

    /// The label of the error in the metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Tls(HandshakeError::Version) => "tls_version",
            Self::Tls(HandshakeError::CipherSuite(_)) => "tls_cipher_suite",
            Self::Tls(HandshakeError::Certificate { .. }) => "certificate",
            Self::Tls(HandshakeError::Other(_)) => "tls",
            Self::Tls(HandshakeError::Io(_)) | Self::Io(_) => "connection_lost",
            Self::Http(_) => "http",
            Self::Refused { refusal: Refusal::UnknownStation, .. } => "unknown_station",
            Self::Refused { refusal: Refusal::BadCredentials, .. } => "bad_credentials",
            Self::Refused { refusal: Refusal::NoCredentials, .. } => "no_credentials",
            Self::Refused { refusal: Refusal::WrongProfile, .. } => "wrong_profile",
            Self::Refused { refusal: Refusal::Overloaded { .. }, .. } => "overloaded",
            Self::Refused { refusal: Refusal::Throttled { .. }, .. } => "throttled",
            Self::Refused { refusal: Refusal::Unavailable, .. } => "unavailable",
            Self::Silent => "silent",
            Self::Gone => "gone",
            Self::Timeout => "timeout",
        }
    }
}

/// A connection that does not become a WebSocket, and the response that is still to be sent.
pub(crate) struct NotOpened {
    pub(crate) error: OpenError,
    farewell: Option<(Stream, Vec<u8>)>,
}

impl NotOpened {
    /// Sends the response that refuses, and waits until it has arrived. Without a permit it does
    /// not wait; the response still arrives unless the peer is still sending.
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket.
    pub(crate) async fn say_farewell(self, permit: Option<SemaphorePermit<'_>>) {
        let Some((mut stream, response)) = self.farewell else { return };
        if permit.is_none() {
            let _ = stream.write_all(&response).now_or_never();
            let _ = stream.shutdown().now_or_never();
            return;
        }
        let linger = async {
            stream.write_all(&response).await?;
            stream.shutdown().await?;
            // Closing with unread bytes would reset the connection, and the response might be lost.
            stream.take(upgrade::MAX_HEAD_BYTES as u64).read_to_end(&mut Vec::new()).await
        };
        let _ = timeout(LINGER, linger).await;
    }
}

impl From<OpenError> for NotOpened {
    fn from(error: OpenError) -> Self {
        Self { error, farewell: None }
    }
}

/// TLS, HTTP, admission. The caller sets the deadline. The turn ends before the admission, which
/// may wait for something other than the processor.
pub(crate) async fn open(
    shared: &Shared,
    tcp: ReadAhead,
    remote: SocketAddr,
    turn: Turn,
) -> Result<(Socket, Link), NotOpened> {
    let config = &shared.config;
    tcp.set_nodelay().map_err(OpenError::Io)?;
    let mut stream = match shared.tls() {
        None => Stream::Plain(tcp),
        Some(tls) => accept_tls(&tls, tcp, &shared.signers).await.map_err(OpenError::Tls)?,
    };
    let mut head = match read_head(&mut stream).await {
        Ok(head) => head,
        // A health check completes TLS and sends no request.
        Err(HeadError::Io { head, source }) if head.is_empty() && is_gone(&source) => {
            return Err(OpenError::Silent.into());
        }
        Err(HeadError::Io { source, .. }) => return Err(io_error(source).into()),
        Err(error) => {
            let refusal = match error {
                HeadError::TooLong => HttpRefusal::new(431, "the head of the request is too long"),
                _ => HttpRefusal::new(400, "not HTTP; check that the station uses TLS if this port does"),
            };
            return Err(refuse(stream, refusal.status, OpenError::Http(refusal)));
        }
    };
    let upgrade = match upgrade::parse_request(
        &head.head,
        &config.base_path,
        shared.router.versions(),
        config.link.deflate.as_ref(),
    ) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return Err(refuse(stream, refusal.status, OpenError::Http(refusal))),
    };
    let version = match &upgrade.version {
        Ok(version) => *version,
        Err(refusal) => {
            let response = match config.no_common_subprotocol {
                NoCommonSubprotocol::Refuse => upgrade::refuse(refusal.status, None).into_bytes(),
                NoCommonSubprotocol::OpenAndClose => upgrade::open_and_close(&upgrade),
            };
            let error = OpenError::Http(refusal.clone());
            return Err(NotOpened { error, farewell: Some((stream, response)) });
        }
    };
    let client_certificate = stream.peer_certificates();
    let profile = match (&stream, &client_certificate) {
        (Stream::Plain(_), _) => SecurityProfile::UnsecuredWithBasicAuth,
        (_, None) => SecurityProfile::TlsWithBasicAuth,
        (_, Some(_)) => SecurityProfile::TlsWithClientCertificate,
    };
    // Under profile 3 the certificate is the proof. A password beside it proves nothing more, and
    // an Authorization header with another scheme has another purpose.
    let basic = match upgrade.authorization {
        _ if profile == SecurityProfile::TlsWithClientCertificate => None,
        Authorization::None => None,
        Authorization::Basic(ref credentials) => Some(credentials.clone()),
        Authorization::Unusable(ref refusal) => {
            return Err(refuse(stream, refusal.status, OpenError::Http(refusal.clone())));
        }
    };
    let now = rustls_pki_types::UnixTime::now();
    let own = client_certificate.as_ref().and_then(|chain| chain.first());
    let request = UpgradeRequest {
        identity: upgrade.identity.clone(),
        version,
        basic,
        certificate_expired: own.zip(shared.tls()).is_some_and(|(own, tls)| tls.rules.has_expired(own, now)),
        client_certificate,
        remote,
        profile,
    };
    turn.end_handshake();
    // A decision may take long, and is useless if the peer has closed the connection.
    let admitted = tokio::select! {
        biased;
        admitted = admit(shared, &request) => admitted,
        () = gone(&mut stream, &mut head.tail) => return Err(OpenError::Gone.into()),
    };
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => {
            // Refusals for other reasons are frequent, and the certificate is not their cause.
            let own = request.client_certificate.as_ref().and_then(|chain| chain.first());
            let presented = own.filter(|_| refusal == Refusal::BadCredentials);
            let presented = presented.map(PresentedCertificate::of).map(Box::new);
            let error = OpenError::Refused { identity: request.identity, profile, presented, refusal };
            let response = upgrade::refuse(refusal.status(), refusal.retry_after()).into_bytes();
            return Err(NotOpened { error, farewell: Some((stream, response)) });
        }
    };
    let response = upgrade::accept(&upgrade, version);
    let written = async {
        stream.write_all(response.as_bytes()).await?;
        stream.flush().await
    };
    written.await.map_err(OpenError::Io)?;
    let socket =
        Socket::open(stream, head.tail, Role::Server, &config.link, upgrade.deflate(), &shared.metrics).await;
    let link = Link {
        role: session::Role::Csms,
        registration: admitted.registration,
        version,
        identity: admitted.identity.unwrap_or(request.identity),
        profile,
        remote,
        client_certificate: request.client_certificate,
        context: admitted.context,
        metrics: shared.metrics.clone(),
    };
    Ok((socket, link))
}

/// The checks of the transport, and then the decision of the application.
async fn admit(shared: &Shared, request: &UpgradeRequest) -> Result<Admitted, Refusal> {
    if request.profile != SecurityProfile::TlsWithClientCertificate {
        // A00.FR.203, A00.FR.204, A00.FR.302, A00.FR.303; TC_A_02_CSMS: the user is the identity.
        let credentials = request.basic.as_ref().ok_or(Refusal::NoCredentials)?;
        if !request.identity.is(&credentials.user) {
            return Err(Refusal::BadCredentials);
        }
    }
    let admitted = shared.admission.admit(request).await?;
    if admitted.identity.as_ref().is_some_and(|identity| *identity != request.identity) {
        error!(identity = %request.identity, "the application admitted another station than the one that requests the connection");
        return Err(Refusal::Unavailable);
    }
    Ok(admitted)
}

fn refuse(stream: Stream, status: u16, error: OpenError) -> NotOpened {
    NotOpened { error, farewell: Some((stream, upgrade::refuse(status, None).into_bytes())) }
}

fn io_error(error: io::Error) -> OpenError {
    match HandshakeError::from_rustls(error) {
        HandshakeError::Io(error) => OpenError::Io(error),
        error => OpenError::Tls(error),
    }
}

/// Whether the error shows that the peer has closed the connection.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}

/// Refused connections that stay open at the same time until the response has arrived, about 20 KiB
/// each.
pub(crate) const MAX_FAREWELLS: usize = 512;

/// How long a refused station has to read the response.
const LINGER: Duration = Duration::from_secs(2);
