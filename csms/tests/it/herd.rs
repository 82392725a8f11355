//! Many charging stations in one process, reduced to login and boot.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::stage::Stage;

/// A station whose connection is open.
pub(crate) type Open = TlsStream<TcpStream>;

/// The address that stations connect to, and the root that they trust.
#[derive(Clone)]
pub(crate) struct Target {
    port: u16,
    tls: TlsConnector,
}

/// The result of one attempt.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Connected, and booted if requested.
    In(Box<Open>),
    /// Refused with this HTTP status.
    Refused(u16),
    /// The connection failed or broke.
    Lost,
}

/// Stations that connect at the same time and retry until all are booted.
#[derive(Clone, Copy)]
pub(crate) struct Herd {
    pub(crate) stations: usize,
    pub(crate) patience: Duration,
    pub(crate) retry: Duration,
    /// The address that a station comes from.
    pub(crate) address: fn(usize) -> Ipv4Addr,
}

/// What happened to the attempts of a herd.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) attempts: AtomicUsize,
    pub(crate) refused: AtomicUsize,
    pub(crate) gave_up: AtomicUsize,
    pub(crate) lost: AtomicUsize,
    pub(crate) booted: AtomicUsize,
}

impl Target {
    /// The running CSMS of a stage.
    pub(crate) fn of(stage: &Stage) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_file(stage.path("root.pem")).expect("a root");
        roots.add(root).expect("a root");
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        // A station that had no power cannot resume a session.
        config.resumption = rustls::client::Resumption::disabled();
        let port = stage.url().rsplit(':').next().and_then(|rest| rest.split('/').next());
        let port = port.and_then(|port| port.parse().ok()).expect("a port");
        Self { port, tls: TlsConnector::from(Arc::new(config)) }
    }

    /// Opens a TCP connection and sends nothing.
    pub(crate) async fn dial(&self, from: Ipv4Addr) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let tcp = socket.connect((Ipv4Addr::LOCALHOST, self.port).into()).await?;
        tcp.set_nodelay(true)?;
        Ok(tcp)
    }

    /// Logs a station in.
    pub(crate) async fn log_in(&self, from: Ipv4Addr, identity: &str, password: &str) -> Outcome {
        self.try_log_in(from, identity, password).await.unwrap_or(Outcome::Lost)
    }

    async fn try_log_in(&self, from: Ipv4Addr, identity: &str, password: &str) -> std::io::Result<Outcome> {
        let tcp = self.dial(from).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        let mut stream = self.tls.connect(name, tcp).await?;
        let basic = base64(format!("{identity}:{password}").as_bytes());
        let request = format!(
            "GET /ocpp/{identity} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: ocpp2.0.1\r\nAuthorization: Basic {basic}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let head = read_until(&mut stream, b"\r\n\r\n").await?;
        let status = head.get(9..12).and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        match status {
            Some(101) => Ok(Outcome::In(Box::new(stream))),
            Some(status) => Ok(Outcome::Refused(status)),
            None => Ok(Outcome::Lost),
        }
    }

    /// Logs a station in and boots it.
    async fn boot(&self, from: Ipv4Addr, identity: &str, password: &str) -> Outcome {
        let mut stream = match self.log_in(from, identity, password).await {
            Outcome::In(stream) => stream,
            refused => return refused,
        };
        let boot = format!(
            r#"[2,"1","BootNotification",{{"reason":"PowerUp","chargingStation":{{"model":"Herd","vendorName":"Test","serialNumber":"{identity}"}}}}]"#
        );
        let booted = async {
            stream.write_all(&masked(boot.as_bytes())).await?;
            read_until(&mut stream, br#""status":"Accepted""#).await
        };
        match booted.await {
            Ok(_) => Outcome::In(stream),
            Err(_) => Outcome::Lost,
        }
    }
}

impl Herd {
    /// Runs the herd until all stations are booted, and returns their connections, which are all
    /// open.
    pub(crate) async fn run(self, target: &Target, password: &'static str, tally: &Arc<Tally>) -> Vec<Open> {
        let mut stations = JoinSet::new();
        for number in 0..self.stations {
            let (target, tally) = (target.clone(), Arc::clone(tally));
            stations.spawn(async move {
                let identity = identity(number);
                loop {
                    tally.attempts.fetch_add(1, Ordering::Relaxed);
                    let attempt = target.boot((self.address)(number), &identity, password);
                    let counter = match timeout(self.patience, attempt).await {
                        Ok(Outcome::In(open)) => {
                            tally.booted.fetch_add(1, Ordering::Relaxed);
                            return *open;
                        }
                        Ok(Outcome::Refused(_)) => &tally.refused,
                        Ok(Outcome::Lost) => &tally.lost,
                        Err(_) => &tally.gave_up,
                    };
                    counter.fetch_add(1, Ordering::Relaxed);
                    sleep(self.retry).await;
                }
            });
        }
        stations.join_all().await
    }
}

/// The identity, and the serial number, of a station of the herd.
pub(crate) fn identity(number: usize) -> String {
    format!("H{number:05}")
}

/// A different address for each station.
pub(crate) fn own_address(number: usize) -> Ipv4Addr {
    let [.., high, low] = u32::try_from(number + 1).expect("few stations").to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

/// One address for all, as behind a router.
pub(crate) fn shared_address(_: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 2, 0, 1)
}

/// Reads until these bytes have arrived.
async fn read_until(stream: &mut Open, end: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::new();
    while !read.windows(end.len()).any(|window| window == end) {
        if read.len() > 8 * 1024 || stream.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(read)
}

/// A text frame of a client.
fn masked(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("short");
    let mut frame = vec![0x81, 0x80 | 126];
    frame.extend(length.to_be_bytes());
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn base64(bytes: &[u8]) -> String {
    use base64ct::{Base64, Encoding as _};
    Base64::encode_string(bytes)
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
