//! Several versions at once, and the features of 2.1.

use std::time::Duration;

use ocpp_transport::{
    CallFailure, CallOptions, Connection, LinkSettings, MessageId, Peer, Registration, Retry, Router,
    Security, SessionSettings, connect,
};
use ocpp_types::{RpcErrorCode, Version, v16, v21, v201};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::lab::{Lab, PASSWORD, Raw, within};

const V16: Version = Version::V16;
const V201: Version = Version::V201;
const V21: Version = Version::V21;

/// A CSMS whose status shows the version of the request.
fn every_version() -> Router {
    Router::new(V16)
        .and(V21)
        .and(V201)
        .handle(async |peer: Peer, _: v16::DataTransferRequest| {
            assert_eq!(peer.version(), V16);
            Ok(v16::DataTransferResponse::new(v16::DataTransferStatus::Accepted))
        })
        .handle(async |peer: Peer, _: v201::DataTransferRequest| {
            assert_eq!(peer.version(), V201);
            Ok(v201::DataTransferResponse::new(v201::DataTransferStatusEnumType::Rejected))
        })
        .handle(async |peer: Peer, _: v21::DataTransferRequest| {
            assert_eq!(peer.version(), V21);
            Ok(v21::DataTransferResponse::new(v21::DataTransferStatusEnumType::UnknownVendorId))
        })
}

async fn raw(lab: &Lab, version: Version) -> Raw {
    let headers = [
        ("Sec-WebSocket-Protocol", version.subprotocol()),
        ("Authorization", "Basic Q1MwMDE6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5"),
    ];
    Raw(lab.upgrade("/ocpp/CS001", &headers).await.unwrap())
}

async fn station(lab: &Lab, router: Router) -> Connection {
    lab.station(router).await
}

#[tokio::test]
async fn tc_b_58_one_router_serves_every_version_in_the_order_that_the_station_prefers() {
    let lab = Lab::plain(every_version(), LinkSettings::default()).await;
    for (router, expected, status) in [
        (Router::new(V16), V16, "Accepted"),
        (Router::new(V201), V201, "Rejected"),
        (Router::new(V21).and(V201).and(V16), V21, "UnknownVendorId"),
        (Router::new(V201).and(V16).and(V21), V201, "Rejected"),
    ] {
        let connection = station(&lab, router).await;
        let peer = connection.peer();
        assert_eq!(peer.version(), expected);
        let vendor = "x".parse().unwrap();
        let found = match expected {
            V16 => within(peer.call(v16::DataTransferRequest::new("x".parse().unwrap())))
                .await
                .unwrap()
                .status
                .as_str(),
            V201 => within(peer.call(v201::DataTransferRequest::new(vendor))).await.unwrap().status.as_str(),
            _ => within(peer.call(v21::DataTransferRequest::new("x".parse().unwrap())))
                .await
                .unwrap()
                .status
                .as_str(),
        };
        assert_eq!(found, status);
        connection.close(ocpp_transport::Close::Normal).await;
    }
}

#[tokio::test]
async fn a_message_of_another_version_is_not_sent() {
    let lab = Lab::plain(every_version(), LinkSettings::default()).await;
    let connection = station(&lab, Router::new(V16)).await;
    let failure = within(connection.peer().call(v201::HeartbeatRequest::new())).await.unwrap_err();
    assert!(matches!(failure, CallFailure::WrongVersion { message: V201, connection: V16 }), "{failure:?}");
    let failure = within(connection.peer().send(events(1))).await.unwrap_err();
    assert!(matches!(failure, CallFailure::WrongVersion { message: V21, .. }), "{failure:?}");
}

fn events(number: u32) -> v21::NotifyPeriodicEventStream {
    let text = format!(
        r#"{{"id":{number},"pending":0,"basetime":"2026-01-01T00:00:00Z","data":[{{"t":1,"v":"x"}}]}}"#
    );
    ocpp_types::decode(&text).unwrap()
}

