//! How connections begin, replace each other and end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use ocpp_transport::{
    Admission, Admitted, CallFailure, Close, CloseReason, Csms, Direction, LinkSettings, MessageRate, Peer,
    Refusal, Reply, TappedFrame, UpgradeRequest,
};
use ocpp_types::v201;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use crate::lab::{Happened, Lab, PASSWORD, heartbeats, nothing, within};
use crate::pki::Authority;

#[tokio::test]
async fn a_second_connection_replaces_the_first_in_order() {
    let mut lab = Lab::plain(heartbeats(), LinkSettings::default()).await;
    let mut first = lab.station(nothing()).await;
    let first_peer = lab.connected().await;
    let second = lab.station(nothing()).await;

    assert!(matches!(lab.next().await, Happened::Asked(_)));
    let Happened::Disconnected(gone, reason) = lab.next().await else { panic!() };
    assert_eq!(gone.remote(), first_peer.remote());
    assert_eq!(reason, CloseReason::Local(Close::Replaced));
    let Happened::Connected(second_peer) = lab.next().await else { panic!() };
    assert_ne!(second_peer.remote(), first_peer.remote());

    let told = within(first.closed()).await;
    assert!(matches!(told, CloseReason::Peer { code: Some(1001), .. }), "{told:?}");
    assert!(!first_peer.is_open());
    let failure = within(first_peer.call(v201::HeartbeatRequest::new())).await.unwrap_err();
    assert!(matches!(failure, CallFailure::Disconnected));
    within(second.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
}

#[tokio::test]
async fn many_connections_of_one_station_leave_one() {
    let mut lab = Lab::plain(heartbeats(), LinkSettings::default()).await;
    let mut connections = Vec::new();
    for _ in 0..10 {
        connections.push(lab.station(nothing()).await);
    }
    let (mut connected, mut disconnected) = (0, 0);
    while connected < 10 {
        match lab.next().await {
            Happened::Asked(_) => {}
            Happened::Connected(_) => {
                assert_eq!(connected, disconnected, "one at a time");
                connected += 1;
            }
            Happened::Disconnected(..) => disconnected += 1,
            Happened::Event(event) => panic!("{event:?}"),
        }
    }
    let last = connections.pop().unwrap();
    within(last.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
}

#[tokio::test]
async fn a_half_open_connection_is_replaced_without_waiting_for_it() {
    let mut lab = Lab::plain(heartbeats(), LinkSettings::default()).await;
    // It never reads, so it never answers the Close.
    let _silent = lab.raw().await;
    lab.connected().await;
    let second = lab.station(nothing()).await;
    within(second.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
}

#[tokio::test]
async fn a_half_open_connection_is_found_by_ping() {
    let link = LinkSettings::default()
        .with_ping_interval(Duration::from_millis(20))
        .with_ping_timeout(Duration::from_millis(50));
    let mut lab = Lab::plain(nothing(), link).await;
    // tungstenite answers pings only when it is read, and this one is not read.
    let _silent = lab.raw().await;
    lab.connected().await;
    let Happened::Disconnected(_, reason) = lab.next().await else { panic!() };
    assert_eq!(reason, CloseReason::PingTimeout);
}

#[tokio::test]
async fn pings_keep_a_connection_that_answers_them() {
    let link = LinkSettings::default()
        .with_ping_interval(Duration::from_millis(10))
        .with_ping_timeout(Duration::from_secs(10));
    let mut lab = Lab::plain(heartbeats(), link).await;
    let mut raw = lab.raw().await;
    lab.connected().await;
    let mut pings = 0;
    while pings < 5 {
        pings += u32::from(within(raw.0.next()).await.unwrap().unwrap().is_ping());
    }
    raw.send(r#"[2,"1","Heartbeat",{}]"#).await;
    assert!(raw.receive().await.starts_with("[3,"));
}

#[tokio::test]
async fn a_close_lets_pending_answers_go_first() {
    let (started, mut running) = mpsc::channel(1);
    let go = Arc::new(Notify::new());
    let router = {
        let go = Arc::clone(&go);
        nothing().handle(move |_: Peer, _: v201::HeartbeatRequest| {
            let (started, go) = (started.clone(), Arc::clone(&go));
            async move {
                started.send(()).await.unwrap();
                go.notified().await;
                Ok(v201::HeartbeatResponse::new("2026-01-01T00:00:00Z".parse().unwrap()))
            }
        })
    };
    let mut lab = Lab::plain(router, LinkSettings::default()).await;
    let mut raw = lab.raw().await;
    let station = lab.connected().await;
    raw.send(r#"[2,"1","Heartbeat",{}]"#).await;
    within(running.recv()).await.unwrap();
    let closing = tokio::spawn({
        let station = station.clone();
        async move { station.close(Close::Normal).await }
    });
    while station.is_open() {
        tokio::task::yield_now().await;
    }
    go.notify_one();
    assert!(raw.receive().await.starts_with("[3,\"1\","));
    assert_eq!(raw.close_code().await, 1000);
    assert!(raw.0.next().await.is_none());
    assert_eq!(within(closing).await.unwrap(), CloseReason::Local(Close::Normal));
}

#[tokio::test]
async fn a_handler_may_close_the_connection_once_its_answer_is_out() {
    let router = nothing().handle(async |peer: Peer, _: v201::TriggerMessageRequest| {
        let status = v201::TriggerMessageStatusEnumType::Accepted;
        Ok(Reply::new(v201::TriggerMessageResponse::new(status)).then(async move {
            peer.close(Close::Normal).await;
        }))
    });
    let mut lab = Lab::plain(nothing(), LinkSettings::default()).await;
    let mut connection = lab.station(router).await;
    let station = lab.connected().await;
    let trigger = v201::TriggerMessageRequest::new(v201::MessageTriggerEnumType::Heartbeat);
    within(station.call(trigger)).await.unwrap();
    assert_eq!(within(connection.closed()).await, CloseReason::Local(Close::Normal));
    let reason = within(station.closed()).await;
    assert!(matches!(reason, CloseReason::Peer { code: Some(1000), .. }), "{reason:?}");
}

#[tokio::test]
async fn a_shutdown_closes_every_connection_with_1001() {
    let mut lab = Lab::plain(nothing(), LinkSettings::default()).await;
    let mut connection = lab.station(nothing()).await;
    lab.connected().await;
    // A connection that has not begun its handshake does not delay it.
    let _idle = tokio::net::TcpStream::connect(lab.address).await.unwrap();
    lab.stop().await;
    let reason = within(connection.closed()).await;
    assert!(matches!(reason, CloseReason::Peer { code: Some(1001), .. }), "{reason:?}");
}

#[tokio::test]
async fn a_dropped_connection_is_cut() {
    let mut lab = Lab::plain(nothing(), LinkSettings::default()).await;
    let connection = lab.station(nothing()).await;
    let peer = connection.peer().clone();
    lab.connected().await;
    drop(connection);
    assert_eq!(within(peer.closed()).await, CloseReason::Dropped);
    let failure = within(peer.call(v201::HeartbeatRequest::new())).await.unwrap_err();
    assert!(matches!(failure, CallFailure::Disconnected));
    let Happened::Disconnected(_, reason) = lab.next().await else { panic!() };
    assert!(matches!(reason, CloseReason::Lost { .. }), "{reason:?}");
}

#[tokio::test]
async fn calls_end_with_the_connection() {
    let mut lab = Lab::plain(nothing(), LinkSettings::default()).await;
    let mut raw = lab.raw().await;
    let station = lab.connected().await;
    let call = tokio::spawn(async move { station.call(v201::HeartbeatRequest::new()).await });
    raw.receive().await;
    drop(raw);
    assert!(matches!(within(call).await.unwrap(), Err(CallFailure::Disconnected)));
}

#[tokio::test]
async fn the_tap_sees_every_frame_of_both_directions() {
    let (sender, mut tapped) = mpsc::channel(8);
    let link = LinkSettings::default().with_tap(Arc::new(move |frame: &TappedFrame<'_>| {
        sender.try_send((frame.direction, frame.identity.to_string(), frame.text.to_owned())).unwrap();
    }));
    let lab = Lab::plain(heartbeats(), link).await;
    let mut raw = lab.raw().await;
    raw.send(r#"[2,"1","Heartbeat",{}]"#).await;
    let answer = raw.receive().await;
    let seen = [within(tapped.recv()).await.unwrap(), within(tapped.recv()).await.unwrap()];
    assert_eq!(
        seen,
        [
            (Direction::In, "CS001".to_owned(), r#"[2,"1","Heartbeat",{}]"#.to_owned()),
            (Direction::Out, "CS001".to_owned(), answer),
        ]
    );
}

/// The first message of a TLS handshake, from a client that then is silent.
fn client_hello() -> Vec<u8> {
    let config = ocpp_transport::tls::client_config(vec![Authority::root("any").der()], None).unwrap();
    let name = "localhost".try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).unwrap();
    hello
}

/// Waits until the other end closes the connection, long before the deadline of a handshake.
async fn hung_up(mut tcp: TcpStream) {
    let rest = tokio::time::timeout(Duration::from_secs(5), tcp.read_to_end(&mut Vec::new())).await;
    let _ = rest.expect("the other end hangs up at once");
}

#[tokio::test]
async fn a_shutdown_ends_tls_handshakes_that_have_begun() {
    let root = Authority::root("CSO root");
    let lab = Lab::tls(&root, nothing()).await;
    let mut silent = TcpStream::connect(lab.address).await.unwrap();
    silent.write_all(&client_hello()).await.unwrap();
    // The answer shows that the thread of the handshake has begun.
    silent.read_u8().await.unwrap();
    lab.stop().await;
    hung_up(silent).await;
}

#[tokio::test]
async fn an_attempt_that_is_dropped_ends_its_tls_handshake() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let security =
        ocpp_transport::Security::profile_2(PASSWORD.into(), vec![Authority::root("any").der()]).unwrap();
    let config = ocpp_transport::StationConfig::new(url, "CS001".parse().unwrap(), security);
    let attempt = tokio::spawn(async move { ocpp_transport::connect(&config, nothing()).await.is_ok() });
    let (mut silent, _) = within(listener.accept()).await.unwrap();
    silent.read_u8().await.unwrap();
    attempt.abort();
    hung_up(silent).await;
}

#[tokio::test]
async fn a_station_that_floods_is_slowed_down_and_loses_nothing() {
    let rate = MessageRate { per_second: 200, burst: 10 };
    let config = Lab::unsecured_config().with_message_rate(rate);
    let mut lab = Lab::start(config, heartbeats(), Authority::root("unused").der()).await;
    let mut flood = lab.raw().await;
    lab.connected().await;
    let begun = Instant::now();
    for number in 0..100 {
        flood.send(format!(r#"[2,"{number}","Heartbeat",{{}}]"#)).await;
        let answer = flood.receive().await;
        assert!(answer.starts_with(&format!(r#"[3,"{number}","#)), "{answer}");
    }
    // Ten at once, and 90 at 200 a second. No machine can be faster.
    assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn silent_connections_delay_no_other_and_are_closed() {
    let config =
        Lab::unsecured_config().with_max_handshakes(1).with_first_byte_timeout(Duration::from_secs(2));
    let lab = Lab::start(config, heartbeats(), Authority::root("unused").der()).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(lab.address).await.unwrap());
    }
    let station = lab.station(nothing()).await;
    within(station.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
    for silent in silent {
        hung_up(silent).await;
    }
}

#[tokio::test]
async fn half_a_request_delays_the_next_turn_only_for_a_time() {
    let config =
        Lab::unsecured_config().with_max_handshakes(1).with_handshake_timeout(Duration::from_millis(500));
    let lab = Lab::start(config, heartbeats(), Authority::root("unused").der()).await;
    let mut slow = TcpStream::connect(lab.address).await.unwrap();
    slow.write_all(b"GET /ocpp/CS001 HTTP/1.1\r\n").await.unwrap();
    hung_up(slow).await;
    lab.station(nothing()).await;
}

#[tokio::test]
async fn a_new_connection_takes_the_place_of_the_oldest_silent_one() {
    let config =
        Lab::unsecured_config().with_max_pending(4).with_first_byte_timeout(Duration::from_secs(600));
    let lab = Lab::start(config, heartbeats(), Authority::root("unused").der()).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(lab.address).await.unwrap());
    }
    let station = lab.station(nothing()).await;
    within(station.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
    hung_up(silent.remove(0)).await;
    // An admitted connection no longer counts, so there is room again.
    silent.push(TcpStream::connect(lab.address).await.unwrap());
    let mut kept = silent.remove(0);
    kept.write_all(b"GET /ocpp/CS001 HTTP/1.1\r\n\r\n").await.unwrap();
    let mut response = [0; 12];
    within(kept.read_exact(&mut response)).await.unwrap();
    assert_eq!(&response, b"HTTP/1.1 400");
}

/// Never decides. Reports when it is called and when its future is dropped.
struct Undecided(mpsc::Sender<&'static str>);

impl Admission for Undecided {
    async fn admit(&self, _: &UpgradeRequest) -> Result<Admitted, Refusal> {
        struct Unwanted(mpsc::Sender<&'static str>);
        impl Drop for Unwanted {
            fn drop(&mut self) {
                let _ = self.0.try_send("unwanted");
            }
        }
        let _unwanted = Unwanted(self.0.clone());
        let _ = self.0.try_send("asked");
        std::future::pending().await
    }
}

#[tokio::test]
async fn nothing_is_done_for_peers_that_go_while_they_wait() {
    let config = Lab::unsecured_config()
        .with_base_path("/ocpp")
        .with_max_handshakes(1)
        .with_handshake_timeout(Duration::from_secs(600));
    let (told, mut tells) = mpsc::channel(16);
    let csms = Csms::bind(config, nothing(), Undecided(told)).await.unwrap();
    let address = csms.local_addr();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(csms.serve(async {
        let _ = stopped.await;
    }));
    let request = "GET /ocpp/CS001 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Protocol: ocpp2.0.1\r\n\
                   Authorization: Basic Q1MwMDE6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n\r\n";
    let ask = async || {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(request.as_bytes()).await.unwrap();
        tcp
    };
    // The first has the only turn until its request is complete. The others wait, and one of them
    // closes.
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(&request.as_bytes()[..40]).await.unwrap();
    let second = ask().await;
    let mut third = ask().await;
    third.shutdown().await.unwrap();
    assert_eq!(within(third.read(&mut [0])).await.unwrap(), 0, "it is let go");
    first.write_all(&request.as_bytes()[40..]).await.unwrap();
    for _ in 0..2 {
        assert_eq!(within(tells.recv()).await, Some("asked"));
    }
    drop((first, second));
    for _ in 0..2 {
        assert_eq!(within(tells.recv()).await, Some("unwanted"));
    }
    stop.send(()).unwrap();
    within(server).await.unwrap();
    assert!(tells.recv().await.is_none(), "the admission is asked about no other");
}

#[tokio::test]
async fn a_shutdown_spreads_its_farewells() {
    let config = Lab::unsecured_config().with_drain(Duration::from_secs(60));
    let mut lab = Lab::start(config, nothing(), Authority::root("unused").der()).await;
    let security = || ocpp_transport::Security::profile_1(PASSWORD.into());
    let mut closings = Vec::new();
    for identity in ["CS001", "RDAM|123"] {
        let mut connection =
            within(ocpp_transport::connect(&lab.config(identity, security()), nothing())).await.unwrap();
        lab.connected().await;
        closings.push(tokio::spawn(async move { (connection.closed().await, Instant::now()) }));
    }
    lab.stop().await;
    let mut times = Vec::new();
    for closing in closings {
        let (reason, at) = within(closing).await.unwrap();
        assert!(matches!(reason, CloseReason::Peer { code: Some(1001), .. }), "{reason:?}");
        times.push(at);
    }
    times.sort();
    assert!(times[0] < times[1], "one after the other");
}
