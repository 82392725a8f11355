//! A CSMS on the loopback interface, and stations that connect to it.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use ocpp_transport::tls::{SecurityEvent, SecurityEventKind};
use ocpp_transport::{
    Admission, Admitted, CloseReason, ConnectError, Connection, Csms, CsmsConfig, CsmsHandle, LinkSettings,
    Password, Peer, Refusal, Router, Security, StationConfig, StationIdentity, UpgradeRequest, connect, tls,
};
use ocpp_types::{Version, v201};
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::pki::{Authority, Identified, Leaf};

/// The password of every station.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A running CSMS, and the test's view of it.
pub(crate) struct Lab {
    pub(crate) root: CertificateDer<'static>,
    pub(crate) address: SocketAddr,
    pub(crate) handle: CsmsHandle,
    scheme: &'static str,
    /// The callbacks of the CSMS's admission, in order.
    pub(crate) log: mpsc::Receiver<Happened>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

/// The TLS library of the CSMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Rustls,
    OpenSsl,
}

impl Engine {
    /// TLS with certificates for `localhost`: ECDSA with rustls, ECDSA and RSA with OpenSSL.
    pub(crate) fn serve(self, root: &Authority, trust: &tls::ClientTrust) -> tls::ServerTls {
        let ecdsa = root.issue(&Leaf::new("localhost")).software();
        match self {
            Self::Rustls => tls::ServerTls::rustls(tls::ServerKey::software(ecdsa).unwrap(), trust),
            Self::OpenSsl => {
                let rsa = root.issue(&Leaf::new("localhost").rsa()).software();
                tls::ServerTls::openssl(&[ecdsa, rsa], trust)
            }
        }
        .unwrap()
    }
}

/// Runs each test on both TLS libraries.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($engine:ident: Engine) $body:block)*) => {$(
        mod $name {
            #[tokio::test]
            async fn rustls() {
                super::$name(crate::lab::Engine::Rustls).await;
            }

            #[tokio::test]
            async fn openssl() {
                super::$name(crate::lab::Engine::OpenSsl).await;
            }
        }

        $(#[$meta])*
        async fn $name($engine: Engine) $body
    )*};
}
pub(crate) use on_both;

/// A callback of the CSMS's admission.
#[derive(Debug)]
pub(crate) enum Happened {
    Asked(UpgradeRequest),
    Connected(Peer),
    Disconnected(Peer, CloseReason),
    Event(SecurityEvent),
}

/// Knows `CS001` and `RDAM|123`, their password and their serial number `SN-1`.
struct Gate {
    log: mpsc::Sender<Happened>,
}

impl Admission for Gate {
    async fn admit(&self, upgrade: &UpgradeRequest) -> Result<Admitted, Refusal> {
        self.log.send(Happened::Asked(upgrade.clone())).await.unwrap();
        let known = ["CS001", "RDAM|123"].map(|known| StationIdentity::try_from(known).unwrap());
        let identity = known.into_iter().find(|known| *known == upgrade.identity);
        let admitted = Admitted::new().with_identity(identity.ok_or(Refusal::UnknownStation)?);
        if let Some(subject) = upgrade.client_subject() {
            return match subject.common_name.as_str() {
                "SN-1" => Ok(admitted.with_context(subject.common_name)),
                _ => Err(Refusal::BadCredentials),
            };
        }
        match &upgrade.basic {
            Some(basic) if basic.password.matches(&PASSWORD.into()) => Ok(admitted),
            _ => Err(Refusal::BadCredentials),
        }
    }

    fn connected(&self, peer: &Peer) {
        self.log.try_send(Happened::Connected(peer.clone())).unwrap();
    }

    fn disconnected(&self, peer: &Peer, reason: &CloseReason) {
        self.log.try_send(Happened::Disconnected(peer.clone(), reason.clone())).unwrap();
    }

    fn security_event(&self, event: &SecurityEvent) {
        self.log.try_send(Happened::Event(event.clone())).unwrap();
    }
}

impl Lab {
    /// Without TLS.
    pub(crate) async fn plain(router: Router, link: LinkSettings) -> Self {
        let config = Self::unsecured_config().with_link(link);
        Self::start(config, router, Authority::root("unused").der()).await
    }

    /// With a certificate for `localhost` under a new root, which stations' certificates also lead
    /// to.
    pub(crate) async fn tls(root: &Authority, router: Router) -> Self {
        Self::tls_as(root, root.issue(&Leaf::new("localhost")), router).await
    }

    /// With this certificate. Stations' certificates must lead to `root`. The key is treated as one
    /// in a token.
    pub(crate) async fn tls_as(root: &Authority, server: Identified, router: Router) -> Self {
        Self::serve_tls(tls::ServerTls::rustls(server.server(), &root.trust()).unwrap(), root, router).await
    }

    pub(crate) async fn serve_tls(tls: tls::ServerTls, root: &Authority, router: Router) -> Self {
        Self::start(CsmsConfig::new("127.0.0.1:0".parse().unwrap(), tls), router, root.der()).await
    }

