//! Typed calls: their handlers, the work that follows answers, and handlers that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::SinkExt;
use ocpp_transport::{CallError, CallFailure, Direction, LinkSettings, Peer, Reply, SessionSettings, frame};
use ocpp_types::{RpcErrorCode, v201};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;

use crate::lab::{Happened, Lab, heartbeats, nothing, within};

fn triggered() -> v201::TriggerMessageResponse {
    v201::TriggerMessageResponse::new(v201::TriggerMessageStatusEnumType::Accepted)
}

fn trigger() -> v201::TriggerMessageRequest {
    v201::TriggerMessageRequest::new(v201::MessageTriggerEnumType::Heartbeat)
}

#[tokio::test]
async fn fr_05_what_was_asked_for_follows_the_response() {
    let mut lab = Lab::plain(heartbeats(), LinkSettings::default()).await;
    let (done, mut calls) = mpsc::channel(1);
    let router = nothing().handle(move |peer: Peer, _: v201::TriggerMessageRequest| {
        let done = done.clone();
        async move {
            Ok(Reply::new(triggered()).then(async move {
                let outcome = peer.call(v201::HeartbeatRequest::new()).await;
                done.send(outcome.is_ok()).await.unwrap();
            }))
        }
    });
    let _connection = lab.station(router).await;
    let station = lab.connected().await;
    within(station.call(trigger())).await.unwrap();
    assert_eq!(within(calls.recv()).await, Some(true));
}

/// A CSMS whose response to DataTransfer is larger than the buffers of the kernel. The work that
/// follows the response sends to the second element. The third receives the lengths of the frames
/// that the CSMS passes to its socket.
async fn lab_with_large_response() -> (Lab, mpsc::Receiver<()>, mpsc::Receiver<usize>) {
    let (follow, followed) = mpsc::channel(1);
    let router = heartbeats().handle(move |_: Peer, _: v201::DataTransferRequest| {
        let follow = follow.clone();
        async move {
            let mut response = v201::DataTransferResponse::new(v201::DataTransferStatusEnumType::Accepted);
            response.data = Some(ocpp_types::decode(&format!("\"{}\"", "x".repeat(LARGE))).unwrap());
            Ok(Reply::new(response).then(async move { follow.try_send(()).unwrap() }))
        }
    });
    let (tapped, taps) = mpsc::channel(4);
    let limits = frame::Limits::default().with_max_bytes(2 * LARGE);
    let link = LinkSettings::default().with_session(SessionSettings::default().with_limits(limits)).with_tap(
        Arc::new(move |frame| {
            if frame.direction == Direction::Out {
                tapped.try_send(frame.text.len()).unwrap();
            }
        }),
    );
    (Lab::plain(router, link).await, followed, taps)
}

/// Seen elsewhere (a simulator of SAP, tfocpp): the socket was closed before the answer was
/// flushed, or after a pause of 3 s.
#[tokio::test]
async fn what_follows_waits_until_the_response_is_flushed() {
    let (lab, mut followed, mut taps) = lab_with_large_response().await;
    let mut raw = lab.raw().await;
    raw.send(r#"[2,"1","DataTransfer",{"vendorId":"x"}]"#).await;
    assert!(within(taps.recv()).await.unwrap() > LARGE);
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert!(followed.try_recv().is_err());
    }
    assert!(raw.receive().await.len() > LARGE);
    within(followed.recv()).await.unwrap();
}

