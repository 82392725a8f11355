//! TLS handshakes of a CSMS.

use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::Acceptor;
use rustls::{HandshakeKind, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::server::StartHandshake;
use tokio_rustls::{LazyConfigAcceptor, TlsStream};

use crate::connection::io::read_ahead::ReadAhead;
use crate::connection::io::stream::Stream;
use crate::tls::handshake_error::{HELLO_VERSION_END, HandshakeError, PROTOCOL_VERSION_ALERT, is_too_old};
use crate::tls::io::blocking::on_blocking_thread;
use crate::tls::presented::REFUSED;
use crate::tls::{Engine, PresentedCertificate, ServerTls, Signing};

/// Runs the TLS handshake with a station. The caller sets the deadline. `signers` limits the
/// threads that wait for a token.
pub(crate) async fn accept_tls(
    tls: &ServerTls,
    mut tcp: ReadAhead,
    signers: &Arc<Semaphore>,
) -> Result<Stream, HandshakeError> {
    let mut first_bytes = [0; HELLO_VERSION_END];
    let peeked = tcp.peek(&mut first_bytes).await.map_err(HandshakeError::Io)?;
    // A hello usually arrives in one piece. If not, the library handles it.
    if peeked == first_bytes.len() && is_too_old(&first_bytes) {
        let refuse = async {
            tcp.write_all(&PROTOCOL_VERSION_ALERT).await?;
            tcp.shutdown().await?;
            // A socket that is closed with unread bytes is reset, and the alert might be lost.
            tcp.take(MAX_HELLO_BYTES).read_to_end(&mut Vec::new()).await
        };
        // The reason is the same whether or not the peer reads the alert.
        let _ = timeout(LINGER, refuse).await;
        return Err(HandshakeError::Version);
    }
    match &tls.engine {
        Engine::Rustls { config, signing } => {
            let hello = LazyConfigAcceptor::new(Acceptor::default(), tcp);
            let hello = hello.await.map_err(HandshakeError::from_rustls)?;
            let (stream, refused) = match signing {
                Signing::Computes => noting_refused(hello.into_stream(Arc::clone(config))).await,
                Signing::Blocks => sign_elsewhere(hello, Arc::clone(config), signers).await?,
            };
            let stream =
                stream.map_err(|error| HandshakeError::from_rustls(error).with_presented(refused))?;
            Ok(Stream::Tls(Box::new(TlsStream::Server(stream))))
        }
        #[cfg(feature = "openssl")]
        Engine::OpenSsl(server) => {
            let ssl = server.begin(rustls_pki_types::UnixTime::now());
            let stream = ssl.and_then(|ssl| tokio_openssl::SslStream::new(ssl, tcp));
            let mut stream = stream.map_err(|error| HandshakeError::Other(error.into()))?;
            match std::pin::Pin::new(&mut stream).accept().await {
                Ok(()) => Ok(Stream::OpenSsl(Box::new(stream))),
                Err(error) => Err(server.failure(stream.ssl(), error)),
            }
        }
    }
}

/// A server signs once, when it has received the client's hello. The signature is made on a thread
/// that may block, while the runtime waits for the network. If the client must send a second hello,
/// the signature follows only then.
async fn sign_elsewhere(
    hello: StartHandshake<ReadAhead>,
    config: Arc<ServerConfig>,
    signers: &Arc<Semaphore>,
) -> Result<Noted, HandshakeError> {
    let thread_failed = |error| HandshakeError::Other(Box::new(error));
    let permit =
        Arc::clone(signers).acquire_owned().await.map_err(|error| HandshakeError::Other(error.into()))?;
    let sign = move || {
        // The permit moves with the work, which continues if the caller gives up.
        let _permit = permit;
        let mut hello_again = false;
        let handshake = hello.into_stream_with(config, |connection| {
            hello_again = connection.handshake_kind() == Some(HandshakeKind::FullWithHelloRetryRequest);
        });
        (handshake, hello_again)
    };
    let (handshake, hello_again) = spawn_blocking(sign).await.map_err(thread_failed)?;
    if !hello_again {
        return Ok(noting_refused(handshake).await);
    }
    let permit =
        Arc::clone(signers).acquire_owned().await.map_err(|error| HandshakeError::Other(error.into()))?;
    let handshake = async move {
        let _permit = permit;
        noting_refused(handshake).await
    };
    let done = on_blocking_thread(handshake).await.map_err(thread_failed)?;
    done.ok_or_else(|| HandshakeError::Io(std::io::ErrorKind::TimedOut.into()))
}

/// Runs a handshake. Returns its result with the certificate that it refused.
async fn noting_refused<T>(handshake: impl Future<Output = T>) -> (T, Option<PresentedCertificate>) {
    let noting = async {
        let result = handshake.await;
        (result, REFUSED.with(RefCell::take))
    };
    REFUSED.scope(RefCell::default(), noting).await
}

/// The result of a handshake, and the station's certificate if it was refused.
type Noted = (std::io::Result<tokio_rustls::server::TlsStream<ReadAhead>>, Option<PresentedCertificate>);

/// How long a refused client has to close.
const LINGER: Duration = Duration::from_secs(2);

/// The rest of a refused hello, in bytes: one record at most.
const MAX_HELLO_BYTES: u64 = 16 * 1024;

/// Signatures that are waited for at once. A token makes a few hundred a second, one at a time.
pub(crate) const MAX_SIGNERS: usize = 64;