    /// On one of the two TLS libraries, with trust in stations' certificates under `root`.
    pub(crate) async fn on(engine: Engine, root: &Authority, router: Router) -> Self {
        Self::serve_tls(engine.serve(root, &root.trust()), root, router).await
    }

    pub(crate) fn unsecured_config() -> CsmsConfig {
        CsmsConfig::unsecured("127.0.0.1:0".parse().unwrap())
    }

    pub(crate) async fn start(config: CsmsConfig, router: Router, root: CertificateDer<'static>) -> Self {
        let scheme = if config.tls.is_some() { "wss" } else { "ws" };
        let (log_sender, log) = mpsc::channel(64);
        let config = config.with_base_path("/ocpp");
        let csms = Csms::bind(config, router, Gate { log: log_sender }).await.unwrap();
        let (address, handle) = (csms.local_addr(), csms.handle());
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(csms.serve(async {
            let _ = stopped.await;
        }));
        Self { root, address, handle, scheme, log, stop, server }
    }

    pub(crate) fn config(&self, identity: &str, security: Security) -> StationConfig {
        let url = format!("{}://localhost:{}/ocpp", self.scheme, self.address.port()).parse().unwrap();
        StationConfig::new(url, StationIdentity::try_from(identity).unwrap(), security)
    }

    pub(crate) fn profile_2(&self) -> Security {
        Security::profile_2(PASSWORD.into(), vec![self.root.clone()]).unwrap()
    }

    pub(crate) fn profile_3(&self, key: Identified) -> Security {
        Security::profile_3(key.client(), vec![self.root.clone()]).unwrap()
    }

    /// Connects `CS001`.
    pub(crate) async fn connect(
        &self,
        security: Security,
        router: Router,
    ) -> Result<Connection, ConnectError> {
        within(connect(&self.config("CS001", security), router)).await
    }

    /// A station of this crate without TLS.
    pub(crate) async fn station(&self, router: Router) -> Connection {
        self.connect(Security::profile_1(Password::from(PASSWORD)), router).await.unwrap()
    }

    /// A station without TLS that sends any text.
    pub(crate) async fn raw(&self) -> Raw {
        let headers = [
            ("Sec-WebSocket-Protocol", "ocpp2.0.1"),
            ("Authorization", "Basic Q1MwMDE6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5"),
        ];
        Raw(self.upgrade("/ocpp/CS001", &headers).await.unwrap())
    }

    /// The HTTP part only, with a client other than ours.
    pub(crate) async fn upgrade(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<WebSocketStream<TcpStream>, Error> {
        let mut request = format!("ws://localhost{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let tcp = TcpStream::connect(self.address).await.unwrap();
        within(client_async(request, tcp)).await.map(|(web_socket, _)| web_socket)
    }

    /// The next callback of the admission.
    pub(crate) async fn next(&mut self) -> Happened {
        within(self.log.recv()).await.unwrap()
    }

    /// The next security event.
    pub(crate) async fn event(&mut self) -> SecurityEventKind {
        loop {
            match self.next().await {
                Happened::Asked(_) | Happened::Disconnected(..) => {}
                Happened::Event(event) => return event.kind,
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next station that connects.
    pub(crate) async fn connected(&mut self) -> Peer {
        loop {
            match self.next().await {
                Happened::Asked(_) => {}
                Happened::Connected(peer) => return peer,
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next station that connects, after any disconnections.
    pub(crate) async fn connected_again(&mut self) -> Peer {
        loop {
            match self.next().await {
                Happened::Asked(_) | Happened::Disconnected(..) => {}
                Happened::Connected(peer) => return peer,
                Happened::Event(event) => panic!("{event:?}"),
            }
        }
    }

    /// Shuts the CSMS down in an orderly way.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        within(self.server).await.unwrap();
    }
}

/// A WebSocket without OCPP.
pub(crate) struct Raw(pub(crate) WebSocketStream<TcpStream>);

impl Raw {
    pub(crate) async fn send(&mut self, text: impl Into<String>) {
        within(self.0.send(Message::text(text.into()))).await.unwrap();
    }

    /// The next text frame.
    pub(crate) async fn receive(&mut self) -> String {
        loop {
            match within(self.0.next()).await.unwrap().unwrap() {
                Message::Text(text) => return text.as_str().to_owned(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The code of the next Close frame.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match within(self.0.next()).await.unwrap().unwrap() {
                Message::Close(frame) => return frame.unwrap().code.into(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// A router without handlers.
pub(crate) fn nothing() -> Router {
    Router::new(Version::V201)
}

/// A router that answers heartbeats.
pub(crate) fn heartbeats() -> Router {
    nothing().handle(async |_: Peer, _: v201::HeartbeatRequest| {
        Ok(v201::HeartbeatResponse::new("2026-01-01T00:00:00Z".parse().unwrap()))
    })
}

/// No test waits forever.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it takes no longer than 20 s")
}