#[tokio::test]
async fn fr_07_a_send_is_handled_in_order_and_never_answered() {
    let (seen, mut stream) = mpsc::channel(16);
    let router = every_version().handle_send(move |_: Peer, notification: v21::NotifyPeriodicEventStream| {
        let seen = seen.clone();
        async move {
            tokio::task::yield_now().await;
            let id = serde_json::to_value(&notification).unwrap()["id"].as_u64().unwrap();
            assert_ne!(id, 7, "on purpose");
            seen.send(id).await.unwrap();
        }
    });
    let lab = Lab::plain(router, LinkSettings::default()).await;
    let connection = station(&lab, Router::new(V21)).await;
    for number in [1, 2, 7, 3] {
        within(connection.peer().send(events(number))).await.unwrap();
    }
    for expected in [1, 2, 3] {
        assert_eq!(within(stream.recv()).await, Some(expected));
    }
    connection.close(ocpp_transport::Close::Normal).await;

    // Whatever is wrong with it, the next frame answers the next CALL.
    let mut raw = raw(&lab, V21).await;
    for text in [
        r#"[6,"1","NotifyPeriodicEventStream",{}]"#,
        r#"[6,"1","NotifyPeriodicEventStream",[]]"#,
        r#"[6,"1","NotifyPeriodicEventStream",{]}]"#,
        r#"[6,"1","NotifyPeriodicEventStream"]"#,
        r#"[6,"1","Nonsense",{}]"#,
        r#"[6,"1","Heartbeat",{}]"#,
        r#"[6,1,"Heartbeat",{}]"#,
    ] {
        raw.send(text).await;
        raw.send(r#"[2,"next","DataTransfer",{"vendorId":"x"}]"#).await;
        assert_eq!(raw.receive().await, r#"[3,"next",{"status":"UnknownVendorId"}]"#, "{text}");
    }
}

/// The CSMS's error for a response, and its message to the station about it.
async fn after_response(version: Version, response: &str) -> (CallFailure, Option<Vec<Value>>) {
    let mut lab = Lab::plain(every_version(), LinkSettings::default()).await;
    let mut raw = raw(&lab, version).await;
    let station = lab.connected().await;
    let call = tokio::spawn(async move {
        match version {
            V16 => station.call(v16::ClearCacheRequest::new()).await.map(drop),
            V201 => station.call(v201::ClearCacheRequest::new()).await.map(drop),
            _ => station.call(v21::ClearCacheRequest::new()).await.map(drop),
        }
    });
    let text = raw.receive().await;
    let id = text.split('"').nth(1).unwrap().to_owned();
    raw.send(response.replace("ID", &id)).await;
    let failure = within(call).await.unwrap().unwrap_err();
    raw.send(r#"[2,"next","Nonsense",{}]"#).await;
    let answer: Vec<Value> = serde_json::from_str(&raw.receive().await).unwrap();
    if answer[1] == "next" {
        return (failure, None);
    }
    assert_eq!(answer[1], id);
    (failure, Some(answer))
}

#[tokio::test]
async fn fr_06_an_invalid_response_gets_a_call_result_error_in_2_1_only() {
    for (response, code) in [
        (r#"[3,"ID",{"status":"Perhaps"}]"#, "TypeConstraintViolation"),
        (r#"[3,"ID",{}]"#, "OccurrenceConstraintViolation"),
        (r#"[3,"ID",{"status":"Accepted","more":1}]"#, "FormatViolation"),
        (r#"[3,"ID",null]"#, "FormatViolation"),
        (r#"[3,"ID",{"status":"Accepted"},{}]"#, "RpcFrameworkError"),
        (r#"[3,"ID"]"#, "RpcFrameworkError"),
    ] {
        for version in [V16, V201] {
            let (failure, answer) = after_response(version, response).await;
            assert!(is_invalid(&failure), "{version} {response}: {failure:?}");
            assert_eq!(answer, None, "{version} {response}");
        }
        let (failure, answer) = after_response(V21, response).await;
        assert!(is_invalid(&failure), "{response}: {failure:?}");
        let answer = answer.expect("2.1 answers");
        assert_eq!((&answer[0], &answer[2]), (&Value::from(5), &Value::from(code)), "{response}");
        assert_eq!((answer.len(), &answer[4]), (5, &Value::Object(Default::default())));
    }
}

fn is_invalid(failure: &CallFailure) -> bool {
    matches!(failure, CallFailure::InvalidResponse(_) | CallFailure::Unreadable(_))
}

/// A CSMS whose handlers count how often they were called.
async fn boot_lab() -> (Lab, mpsc::Receiver<&'static str>) {
    let (seen, calls) = mpsc::channel(16);
    let event = seen.clone();
    let router = Router::new(V201)
        .handle(async |_: Peer, request: v201::BootNotificationRequest| {
            let status = match request.reason {
                v201::BootReasonEnumType::PowerUp => v201::RegistrationStatusEnumType::Accepted,
                v201::BootReasonEnumType::Triggered => v201::RegistrationStatusEnumType::Pending,
                _ => v201::RegistrationStatusEnumType::Rejected,
            };
            Ok(v201::BootNotificationResponse::new("2026-01-01T00:00:00Z".parse().unwrap(), 60, status))
        })
        .handle(move |_: Peer, _: v201::HeartbeatRequest| {
            seen.try_send("Heartbeat").unwrap();
            async { Ok(v201::HeartbeatResponse::new("2026-01-01T00:00:00Z".parse().unwrap())) }
        })
        .handle(move |_: Peer, _: v201::SecurityEventNotificationRequest| {
            event.try_send("SecurityEventNotification").unwrap();
            async { Ok(v201::SecurityEventNotificationResponse::new()) }
        });
    (Lab::plain(router, LinkSettings::default()).await, calls)
}

fn boot(reason: v201::BootReasonEnumType) -> v201::BootNotificationRequest {
    let station = v201::ChargingStationType::new("model".parse().unwrap(), "vendor".parse().unwrap());
    v201::BootNotificationRequest::new(station, reason)
}

/// A station that has just started.
async fn started(lab: &Lab, router: Router) -> Connection {
    let config = lab.config("CS001", Security::profile_1(PASSWORD.into()));
    within(connect(&config.with_registration(Registration::NotBooted), router)).await.unwrap()
}

/// Seen elsewhere (libocpp #984): a security event overtook the acceptance of the BootNotification.
#[tokio::test]
async fn b01_fr_08_no_security_event_before_boot_notification_is_accepted() {
    let (lab, mut calls) = boot_lab().await;
    let connection = started(&lab, Router::new(V201)).await;
    let peer = connection.peer().clone();
    let event = v201::SecurityEventNotificationRequest::new(
        "StartupOfTheDevice".parse().unwrap(),
        "2026-01-01T00:00:00Z".parse().unwrap(),
    );
    // The first fails at once; the second is kept until it may be sent.
    let failure = within(peer.call(event.clone())).await.unwrap_err();
    assert!(matches!(failure, CallFailure::NotAccepted), "{failure:?}");
    let options = CallOptions::default().with_retry(Retry::new(1, Duration::from_secs(1)));
    let kept = tokio::spawn({
        let peer = peer.clone();
        async move { peer.call_with(event, options).await }
    });
    for reason in [v201::BootReasonEnumType::Watchdog, v201::BootReasonEnumType::Triggered] {
        within(peer.call(boot(reason))).await.unwrap();
        let failure = within(peer.call(v201::HeartbeatRequest::new())).await.unwrap_err();
        assert!(matches!(failure, CallFailure::NotAccepted), "{failure:?}");
    }
    assert!(calls.try_recv().is_err());
    within(peer.call(boot(v201::BootReasonEnumType::PowerUp))).await.unwrap();
    within(kept).await.unwrap().unwrap();
    assert_eq!(within(calls.recv()).await, Some("SecurityEventNotification"));
    within(peer.call(v201::HeartbeatRequest::new())).await.unwrap();
}

#[tokio::test]
async fn tc_b_30_csms_answers_security_error_to_a_station_that_it_has_not_accepted() {
    let (lab, mut calls) = boot_lab().await;
    let mut raw = raw(&lab, V201).await;
    let boot = |reason: &str| {
        format!(
            r#"[2,"b","BootNotification",{{"reason":"{reason}","chargingStation":{{"model":"m","vendorName":"v"}}}}]"#
        )
    };
    for (reason, accepted) in [("Watchdog", false), ("Triggered", false), ("PowerUp", true)] {
        raw.send(boot(reason)).await;
        assert!(raw.receive().await.starts_with(r#"[3,"b","#));
        raw.send(r#"[2,"h","Heartbeat",{}]"#).await;
        let answer = raw.receive().await;
        let expected = if accepted { r#"[3,"h","# } else { r#"[4,"h","SecurityError","# };
        assert!(answer.starts_with(expected), "{reason}: {answer}");
        assert_eq!(calls.try_recv().is_ok(), accepted, "{reason}");
    }
}

#[tokio::test]
async fn tc_b_30_cs_answers_security_error_to_a_csms_that_has_rejected_it() {
    let (mut lab, _calls) = boot_lab().await;
    let router = Router::new(V201).handle(async |_: Peer, _: v201::ClearCacheRequest| {
        Ok(v201::ClearCacheResponse::new(v201::ClearCacheStatusEnumType::Accepted))
    });
    let connection = started(&lab, router).await;
    let station = lab.connected().await;
    let clear = v201::ClearCacheRequest::new;
    within(connection.peer().call(boot(v201::BootReasonEnumType::Watchdog))).await.unwrap();
    // B03.FR.03: this CSMS does not send it.
    let failure = within(station.call(clear())).await.unwrap_err();
    assert!(matches!(failure, CallFailure::NotAccepted), "{failure:?}");
    within(connection.peer().call(boot(v201::BootReasonEnumType::Triggered))).await.unwrap();
    within(station.call(clear())).await.unwrap();
}

/// Seen elsewhere (libocpp #1097): a slow answer delayed the other direction and other stations.
#[tokio::test]
async fn a_slow_handler_holds_up_nothing_else() {
    let (go, gate) = tokio::sync::watch::channel(false);
    let router = Router::new(V201)
        .handle(move |_: Peer, _: v201::GetCertificateStatusRequest| {
            let mut gate = gate.clone();
            async move {
                gate.wait_for(|open| *open).await.unwrap();
                Ok(v201::GetCertificateStatusResponse::new(v201::GetCertificateStatusEnumType::Failed))
            }
        })
        .handle(async |_: Peer, _: v201::HeartbeatRequest| {
            Ok(v201::HeartbeatResponse::new("2026-01-01T00:00:00Z".parse().unwrap()))
        });
    let mut lab = Lab::plain(router, LinkSettings::default()).await;
    let clear = Router::new(V201).handle(async |_: Peer, _: v201::ClearCacheRequest| {
        Ok(v201::ClearCacheResponse::new(v201::ClearCacheStatusEnumType::Accepted))
    });
    let connection = station(&lab, clear).await;
    let slow = lab.connected().await;
    let hash = r#"{"ocspRequestData":{"hashAlgorithm":"SHA256","issuerNameHash":"a","issuerKeyHash":"b","serialNumber":"1","responderURL":"http://x"}}"#;
    let status: v201::GetCertificateStatusRequest = ocpp_types::decode(hash).unwrap();
    let waiting = tokio::spawn({
        let peer = connection.peer().clone();
        async move { peer.call(status).await }
    });
    within(slow.call(v201::ClearCacheRequest::new())).await.unwrap();
    let security = Security::profile_1(PASSWORD.into());
    let other = within(connect(&lab.config("RDAM|123", security), Router::new(V201))).await.unwrap();
    within(other.peer().call(v201::HeartbeatRequest::new())).await.unwrap();
    assert!(!waiting.is_finished());
    go.send(true).unwrap();
    within(waiting).await.unwrap().unwrap();
}

/// A CSMS that refuses twice gets the message three times with one id, and the caller gets one
/// response.
#[tokio::test]
async fn message_attempts_of_a_call_that_the_peer_refuses() {
    let (seen, mut ids) = mpsc::channel(16);
    let tap = std::sync::Arc::new(move |frame: &ocpp_transport::TappedFrame<'_>| {
        if frame.direction == ocpp_transport::Direction::In && frame.text.starts_with("[2,") {
            seen.try_send(frame.text.split('"').nth(1).unwrap().to_owned()).unwrap();
        }
    });
    let count = std::sync::atomic::AtomicU32::new(0);
    let router = Router::new(V201).handle(move |_: Peer, _: v201::HeartbeatRequest| {
        let attempt = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            if attempt < 2 {
                return Err(ocpp_transport::CallError::internal("not now"));
            }
            Ok(v201::HeartbeatResponse::new("2026-01-01T00:00:00Z".parse().unwrap()))
        }
    });
    let lab = Lab::plain(router, LinkSettings::default().with_tap(tap)).await;
    let connection = station(&lab, Router::new(V201)).await;
    let heartbeat = v201::HeartbeatRequest::new;
    let id = MessageId::try_from("once and for all").unwrap();
    let retry = Retry::new(3, Duration::from_millis(10));
    let options = CallOptions::default().with_retry(retry).with_id(id);
    within(connection.peer().call_with(heartbeat(), options)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(within(ids.recv()).await.as_deref(), Some("once and for all"));
    }
    // Without a further attempt the caller gets the code.
    let lab = Lab::plain(
        Router::new(V201).handle(async |_: Peer, _: v201::HeartbeatRequest| {
            Err::<v201::HeartbeatResponse, _>(ocpp_transport::CallError::internal("never"))
        }),
        LinkSettings::default().with_session(SessionSettings::default()),
    )
    .await;
    let connection = station(&lab, Router::new(V201)).await;
    let options = CallOptions::default().with_retry(Retry::new(2, Duration::from_millis(10)));
    let failure = within(connection.peer().call_with(heartbeat(), options)).await.unwrap_err();
    assert!(
        matches!(failure, CallFailure::CallError { code: RpcErrorCode::InternalError, .. }),
        "{failure:?}"
    );
}
