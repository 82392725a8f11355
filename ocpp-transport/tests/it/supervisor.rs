//! A station over its whole life: network profiles, renewed certificates, CSMSs that it must not
//! trust, half-open connections.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use ocpp_transport::{
    Attempt, AttemptError, AttemptFailure, BackOffSettings, Close, CloseReason, ConnectionEvent, Credential,
    Exhausted, LinkSettings, Next, Peer, ReconnectSettings, Reply, Router, Security, SecurityProfile,
    Station, StationConfig, Supervisor,
};
use ocpp_types::v201;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::lab::{Lab, PASSWORD, heartbeats, nothing, within};
use crate::pki::{Authority, Leaf};

/// A station whose application reports its callbacks to the test and obeys the test.
struct TestStation {
    settings: ReconnectSettings,
    priority: Mutex<Vec<u32>>,
    configs: Mutex<HashMap<(u32, Credential), StationConfig>>,
    router: Box<dyn Fn() -> Router + Send + Sync>,
    reports: mpsc::Sender<Report>,
    next: tokio::sync::Mutex<mpsc::Receiver<Next>>,
}

#[derive(Debug)]
enum Report {
    Failed(Attempt, AttemptFailure),
    Connected(Attempt, Peer),
    Disconnected(CloseReason),
    Event(ConnectionEvent, String),
}

impl Station for TestStation {
    type Error = Infallible;

    fn settings(&self) -> ReconnectSettings {
        self.settings
    }

    fn priority(&self) -> Vec<u32> {
        self.priority.lock().unwrap().clone()
    }

    async fn prepare(&self, attempt: &Attempt) -> Result<(StationConfig, Router), Infallible> {
        let configs = self.configs.lock().unwrap();
        let newest = &configs[&(attempt.slot, Credential::Newest)];
        let config = configs.get(&(attempt.slot, attempt.credential)).unwrap_or(newest);
        Ok((config.clone(), (self.router)()))
    }

    async fn serve(&self, peer: &Peer, attempt: &Attempt) -> Next {
        self.reports.send(Report::Connected(*attempt, peer.clone())).await.unwrap();
        self.next.lock().await.recv().await.unwrap()
    }

    fn failed(&self, attempt: &Attempt, error: &AttemptError<Infallible>) -> AttemptFailure {
        let failure = error.failure();
        // A test that has ended its checks no longer receives.
        let _ = self.reports.try_send(Report::Failed(*attempt, failure));
        failure
    }

    async fn security_event(&self, event: ConnectionEvent, info: &str) {
        let _ = self.reports.try_send(Report::Event(event, info.to_owned()));
    }

    fn disconnected(&self, _: &Peer, reason: &CloseReason) {
        let _ = self.reports.try_send(Report::Disconnected(reason.clone()));
    }
}

/// The test's controls of a station.
struct Controls {
    station: Arc<TestStation>,
    reports: mpsc::Receiver<Report>,
    next: mpsc::Sender<Next>,
    stop: oneshot::Sender<()>,
    life: JoinHandle<()>,
}

fn settings() -> ReconnectSettings {
    let back_off = BackOffSettings::new(Duration::from_millis(1), Duration::ZERO, 0);
    ReconnectSettings::default().with_back_off(back_off).with_attempts_per_profile(2)
}

impl Controls {
    fn start(
        settings: ReconnectSettings,
        profiles: Vec<(u32, StationConfig)>,
        router: impl Fn() -> Router + Send + Sync + 'static,
    ) -> Self {
        let (report_sender, reports) = mpsc::channel(64);
        let (next, next_receiver) = mpsc::channel(1);
        let (stop, stopped) = oneshot::channel();
        let station = Arc::new(TestStation {
            settings,
            priority: Mutex::new(profiles.iter().map(|(slot, _)| *slot).collect()),
            configs: Mutex::default(),
            router: Box::new(router),
            reports: report_sender,
            next: next_receiver.into(),
        });
        for (slot, config) in profiles {
            station.configs.lock().unwrap().insert((slot, Credential::Newest), config);
        }
        let supervisor = Supervisor::new(Arc::clone(&station));
        let life = tokio::spawn(supervisor.run(async {
            let _ = stopped.await;
        }));
        Self { station, reports, next, stop, life }
    }

    fn configure(&self, slot: u32, credential: Credential, config: StationConfig) {
        self.station.configs.lock().unwrap().insert((slot, credential), config);
    }

    async fn report(&mut self) -> Report {
        within(self.reports.recv()).await.unwrap()
    }

    /// The attempts that fail before the next connection, and that connection.
    async fn connected(&mut self) -> (Vec<Attempt>, Attempt, Peer) {
        let mut failed = Vec::new();
        loop {
            match self.report().await {
                Report::Failed(attempt, _) => failed.push(attempt),
                Report::Connected(attempt, peer) => return (failed, attempt, peer),
                Report::Disconnected(_) | Report::Event(..) => {}
            }
        }
    }

