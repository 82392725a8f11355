//! One station. It implements only the WebSocket that a client needs, so that the generator does
//! not measure itself.

use std::sync::{Arc, LazyLock};

use anyhow::{Context as _, Result, bail, ensure};
use base64ct::{Base64, Encoding as _};
use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::server::Server;

/// A station whose connection is open.
pub(crate) struct Station {
    stream: Box<dyn Stream>,
    received: Vec<u8>,
    taken: usize,
    frame: Vec<u8>,
    echo: bool,
    calls: u64,
}

/// The bytes below a WebSocket.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The request of a station.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Payload {
    /// The shortest CALL there is
    Heartbeat,
    /// 18 sampled values, 3 kB
    TransactionEvent,
}

impl Payload {
    /// The action of the CALL.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Heartbeat => "Heartbeat",
            Self::TransactionEvent => "TransactionEvent",
        }
    }

    /// The payload of the CALL.
    pub(crate) fn text(self) -> &'static str {
        static TRANSACTION_EVENT: LazyLock<String> = LazyLock::new(harness::transaction_event);
        match self {
            Self::Heartbeat => "{}",
            Self::TransactionEvent => &TRANSACTION_EVENT,
        }
    }
}

impl Station {
    /// Connects station number `index`, and boots it.
    pub(crate) async fn connect(server: &Server, index: usize) -> Result<Self> {
        Self::connect_with(server, index, &CONNECTOR).await
    }

    /// Connects station number `index` with a TLS configuration of its own, and boots it.
    pub(crate) async fn connect_with(server: &Server, index: usize, tls: &TlsConnector) -> Result<Self> {
        let mut station = Self::open(server, index, tls).await?;
        station.call("BootNotification", BOOT).await.context("no answer to BootNotification")?;
        Ok(station)
    }

    async fn open(server: &Server, index: usize, tls: &TlsConnector) -> Result<Self> {
        let tcp = TcpStream::connect(server.address(index)).await.context("cannot connect")?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Stream> = if server.tls {
            Box::new(tls.connect(server_name(), tcp).await.context("the TLS handshake failed")?)
        } else {
            Box::new(tcp)
        };
        // Filled by the first read, so that an idle station is small.
        let mut station =
            Self { stream, received: Vec::new(), taken: 0, frame: Vec::new(), echo: server.echo, calls: 0 };
        let user = identity(index);
        let credentials = Base64::encode_string(format!("{user}:0123456789abcdef").as_bytes());
        let request = format!(
            "GET /{user} HTTP/1.1\r\nHost: localhost:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: ocpp2.0.1\r\nAuthorization: Basic {credentials}\r\n\r\n",
            server.port
        );
        station.write(request.as_bytes()).await?;
        loop {
            let end = station.received.windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                let head = String::from_utf8_lossy(&station.received[..end]).into_owned();
                ensure!(head.starts_with("HTTP/1.1 101 "), "refused: {}", head.lines().next().unwrap_or(""));
                station.taken = end + 4;
                return Ok(station);
            }
            station.read().await?;
        }
    }

    /// Makes a call and waits for its answer.
    pub(crate) async fn call(&mut self, action: &str, payload: &str) -> Result<()> {
        self.send_call(action, payload).await?;
        self.receive_answer().await
    }

    /// Writes a CALL.
    pub(crate) async fn send_call(&mut self, action: &str, payload: &str) -> Result<()> {
        let frame = self.next_call(action, payload);
        self.write(&frame).await?;
        self.frame = frame;
        Ok(())
    }

    /// The bytes of the next CALL.
    pub(crate) fn next_call(&mut self, action: &str, payload: &str) -> Vec<u8> {
        self.calls += 1;
        let text = format!(r#"[2,"{:08}","{action}",{payload}]"#, self.calls);
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        encode(&mut frame, TEXT, text.as_bytes());
        frame
    }

    /// Writes bytes unchanged.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await.context("the connection was lost")?;
        self.stream.flush().await.context("the connection was lost")
    }

    /// Waits for the answer to the last CALL.
    async fn receive_answer(&mut self) -> Result<()> {
        let wanted = format!(r#"[{},"{:08}","#, if self.echo { 2 } else { 3 }, self.calls);
        loop {
            let (opcode, from, to) = self.next_frame().await?;
            match opcode {
                TEXT => {
                    let text = &self.received[from..to];
                    ensure!(
                        text.starts_with(wanted.as_bytes()),
                        "answered {}",
                        String::from_utf8_lossy(text)
                    );
                    return Ok(());
                }
                PING => {
                    let mut pong = Vec::new();
                    encode(&mut pong, PONG, &self.received[from..to].to_vec());
                    self.write(&pong).await?;
                }
                PONG => {}
                _ => bail!("the server sent a frame of opcode {opcode}"),
            }
        }
    }

    /// Returns only the stream.
    pub(crate) fn into_stream(self) -> Box<dyn Stream> {
        self.stream
    }

    /// The opcode of the next frame, and the position of its payload in `received`.
    async fn next_frame(&mut self) -> Result<(u8, usize, usize)> {
        loop {
            let bytes = &self.received[self.taken..];
            if let [first, second, rest @ ..] = bytes {
                let (length, head) = match (second & 0x7f, rest) {
                    (126, [high, low, ..]) => (usize::from(u16::from_be_bytes([*high, *low])), 4),
                    (126, _) => (usize::MAX / 2, 0),
                    (127, _) => bail!("the server sent a frame of more than 64 KiB"),
                    (length, _) => (usize::from(length), 2),
                };
                if bytes.len() >= head + length {
                    let from = self.taken + head;
                    self.taken = from + length;
                    return Ok((first & 0x0f, from, self.taken));
                }
            }
            self.received.drain(..self.taken);
            self.taken = 0;
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<()> {
        self.received.reserve(READ_BYTES);
        let read = self.stream.read_buf(&mut self.received).await.context("the connection was lost")?;
        ensure!(read > 0, "the server has closed the connection");
        Ok(())
    }
}

/// A masked frame, as clients must send it. The mask is not zero, because a server may skip the
/// unmasking for zero.
pub(crate) fn encode(frame: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    frame.push(0x80 | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..126), _) => frame.push(0x80 | length),
        (_, Ok(length)) => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// The opcode of a text frame.
pub(crate) const TEXT: u8 = 1;
const PING: u8 = 9;
const PONG: u8 = 10;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Longer than any answer of the bench except an echo.
const READ_BYTES: usize = 512;

const BOOT: &str = r#"{"reason":"PowerUp","chargingStation":{"model":"Bench","vendorName":"Generator"}}"#;

/// Every connection makes a whole handshake, because a station after a power failure has no session
/// to resume.
pub(crate) static CONNECTOR: LazyLock<TlsConnector> =
    LazyLock::new(|| connector(builder().with_no_client_auth()));

/// A station that presents a certificate.
pub(crate) fn connector_with(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<TlsConnector> {
    Ok(connector(builder().with_client_auth_cert(chain, key)?))
}

/// The name in the certificate of every server.
pub(crate) fn server_name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("it is a name")
}

/// The identity of station number `index`.
pub(crate) fn identity(index: usize) -> String {
    format!("CS{index:05}")
}

fn builder() -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
    ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(algorithms)))
}

fn connector(mut config: ClientConfig) -> TlsConnector {
    config.resumption = rustls::client::Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

/// The certificate is made for one run, and the loopback interface has no other party.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
