//! A TCP connection, with or without TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use crate::connection::io::read_ahead::ReadAhead;

/// The bytes below a WebSocket.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(ReadAhead),
    Tls(Box<TlsStream<ReadAhead>>),
    #[cfg(feature = "openssl")]
    OpenSsl(Box<tokio_openssl::SslStream<ReadAhead>>),
}

impl Stream {
    /// The certificates that the peer presented, if any.
    pub(crate) fn peer_certificates(&self) -> Option<Vec<CertificateDer<'static>>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => tls.get_ref().1.peer_certificates().map(<[_]>::to_vec),
            #[cfg(feature = "openssl")]
            Self::OpenSsl(tls) => crate::tls::openssl::peer_certificates(tls.ssl()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(context, buffer),
            #[cfg(feature = "openssl")]
            Self::OpenSsl(tls) => Pin::new(tls.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(context, bytes),
            #[cfg(feature = "openssl")]
            Self::OpenSsl(tls) => Pin::new(tls.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(context),
            #[cfg(feature = "openssl")]
            Self::OpenSsl(tls) => Pin::new(tls.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(context),
            #[cfg(feature = "openssl")]
            Self::OpenSsl(tls) => Pin::new(tls.as_mut()).poll_shutdown(context),
        }
    }
}