    async fn disconnected(&mut self) -> CloseReason {
        loop {
            if let Report::Disconnected(reason) = self.report().await {
                return reason;
            }
        }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        within(self.life).await.unwrap();
    }
}

fn profile_1() -> Security {
    Security::profile_1(PASSWORD.into())
}

/// An endpoint without a listener.
async fn unreachable_csms(like: &Lab) -> StationConfig {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut config = like.config("CS001", profile_1());
    config.url = format!("ws://{closed}/ocpp").parse().unwrap();
    config
}

#[tokio::test]
async fn b10_fr_03_profiles_are_tried_in_their_order() {
    let lab = Lab::plain(heartbeats(), LinkSettings::default()).await;
    let profiles = vec![
        (7, unreachable_csms(&lab).await),
        (3, lab.config("CS001", profile_1())),
        (5, unreachable_csms(&lab).await),
    ];
    let mut station = Controls::start(settings(), profiles, nothing);
    let (failed, attempt, peer) = station.connected().await;
    assert_eq!(failed.iter().map(|attempt| attempt.slot).collect::<Vec<_>>(), [7, 7]);
    assert_eq!(attempt.slot, 3);
    within(peer.call(v201::HeartbeatRequest::new())).await.unwrap();
    station.stop().await;
}

#[tokio::test]
async fn tc_b_57_cs_the_station_returns_after_its_csms_has_gone() {
    let mut lab = Lab::plain(nothing(), LinkSettings::default()).await;
    let mut station = Controls::start(settings(), vec![(1, lab.config("CS001", profile_1()))], nothing);
    for _ in 0..3 {
        station.connected().await;
        lab.connected().await.close(Close::GoingAway).await;
        assert!(matches!(station.disconnected().await, CloseReason::Peer { code: Some(1001), .. }));
        assert!(matches!(lab.next().await, crate::lab::Happened::Disconnected(..)));
    }
    station.stop().await;
}

#[tokio::test]
async fn tc_a_05_cs_one_event_for_each_csms_that_is_not_to_be_trusted() {
    let root = Authority::root("CSO root");
    let other = Authority::root("CSO root");
    for (server, word) in [
        (root.issue(&Leaf::new("localhost").years(2020, 2021)), "expired"),
        (root.issue(&Leaf::new("localhost").years(2998, 2999)), "not valid before"),
        (other.issue(&Leaf::new("localhost")), ""),
        (root.issue(&Leaf::new("localhost.example")), "localhost.example"),
        (root.issue(&Leaf::new("*.localhost")), "*.localhost"),
    ] {
        let bad = Lab::tls_as(&root, server, nothing()).await;
        let good = Lab::tls(&root, nothing()).await;
        let config = |lab: &Lab| lab.config("CS001", lab.profile_2());
        let settings = settings().with_attempts_per_profile(3);
        let mut station = Controls::start(settings, vec![(1, config(&bad)), (2, config(&good))], nothing);
        for _ in 0..2 {
            // It ends each connection, tries again, and raises the event once.
            let mut failed = 0;
            let mut events = Vec::new();
            loop {
                match station.report().await {
                    Report::Failed(attempt, failure) => {
                        assert_eq!((attempt.slot, failure), (1, AttemptFailure::Unreachable));
                        failed += 1;
                    }
                    Report::Event(event, info) => events.push((event, info)),
                    Report::Connected(attempt, _) => break assert_eq!(attempt.slot, 2),
                    Report::Disconnected(_) => {}
                }
            }
            assert_eq!(failed, 3);
            let [(ConnectionEvent::InvalidCsmsCertificate, info)] = events.as_slice() else {
                panic!("{events:?}")
            };
            assert!(info.contains(word), "{info}");
            // After a connection it raises the event again.
            station.next.send(Next::Restart).await.unwrap();
        }
        station.stop().await;
    }
}

