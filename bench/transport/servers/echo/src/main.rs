//! The limit: a bare tokio-tungstenite that echoes every text, without OCPP, checks or deadlines.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use futures_util::{SinkExt as _, StreamExt as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// The options of all servers of the bench.
#[derive(clap::Parser)]
struct Arguments {
    /// Serve TLS with this certificate chain, in PEM
    #[arg(long, requires = "key")]
    certificate: Option<PathBuf>,
    /// The key of the certificate, PKCS #8 in PEM
    #[arg(long)]
    key: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the limit of open files")?;
    let acceptor = match (&arguments.certificate, &arguments.key) {
        (Some(certificate), Some(key)) => {
            let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
            let config = rustls::ServerConfig::builder()
                .with_no_client_auth()
                .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
            Some(TlsAcceptor::from(Arc::new(config)))
        }
        _ => None,
    };
    let listener = TcpListener::bind(("0.0.0.0", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    std::io::stdout().flush()?;
    loop {
        let (tcp, _) = listener.accept().await?;
        tokio::spawn(serve(tcp, acceptor.clone()));
    }
}

/// An error of one connection affects only this connection. The generator counts the missing
/// answers.
async fn serve(tcp: TcpStream, acceptor: Option<TlsAcceptor>) -> Result<()> {
    tcp.set_nodelay(true)?;
    match acceptor {
        Some(acceptor) => echo(acceptor.accept(tcp).await?).await,
        None => echo(tcp).await,
    }
}

async fn echo(stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    let mut web_socket = tokio_tungstenite::accept_hdr_async(stream, subprotocol).await?;
    while let Some(message) = web_socket.next().await {
        if let message @ Message::Text(_) = message? {
            web_socket.send(message).await?;
        }
    }
    Ok(())
}

#[allow(clippy::result_large_err, clippy::unnecessary_wraps, reason = "the callback's type is tungstenite's")]
fn subprotocol(_: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("ocpp2.0.1"));
    Ok(response)
}
