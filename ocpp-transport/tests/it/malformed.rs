//! Invalid input is answered by the specification, and affects nothing else.

use futures_util::SinkExt;
use ocpp_transport::{CallFailure, CloseReason, LinkSettings, Peer};
use ocpp_types::v201;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::lab::{Happened, Lab, Raw, heartbeats, nothing, within};

async fn lab() -> Lab {
    let router = heartbeats().handle(async |_: Peer, request: v201::SignCertificateRequest| {
        assert!(request.csr.len() <= 5500);
        Ok(v201::SignCertificateResponse::new(v201::GenericStatusEnumType::Accepted))
    });
    Lab::plain(router, LinkSettings::default()).await
}

/// Sends a text, and checks the CALLERROR and that the next call works.
async fn check(raw: &mut Raw, text: &str, id: &str, code: &str, description: &str) {
    raw.send(text).await;
    let answer: Vec<Value> = serde_json::from_str(&raw.receive().await).unwrap();
    assert_eq!(answer[..3], [Value::from(4), id.into(), code.into()], "{text}: {answer:?}");
    let found = answer[3].as_str().unwrap();
    assert!(found.contains(description) && found.chars().count() <= 255, "{text}: {found}");
    assert_eq!(answer[4], Value::Object(Default::default()));
    raw.send(r#"[2,"next","Heartbeat",{}]"#).await;
    assert_eq!(raw.receive().await, r#"[3,"next",{"currentTime":"2026-01-01T00:00:00Z"}]"#);
}

#[tokio::test]
async fn fr_03_an_invalid_payload_gets_the_call_error_of_the_table() {
    let lab = lab().await;
    let mut raw = lab.raw().await;
    let long = format!(r#"[2,"1","SignCertificate",{{"csr":"{}"}}]"#, "x".repeat(5501));
    for (text, code, description) in [
        (long.as_str(), "PropertyConstraintViolation", "/csr"),
        (r#"[2,"1","SignCertificate",{}]"#, "OccurrenceConstraintViolation", "csr"),
        (r#"[2,"1","SignCertificate",{"csr":7}]"#, "TypeConstraintViolation", "/csr"),
        (r#"[2,"1","SignCertificate",{"csr":null}]"#, "TypeConstraintViolation", "/csr"),
        (r#"[2,"1","SignCertificate",{"csr":"x","more":1}]"#, "FormatViolation", "more"),
        (r#"[2,"1","SignCertificate",{"csr":"x","csr":"x"}]"#, "FormatViolation", "csr"),
        (
            r#"[2,"1","SignCertificate",{"csr":"x","certificateType":"Other"}]"#,
            "TypeConstraintViolation",
            "/certificateType",
        ),
        (r#"[2,"1","SignCertificate",[]]"#, "FormatViolation", "object"),
    ] {
        check(&mut raw, text, "1", code, description).await;
    }
}

#[tokio::test]
async fn actions_that_are_unknown_or_not_offered() {
    let lab = lab().await;
    let mut raw = lab.raw().await;
    check(&mut raw, r#"[2,"1","Nonsense",{}]"#, "1", "NotImplemented", "").await;
    check(&mut raw, r#"[2,"1","heartbeat",{}]"#, "1", "NotImplemented", "").await;
    check(&mut raw, r#"[2,"1","StatusNotification",{}]"#, "1", "NotSupported", "").await;
    // Only a CSMS may send this action.
    check(&mut raw, r#"[2,"1","DeleteCertificate",{}]"#, "1", "NotSupported", "").await;
}

#[tokio::test]
async fn what_is_no_frame_gets_the_id_minus_1() {
    let lab = lab().await;
    let mut raw = lab.raw().await;
    for text in ["not JSON", "{}", r#"[2,7,"Heartbeat",{}]"#, ""] {
        check(&mut raw, text, "-1", "RpcFrameworkError", "").await;
    }
    let long_id = format!(r#"[2,"{}","Heartbeat",{{}}]"#, "x".repeat(37));
    check(&mut raw, &long_id, "-1", "RpcFrameworkError", "36").await;
    check(&mut raw, r#"[9,"x","Heartbeat",{}]"#, "x", "MessageTypeNotSupported", "9").await;
    let deep = format!(r#"[2,"x","Heartbeat",{}{}]"#, "[".repeat(50_000), "]".repeat(50_000));
    check(&mut raw, &deep, "x", "RpcFrameworkError", "deep").await;
}

#[tokio::test]
async fn answers_to_nothing_are_ignored() {
    let lab = lab().await;
    let mut raw = lab.raw().await;
    raw.send(r#"[3,"unknown",{}]"#).await;
    raw.send(r#"[4,"unknown","GenericError","",{}]"#).await;
    raw.send(r#"[3]"#).await;
    check(&mut raw, r#"[2,"1","Nonsense",{}]"#, "1", "NotImplemented", "").await;
}

#[tokio::test]
async fn an_invalid_response_fails_the_call_only() {
    let mut lab = lab().await;
    let mut raw = lab.raw().await;
    let station = lab.connected().await;
    let call = tokio::spawn(async move {
        let failure = station.call(v201::HeartbeatRequest::new()).await.unwrap_err();
        (station, failure)
    });
    let text = raw.receive().await;
    let id = text.split('"').nth(1).unwrap().to_owned();
    assert_eq!(id.len(), 36);
    raw.send(format!(r#"[3,"{id}",{{"currentTime":"yesterday"}}]"#)).await;
    let (station, failure) = within(call).await.unwrap();
    let CallFailure::InvalidResponse(error) = failure else { panic!("{failure:?}") };
    assert_eq!(error.pointer(), "/currentTime");
    assert!(station.is_open());
    check(&mut raw, r#"[2,"1","Nonsense",{}]"#, "1", "NotImplemented", "").await;
}

/// Sends a message that ends the connection. Returns the code of the close.
async fn closed_with(message: Message) -> (u16, CloseReason) {
    let mut lab = lab().await;
    let mut raw = lab.raw().await;
    lab.connected().await;
    within(raw.0.send(message)).await.unwrap();
    let code = raw.close_code().await;
    drop(raw);
    let Happened::Disconnected(_, reason) = lab.next().await else { panic!() };
    (code, reason)
}

#[tokio::test]
async fn an_oversize_frame_closes_with_1009() {
    let text = format!(r#"[2,"1","Heartbeat",{{"x":"{}"}}]"#, "x".repeat(128 * 1024));
    let (code, reason) = closed_with(Message::text(text)).await;
    assert_eq!(code, 1009);
    assert!(matches!(reason, CloseReason::Misbehaved { code: 1009, .. }), "{reason:?}");
}

#[tokio::test]
async fn a_binary_frame_closes_with_1003() {
    assert_eq!(closed_with(Message::binary(vec![0])).await.0, 1003);
}

#[tokio::test]
async fn text_that_is_not_utf_8_closes_with_1007() {
    let frame = Frame::message(vec![0xff], OpCode::Data(Data::Text), true);
    assert_eq!(closed_with(Message::Frame(frame)).await.0, 1007);
}

#[tokio::test]
async fn a_peer_that_does_not_wait_for_answers_is_bounded() {
    let lab = Lab::plain(nothing(), LinkSettings::default()).await;
    let mut raw = lab.raw().await;
    for number in 0..100 {
        raw.send(format!(r#"[2,"{number}","Heartbeat",{{}}]"#)).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 100 {
        let answer: Vec<Value> = serde_json::from_str(&raw.receive().await).unwrap();
        assert!(["NotSupported", "GenericError"].contains(&answer[2].as_str().unwrap()), "{answer:?}");
        seen.push(answer[1].as_str().unwrap().parse::<u32>().unwrap());
    }
    seen.sort();
    assert!(seen.into_iter().eq(0..100));
}