#[tokio::test]
async fn tc_a_09_cs_the_answer_leaves_before_the_reconnect_with_the_new_password() {
    let mut lab = Lab::plain(nothing(), LinkSettings::default()).await;
    let (renew, mut renewals) = mpsc::channel::<()>(1);
    let router = move || {
        let renew = renew.clone();
        nothing().handle(move |_: Peer, request: v201::SetVariablesRequest| {
            let renew = renew.clone();
            async move {
                let wanted = &request.set_variable_data[0];
                assert_eq!(wanted.variable.name.as_str(), "BasicAuthPassword");
                let result = v201::SetVariableResultType::new(
                    v201::SetVariableStatusEnumType::Accepted,
                    wanted.component.clone(),
                    wanted.variable.clone(),
                );
                let response = v201::SetVariablesResponse::new(vec![result].try_into().unwrap());
                Ok(Reply::new(response).then(async move { renew.send(()).await.unwrap() }))
            }
        })
    };
    let config = lab.config("CS001", Security::profile_1(PASSWORD.into()));
    let mut station = Controls::start(settings(), vec![(1, config)], router);
    station.connected().await;
    let peer = lab.connected().await;
    let component = v201::ComponentType::new("SecurityCtrlr".parse().unwrap());
    let variable = v201::VariableType::new("BasicAuthPassword".parse().unwrap());
    let data = v201::SetVariableDataType::new("another password of 16".parse().unwrap(), component, variable);
    let request = v201::SetVariablesRequest::new(vec![data].try_into().unwrap());
    let response = within(peer.call(request)).await.unwrap();
    assert_eq!(response.set_variable_result[0].attribute_status, v201::SetVariableStatusEnumType::Accepted);
    within(renewals.recv()).await.unwrap();
    let new_password = Security::profile_1("another password of 16".into());
    station.configure(1, Credential::Newest, lab.config("CS001", new_password));
    // The CSMS of this test keeps the old password, so it is used when the new one is refused.
    let old_password = lab.config("CS001", Security::profile_1(PASSWORD.into()));
    station.configure(1, Credential::LastThatWorked, old_password);
    station.next.send(Next::Renew).await.unwrap();
    let mut refused = 0;
    let mut events = Vec::new();
    let attempt = loop {
        match station.report().await {
            Report::Failed(attempt, failure) => {
                assert_eq!((attempt.credential, failure), (Credential::Newest, AttemptFailure::Refused));
                refused += 1;
            }
            Report::Event(event, _) => events.push(event),
            Report::Connected(attempt, _) => break attempt,
            Report::Disconnected(reason) => assert_eq!(reason, CloseReason::Local(Close::Normal)),
        }
    };
    assert_eq!((refused, events), (2, vec![ConnectionEvent::FailedToAuthenticateAtCsms]));
    assert_eq!(attempt.credential, Credential::LastThatWorked);
    station.stop().await;
}