#[tokio::test]
async fn fr_05_what_follows_an_answer_outlives_the_next_answer() {
    let (lab, mut followed, mut taps) = lab_with_large_response().await;
    let mut raw = lab.raw().await;
    raw.send(r#"[2,"1","DataTransfer",{"vendorId":"x"}]"#).await;
    raw.send(r#"[2,"2","Heartbeat",{}]"#).await;
    // Both are answered before the first answer is flushed.
    assert!(within(taps.recv()).await.unwrap() > LARGE);
    within(taps.recv()).await.unwrap();
    assert!(raw.receive().await.len() > LARGE);
    assert!(raw.receive().await.starts_with(r#"[3,"2","#));
    within(followed.recv()).await.unwrap();
}

/// 15 MiB: more than the kernel's buffers of a loopback connection hold.
const LARGE: usize = 15 * 1024 * 1024;

#[tokio::test]
async fn nothing_follows_a_response_that_could_not_be_sent() {
    let (started, mut running) = mpsc::channel(1);
    let go = Arc::new(Notify::new());
    let (follow, followed) = oneshot::channel::<()>();
    let follow = std::sync::Mutex::new(Some(follow));
    let router = {
        let go = Arc::clone(&go);
        nothing().handle(move |_: Peer, _: v201::TriggerMessageRequest| {
            let (started, go, follow) = (started.clone(), Arc::clone(&go), follow.lock().unwrap().take());
            async move {
                started.send(()).await.unwrap();
                go.notified().await;
                Ok(Reply::new(triggered()).then(async move {
                    follow.unwrap().send(()).unwrap();
                }))
            }
        })
    };
    let mut lab = Lab::plain(router, LinkSettings::default()).await;
    let mut raw = lab.raw().await;
    lab.connected().await;
    raw.send(r#"[2,"1","TriggerMessage",{"requestedMessage":"Heartbeat"}]"#).await;
    within(running.recv()).await.unwrap();
    drop(raw);
    assert!(matches!(lab.next().await, Happened::Disconnected(..)));
    go.notify_one();
    assert!(within(followed).await.is_err(), "dropped without having run");
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_for_and_the_connection_lives_on() {
    let router = heartbeats()
        .handle(async |_: Peer, request: v201::TriggerMessageRequest| match request.requested_message {
            v201::MessageTriggerEnumType::Heartbeat => panic!("on purpose"),
            _ => Ok(triggered()),
        })
        .handle(
            |_: Peer,
             _: v201::ClearCacheRequest|
             -> std::future::Ready<Result<v201::ClearCacheResponse, _>> {
                panic!("on purpose, before the future")
            },
        );
    let lab = Lab::plain(router, LinkSettings::default()).await;
    let connection = lab.station(nothing()).await;
    let failure = within(connection.peer().call(trigger())).await.unwrap_err();
    assert!(
        matches!(failure, CallFailure::CallError { code: RpcErrorCode::InternalError, .. }),
        "{failure:?}"
    );
    let failure = within(connection.peer().call(v201::ClearCacheRequest::new())).await.unwrap_err();
    assert!(
        matches!(failure, CallFailure::CallError { code: RpcErrorCode::InternalError, .. }),
        "{failure:?}"
    );
    within(connection.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_answered_for_and_dropped() {
    let (alive, mut dropped) = mpsc::channel::<()>(1);
    let router = heartbeats().handle(move |_: Peer, _: v201::TriggerMessageRequest| {
        let alive = alive.clone();
        async move {
            std::future::pending::<()>().await;
            drop(alive);
            Ok(triggered())
        }
    });
    let session = SessionSettings::default().with_answer_deadline(Duration::from_millis(50));
    let lab = Lab::plain(router, LinkSettings::default().with_session(session)).await;
    let connection = lab.station(nothing()).await;
    let failure = within(connection.peer().call(trigger())).await.unwrap_err();
    assert!(
        matches!(failure, CallFailure::CallError { code: RpcErrorCode::InternalError, .. }),
        "{failure:?}"
    );
    within(connection.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
    connection.close(ocpp_transport::Close::Normal).await;
    lab.stop().await;
    assert_eq!(within(dropped.recv()).await, None, "the handler is gone, and with it its sender");
}

#[tokio::test]
async fn a_handler_refuses_with_a_code_of_its_choice() {
    let router = nothing().handle(async |_: Peer, _: v201::HeartbeatRequest| {
        Err::<v201::HeartbeatResponse, _>(CallError::security("boot first"))
    });
    let lab = Lab::plain(router, LinkSettings::default()).await;
    let connection = lab.station(nothing()).await;
    let failure = within(connection.peer().call(v201::HeartbeatRequest::new())).await.unwrap_err();
    assert!(matches!(
        failure,
        CallFailure::CallError { code: RpcErrorCode::SecurityError, description, .. } if description == "boot first"
    ));
}

#[tokio::test]
async fn a_call_without_answer_times_out_and_the_next_one_works() {
    let lab = Lab::plain(heartbeats(), LinkSettings::default()).await;
    let security = ocpp_transport::Security::profile_1(crate::lab::PASSWORD.into());
    let session = SessionSettings::default().with_call_timeout(Duration::from_millis(50));
    let config = lab.config("CS001", security).with_link(LinkSettings::default().with_session(session));
    // Our own CSMS answers everything, so this peer never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut to_silent = config.clone();
    to_silent.url = format!("ws://{}", silent.local_addr().unwrap()).parse().unwrap();
    let server = tokio::spawn(async move {
        let (tcp, _) = silent.accept().await.unwrap();
        #[allow(clippy::result_large_err, reason = "the type is tungstenite's")]
        let accept = |_: &_, mut response: tokio_tungstenite::tungstenite::handshake::server::Response| {
            response.headers_mut().insert("Sec-WebSocket-Protocol", "ocpp2.0.1".parse().unwrap());
            Ok(response)
        };
        tokio_tungstenite::accept_hdr_async(tcp, accept).await.unwrap()
    });
    let connection = within(ocpp_transport::connect(&to_silent, nothing())).await.unwrap();
    let _silent = within(server).await.unwrap();
    for _ in 0..2 {
        let failure = within(connection.peer().call(v201::HeartbeatRequest::new())).await.unwrap_err();
        assert!(matches!(failure, CallFailure::Timeout), "{failure:?}");
    }
}

#[tokio::test]
async fn calls_at_the_same_time_go_one_by_one_up_to_a_bound() {
    let lab = Lab::plain(heartbeats(), LinkSettings::default()).await;
    let connection = lab.station(nothing()).await;
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let peer = connection.peer().clone();
            tokio::spawn(async move { peer.call(v201::HeartbeatRequest::new()).await })
        })
        .collect();
    let (mut answered, mut refused) = (0, 0);
    for call in calls {
        match within(call).await.unwrap() {
            Ok(_) => answered += 1,
            Err(CallFailure::QueueFull) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(answered + refused, 200);
    assert!(answered >= 16, "{answered}");
}

/// A response and a CALL in one packet: the CALL's handler sees the changes by the response.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_response_changes_holds_for_the_call_behind_it() {
    let seen = Arc::new(AtomicBool::new(false));
    let router = {
        let seen = Arc::clone(&seen);
        nothing().handle(move |_: Peer, _: v201::TriggerMessageRequest| {
            let seen = seen.load(Ordering::SeqCst);
            async move { if seen { Ok(triggered()) } else { Err(CallError::internal("overtaken")) } }
        })
    };
    let mut lab = Lab::plain(router, LinkSettings::default()).await;
    let mut raw = lab.raw().await;
    let station = lab.connected().await;
    for round in 0..200 {
        seen.store(false, Ordering::SeqCst);
        let (station, seen) = (station.clone(), Arc::clone(&seen));
        let call = tokio::spawn(async move {
            let observe = move |_: &v201::ClearCacheResponse| seen.store(true, Ordering::SeqCst);
            station.call_observed(v201::ClearCacheRequest::new(), observe).await
        });
        let text = raw.receive().await;
        let id = text.split('"').nth(1).unwrap();
        for frame in [
            format!(r#"[3,"{id}",{{"status":"Accepted"}}]"#),
            format!(r#"[2,"{round}","TriggerMessage",{{"requestedMessage":"Heartbeat"}}]"#),
        ] {
            within(raw.0.feed(Message::text(frame))).await.unwrap();
        }
        within(raw.0.flush()).await.unwrap();
        assert_eq!(raw.receive().await, format!(r#"[3,"{round}",{{"status":"Accepted"}}]"#));
        within(call).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_handler_may_call_the_peer_before_it_answers() {
    let router = nothing().handle(async |peer: Peer, _: v201::HeartbeatRequest| {
        let answer = peer.call(trigger()).await.map_err(|error| CallError::internal(error.to_string()))?;
        assert_eq!(answer.status, v201::TriggerMessageStatusEnumType::Accepted);
        Ok(v201::HeartbeatResponse::new("2026-01-01T00:00:00Z".parse().unwrap()))
    });
    let lab = Lab::plain(router, LinkSettings::default()).await;
    let station = nothing().handle(async |_: Peer, _: v201::TriggerMessageRequest| Ok(triggered()));
    let connection = lab.station(station).await;
    for _ in 0..3 {
        within(connection.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
    }
}

#[tokio::test]
async fn what_follows_answers_is_bounded() {
    let (follow, mut followed) = mpsc::channel(64);
    let go = Arc::new(Notify::new());
    let router = heartbeats().handle({
        let go = Arc::clone(&go);
        move |_: Peer, _: v201::TriggerMessageRequest| {
            let (follow, go) = (follow.clone(), Arc::clone(&go));
            async move {
                Ok(Reply::new(triggered()).then(async move {
                    follow.send(()).await.unwrap();
                    go.notified().await;
                    follow.send(()).await.unwrap();
                }))
            }
        }
    });
    let lab = Lab::plain(router, LinkSettings::default()).await;
    let connection = lab.station(nothing()).await;
    for _ in 0..16 {
        within(connection.peer().call(trigger())).await.unwrap();
        within(followed.recv()).await.unwrap();
    }
    let failure = within(connection.peer().call(trigger())).await.unwrap_err();
    assert!(
        matches!(failure, CallFailure::CallError { code: RpcErrorCode::GenericError, .. }),
        "{failure:?}"
    );
    go.notify_one();
    within(followed.recv()).await.unwrap();
    // There is room again as soon as the connection has noticed the end.
    within(async { while connection.peer().call(trigger()).await.is_err() {} }).await;
}