#[tokio::test]
async fn tc_a_19_cs_after_a_reset_the_higher_profile_is_connected_and_the_old_one_is_kept_until_then() {
    let root = Authority::root("CSO root");
    let plain = Lab::plain(nothing(), LinkSettings::default()).await;
    let secure = Lab::tls(&root, nothing()).await;
    let mut station = Controls::start(settings(), vec![(1, plain.config("CS001", profile_1()))], nothing);
    let (_, _, peer) = station.connected().await;
    assert_eq!(peer.profile(), SecurityProfile::UnsecuredWithBasicAuth);

    // A profile that cannot be connected: the station returns to the one before (TC_B_46).
    station.configure(2, Credential::Newest, unreachable_csms(&plain).await);
    *station.station.priority.lock().unwrap() = vec![2, 1];
    station.next.send(Next::Restart).await.unwrap();
    let (failed, attempt, _) = station.connected().await;
    assert_eq!(failed.iter().map(|attempt| attempt.slot).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(attempt.slot, 1);

    station.configure(2, Credential::Newest, secure.config("CS001", secure.profile_2()));
    station.next.send(Next::Restart).await.unwrap();
    let (failed, attempt, peer) = station.connected().await;
    assert_eq!((failed.len(), attempt.slot), (0, 2));
    assert_eq!(peer.profile(), SecurityProfile::TlsWithBasicAuth);
    station.stop().await;
}

#[tokio::test]
async fn a02_fr_28_a_renewed_certificate_that_is_refused_gives_way_after_a_round_of_all_profiles() {
    let root = Authority::root("CSO root");
    let stranger = Authority::root("another root");
    let labs = [Lab::tls(&root, nothing()).await, Lab::tls(&root, nothing()).await];
    let key = root.issue(&Leaf::new("SN-1"));
    let old = |lab: &Lab, security: &Security| lab.config("CS001", security.clone());
    let old_security = labs[0].profile_3(key);
    let new_security =
        Security::profile_3(stranger.issue(&Leaf::new("SN-1")).client(), vec![root.der()]).unwrap();
    let profiles = vec![(1, old(&labs[0], &old_security)), (2, old(&labs[1], &old_security))];
    let mut station = Controls::start(settings(), profiles, nothing);
    station.connected().await;
    for (slot, lab) in [(1, &labs[0]), (2, &labs[1])] {
        station.configure(slot, Credential::Newest, old(lab, &new_security));
        station.configure(slot, Credential::LastThatWorked, old(lab, &old_security));
    }
    station.next.send(Next::Renew).await.unwrap();
    let (failed, attempt, peer) = station.connected().await;
    let failed: Vec<_> = failed.iter().map(|attempt| (attempt.slot, attempt.credential)).collect();
    assert_eq!(failed, [1, 1, 2, 2].map(|slot| (slot, Credential::Newest)));
    assert_eq!(attempt.credential, Credential::LastThatWorked);
    assert_eq!(peer.profile(), SecurityProfile::TlsWithClientCertificate);
    station.stop().await;
}

#[tokio::test]
async fn b10_fr_07_the_last_profile_that_worked_before_a_restart_is_fallen_back_to() {
    let lab = Lab::plain(nothing(), LinkSettings::default()).await;
    let settings = settings().with_exhausted(Exhausted::LastThatWorked);
    let mut station = Controls::start(settings, vec![(1, lab.config("CS001", profile_1()))], nothing);
    station.connected().await;
    station.configure(2, Credential::Newest, unreachable_csms(&lab).await);
    *station.station.priority.lock().unwrap() = vec![2];
    station.next.send(Next::Restart).await.unwrap();
    let (failed, attempt, _) = station.connected().await;
    assert_eq!(failed.iter().map(|attempt| attempt.slot).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(attempt.slot, 1);
    station.stop().await;
}

/// A CSMS of another library that opens the WebSocket and then does what the test requires.
async fn foreign_csms() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[allow(clippy::result_large_err, reason = "the signature is tungstenite's")]
async fn accept(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    let (tcp, _) = within(listener.accept()).await.unwrap();
    let subprotocol = |_: &Request, mut response: Response| {
        response.headers_mut().insert("Sec-WebSocket-Protocol", "ocpp2.0.1".parse().unwrap());
        Ok(response)
    };
    within(accept_hdr_async(tcp, subprotocol)).await.unwrap()
}

fn at(port: u16, link: LinkSettings) -> StationConfig {
    let url = format!("ws://localhost:{port}").parse().unwrap();
    StationConfig::new(url, "CS001".parse().unwrap(), profile_1()).with_link(link)
}

#[tokio::test]
async fn a_csms_that_does_not_answer_pings_is_left_and_sought_again() {
    let (listener, port) = foreign_csms().await;
    let link = LinkSettings::default()
        .with_ping_interval(Duration::from_millis(20))
        .with_ping_timeout(Duration::from_millis(50));
    let mut station = Controls::start(settings(), vec![(1, at(port, link))], nothing);
    // tungstenite answers pings only when it is read, and this one is not read.
    let _half_open = accept(&listener).await;
    assert_eq!(station.disconnected().await, CloseReason::PingTimeout);
    let _second = accept(&listener).await;
    station.stop().await;
}

#[tokio::test]
async fn web_socket_ping_interval_0_is_no_ping() {
    let (listener, port) = foreign_csms().await;
    let often = LinkSettings::default().with_ping_interval(Duration::from_millis(10));
    let never = LinkSettings::default().with_ping_interval(Duration::ZERO);
    let pings = Controls::start(settings(), vec![(1, at(port, often))], nothing);
    let mut pinged = accept(&listener).await;
    let quiet = Controls::start(settings(), vec![(1, at(port, never))], nothing);
    let mut unpinged = accept(&listener).await;
    for _ in 0..20 {
        assert!(within(pinged.next()).await.unwrap().unwrap().is_ping());
    }
    // After twenty pings on the other connection, this one has received only its end.
    quiet.stop.send(()).unwrap();
    let message = within(unpinged.next()).await.unwrap().unwrap();
    assert!(matches!(message, Message::Close(Some(frame)) if u16::from(frame.code) == 1001));
    pings.life.abort();
}

#[tokio::test]
async fn a_station_that_stops_finishes_its_answer() {
    let mut lab = Lab::plain(nothing(), LinkSettings::default()).await;
    let (started, mut running) = mpsc::channel(1);
    let go = Arc::new(Notify::new());
    let router = {
        let go = Arc::clone(&go);
        move || {
            let (started, go) = (started.clone(), Arc::clone(&go));
            nothing().handle(move |_: Peer, _: v201::TriggerMessageRequest| {
                let (started, go) = (started.clone(), Arc::clone(&go));
                async move {
                    started.send(()).await.unwrap();
                    go.notified().await;
                    let status = v201::TriggerMessageStatusEnumType::Accepted;
                    Ok(v201::TriggerMessageResponse::new(status))
                }
            })
        }
    };
    let station = Controls::start(settings(), vec![(1, lab.config("CS001", profile_1()))], router);
    let peer = lab.connected().await;
    let trigger = v201::TriggerMessageRequest::new(v201::MessageTriggerEnumType::Heartbeat);
    let call = tokio::spawn({
        let peer = peer.clone();
        async move { peer.call(trigger).await }
    });
    within(running.recv()).await.unwrap();
    station.stop.send(()).unwrap();
    go.notify_one();
    within(call).await.unwrap().unwrap();
    within(station.life).await.unwrap();
    assert!(matches!(within(peer.closed()).await, CloseReason::Peer { code: Some(1001), .. }));
}
