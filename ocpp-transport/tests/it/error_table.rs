//! Both tables of OCPP-J 4.3 and 4.4 for each version: which code is sent for which error, and its
//! spelling.

use ocpp_transport::session::{Answer, CallOutcome, Event, Outgoing, Role, Session, SessionSettings};
use ocpp_transport::{LinkSettings, Peer, Router};
use ocpp_types::{RpcErrorCode, Version, v16, v21, v201};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::lab::{Lab, Raw};

const V16: Version = Version::V16;
const V201: Version = Version::V201;
const V21: Version = Version::V21;

/// A CSMS that handles a few requests of every version, and a station of one version that sends any
/// text.
async fn connected(version: Version) -> (Lab, Raw) {
    fn time() -> ocpp_types::Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }
    let router = Router::new(V16)
        .and(V201)
        .and(V21)
        .handle(async |_: Peer, _: v16::HeartbeatRequest| Ok(v16::HeartbeatResponse::new(time())))
        .handle(async |_: Peer, _: v201::HeartbeatRequest| Ok(v201::HeartbeatResponse::new(time())))
        .handle(async |_: Peer, _: v21::HeartbeatRequest| Ok(v21::HeartbeatResponse::new(time())))
        .handle(async |_: Peer, _: v16::StatusNotificationRequest| Ok(v16::StatusNotificationResponse::new()))
        .handle(async |_: Peer, _: v201::StatusNotificationRequest| {
            Ok(v201::StatusNotificationResponse::new())
        })
        .handle(async |_: Peer, _: v21::StatusNotificationRequest| Ok(v21::StatusNotificationResponse::new()))
        .handle(async |_: Peer, _: v201::MeterValuesRequest| Ok(v201::MeterValuesResponse::new()))
        .handle(async |_: Peer, _: v21::MeterValuesRequest| Ok(v21::MeterValuesResponse::new()))
        .handle(async |_: Peer, _: v21::ClosePeriodicEventStreamRequest| {
            Ok(v21::ClosePeriodicEventStreamResponse::new())
        });
    let lab = Lab::plain(router, LinkSettings::default()).await;
    let headers = [
        ("Sec-WebSocket-Protocol", version.subprotocol()),
        ("Authorization", "Basic Q1MwMDE6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5"),
    ];
    let raw = Raw(lab.upgrade("/ocpp/CS001", &headers).await.unwrap());
    (lab, raw)
}

/// One row: the text that is sent, and the id and the code of the CALLERROR in each version; `None`
/// is silence.
struct Row {
    clause: &'static str,
    text: String,
    expected: [Option<(&'static str, &'static str)>; 3],
}

fn row(clause: &'static str, text: &str, expected: [Option<(&'static str, &'static str)>; 3]) -> Row {
    Row { clause, text: text.to_owned(), expected }
}

/// The same id and a code for 1.6 and for 2.x.
fn same(clause: &'static str, text: &str, id: &'static str, old: &'static str, new: &'static str) -> Row {
    row(clause, text, [Some((id, old)), Some((id, new)), Some((id, new))])
}

async fn check(rows: &[Row]) {
    for (index, version) in [V16, V201, V21].into_iter().enumerate() {
        let (_lab, mut raw) = connected(version).await;
        for Row { clause, text, expected } in rows {
            raw.send(text.as_str()).await;
            if let Some((id, code)) = expected[index] {
                let answer: Vec<Value> = serde_json::from_str(&raw.receive().await).unwrap();
                assert_eq!(answer[..3], [Value::from(4), id.into(), code.into()], "{version}: {clause}");
                assert!(answer[3].as_str().unwrap().chars().count() <= 255, "{version}: {clause}");
                assert_eq!((answer.len(), &answer[4]), (5, &Value::Object(Default::default())));
            }
            // Nothing else arrives, and the connection stays open.
            raw.send(r#"[2,"next","Heartbeat",{}]"#).await;
            let next = r#"[3,"next",{"currentTime":"2026-01-01T00:00:00Z"}]"#;
            assert_eq!(raw.receive().await, next, "{version}: {clause}");
        }
    }
}

#[tokio::test]
async fn ocpp_j_4_2_3_what_is_no_frame() {
    let (old, new) = ("FormationViolation", "RpcFrameworkError");
    let long_id = format!(r#"[2,"{}","Heartbeat",{{}}]"#, "x".repeat(37));
    check(&[
        same("not JSON", "not JSON", "-1", old, new),
        same("not JSON, but the id can be read", r#"[2,"1","Heartbeat",{]}]"#, "1", old, new),
        same("not an array", r#"{"2":"1"}"#, "-1", old, new),
        same("empty", "[]", "-1", old, new),
        same("the type is no number", r#"["2","1","Heartbeat",{}]"#, "-1", old, new),
        same("the id is no text", r#"[2,1,"Heartbeat",{}]"#, "-1", old, new),
        same("the id is longer than 36 characters", &long_id, "-1", old, new),
        same("too few elements", r#"[2,"1","Heartbeat"]"#, "1", old, new),
        same("too many elements", r#"[2,"1","Heartbeat",{},{}]"#, "1", old, new),
        same("the action is no text", r#"[2,"1",7,{}]"#, "1", old, new),
    ])
    .await;
}

#[tokio::test]
async fn ocpp_j_4_1_3_message_types_that_a_version_does_not_have() {
    let unknown = Some(("1", "MessageTypeNotSupported"));
    check(&[
        // 1.6 has no code for it. 2.0.1 has one, but contradicts itself. 2.1 requires that it is
        // ignored.
        row("an unknown message type", r#"[9,"1","Heartbeat",{}]"#, [None, unknown, None]),
        row("without an id", "[0]", [None, Some(("-1", "MessageTypeNotSupported")), None]),
        row("CALLRESULTERROR", r#"[5,"1","GenericError","",{}]"#, [None, unknown, None]),
        row("SEND", r#"[6,"1","NotifyPeriodicEventStream",{}]"#, [None, unknown, None]),
    ])
    .await;
}

#[tokio::test]
async fn ocpp_j_4_3_actions() {
    check(&[
        same("unknown action", r#"[2,"1","Nonsense",{}]"#, "1", "NotImplemented", "NotImplemented"),
        same("another case", r#"[2,"1","heartbeat",{}]"#, "1", "NotImplemented", "NotImplemented"),
        same("with `Request`", r#"[2,"1","HeartbeatRequest",{}]"#, "1", "NotImplemented", "NotImplemented"),
        same("known, not offered", r#"[2,"1","Authorize",{}]"#, "1", "NotSupported", "NotSupported"),
        same("only the CSMS sends it", r#"[2,"1","ClearCache",{}]"#, "1", "NotSupported", "NotSupported"),
        row(
            "of another version",
            r#"[2,"1","StartTransaction",{}]"#,
            [Some(("1", "NotSupported")), Some(("1", "NotImplemented")), Some(("1", "NotImplemented"))],
        ),
        row(
            "known, but never a CALL",
            r#"[2,"1","NotifyPeriodicEventStream",{}]"#,
            [Some(("1", "NotImplemented")), Some(("1", "NotImplemented")), Some(("1", "NotSupported"))],
        ),
    ])
    .await;
}

#[tokio::test]
async fn ocpp_j_4_3_payloads() {
    // A status of each version's own StatusNotification, with `more` in it.
    let status = |more: &str| {
        let v16 = format!(r#"[2,"1","StatusNotification",{{"connectorId":1,"errorCode":"NoError",{more}}}]"#);
        let v2 = format!(
            r#"[2,"1","StatusNotification",{{"timestamp":"2026-01-01T00:00:00Z","evseId":1,"connectorId":1,{more}}}]"#
        );
        (v16, v2)
    };
    let both = |clause, (v16, v2): (String, String), old, new| {
        let expected = [Some(("1", old)), None, None];
        let first = Row { clause, text: v16, expected };
        let second = Row { clause, text: v2, expected: [None, Some(("1", new)), Some(("1", new))] };
        [first, second]
    };
    let (occurrence16, occurrence) = ("OccurenceConstraintViolation", "OccurrenceConstraintViolation");
    let (kind, format16, format) = ("TypeConstraintViolation", "FormationViolation", "FormatViolation");
    let pairs = [
        both(
            "a required member is missing",
            status(r#""customData":{"vendorId":"x"}"#),
            format16,
            occurrence,
        ),
        both(
            "of the wrong type",
            (status(r#""status":7"#).0, status(r#""connectorStatus":7"#).1),
            kind,
            kind,
        ),
        both(
            "not one of the enumeration",
            (status(r#""status":"Broken""#).0, status(r#""connectorStatus":"Broken""#).1),
            kind,
            kind,
        ),
        both(
            "an unknown member",
            (
                status(r#""status":"Available","more":1"#).0,
                status(r#""connectorStatus":"Available","more":1"#).1,
            ),
            format16,
            format,
        ),
    ];
    for [v16, v2] in &pairs {
        check_in(V16, v16).await;
        check_in(V201, v2).await;
        check_in(V21, v2).await;
    }
    let missing = row(
        "a required member is missing",
        r#"[2,"1","StatusNotification",{}]"#,
        [Some(("1", occurrence16)), Some(("1", occurrence)), Some(("1", occurrence))],
    );
    let long = format!(r#""status":"Available","info":"{}""#, "x".repeat(51));
    check_in(
        V16,
        &Row {
            text: status(&long).0,
            expected: [Some(("1", "PropertyConstraintViolation")), None, None],
            clause: "too long",
        },
    )
    .await;
    let short = r#"[2,"1","MeterValues",{"evseId":1,"meterValue":[]}]"#;
    let short = row("too few items", short, [None, Some(("1", occurrence)), Some(("1", occurrence))]);
    let negative = r#"[2,"1","ClosePeriodicEventStream",{"id":-1}]"#;
    let negative = row("out of range", negative, [None, None, Some(("1", "PropertyConstraintViolation"))]);
    for version in [V201, V21] {
        check_in(version, &short).await;
    }
    check_in(V21, &negative).await;
    check(&[
        missing,
        same("the payload is an array", r#"[2,"1","Heartbeat",[]]"#, "1", format16, format),
        same("the payload is null", r#"[2,"1","Heartbeat",null]"#, "1", format16, format),
        same("an unknown member", r#"[2,"1","Heartbeat",{"x":1}]"#, "1", format16, format),
        same("the same member twice", r#"[2,"1","Heartbeat",{"x":1,"x":1}]"#, "1", format16, format),
    ])
    .await;
}

/// One row, in one version.
async fn check_in(version: Version, Row { clause, text, expected }: &Row) {
    let index = [V16, V201, V21].iter().position(|other| *other == version).unwrap();
    let (_lab, mut raw) = connected(version).await;
    raw.send(text.as_str()).await;
    let answer: Vec<Value> = serde_json::from_str(&raw.receive().await).unwrap();
    let (id, code) = expected[index].unwrap();
    assert_eq!(answer[..3], [Value::from(4), id.into(), code.into()], "{version}: {clause}: {answer:?}");
}

#[tokio::test]
async fn ocpp_j_4_2_answers_to_nothing_are_ignored() {
    let silence = [None, None, None];
    check(&[
        row("CALLRESULT with an unknown id", r#"[3,"unknown",{}]"#, silence),
        row("CALLERROR with an unknown id", r#"[4,"unknown","GenericError","",{}]"#, silence),
        row("CALLERROR with the id -1", r#"[4,"-1","RpcFrameworkError","",{}]"#, silence),
        row("CALLRESULT without a payload", r#"[3,"unknown"]"#, silence),
        row("CALLERROR without a code", r#"[4,"unknown"]"#, silence),
    ])
    .await;
}

fn session(version: Version) -> Session {
    Session::new(Role::Csms, version, SessionSettings::default(), [7; 16])
}

fn empty() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap()
}

/// The spelling of each code in each version. 1.6 lacks the last two and uses the nearest.
const SPELLINGS: &[(RpcErrorCode, [&str; 3])] = &[
    (RpcErrorCode::NotImplemented, ["NotImplemented"; 3]),
    (RpcErrorCode::NotSupported, ["NotSupported"; 3]),
    (RpcErrorCode::InternalError, ["InternalError"; 3]),
    (RpcErrorCode::ProtocolError, ["ProtocolError"; 3]),
    (RpcErrorCode::SecurityError, ["SecurityError"; 3]),
    (RpcErrorCode::FormatViolation, ["FormationViolation", "FormatViolation", "FormatViolation"]),
    (RpcErrorCode::PropertyConstraintViolation, ["PropertyConstraintViolation"; 3]),
    (
        RpcErrorCode::OccurrenceConstraintViolation,
        ["OccurenceConstraintViolation", "OccurrenceConstraintViolation", "OccurrenceConstraintViolation"],
    ),
    (RpcErrorCode::TypeConstraintViolation, ["TypeConstraintViolation"; 3]),
    (RpcErrorCode::GenericError, ["GenericError"; 3]),
    (
        RpcErrorCode::MessageTypeNotSupported,
        ["GenericError", "MessageTypeNotSupported", "MessageTypeNotSupported"],
    ),
    (RpcErrorCode::RpcFrameworkError, ["FormationViolation", "RpcFrameworkError", "RpcFrameworkError"]),
];

#[test]
fn ocpp_j_4_3_each_code_is_sent_as_the_version_spells_it() {
    for (code, spellings) in SPELLINGS {
        for (version, spelling) in [V16, V201, V21].into_iter().zip(spellings) {
            let mut session = session(version);
            let now = std::time::Instant::now();
            session.handle_text(now, r#"[2,"1","Heartbeat",{}]"#);
            let Some(Event::Call(call)) = session.poll_event() else { panic!() };
            let answer = Answer::Error { code: code.clone(), description: "é".repeat(256) };
            session.answer(now, call.id(), answer).unwrap();
            let text = session.poll_transmit().unwrap().text;
            assert_eq!(text, format!(r#"[4,"1","{spelling}","{}",{{}}]"#, "é".repeat(255)), "{version}");
        }
    }
}

#[test]
fn ocpp_j_4_3_every_spelling_is_read_in_every_version() {
    let older = [
        ("OccurenceConstraintViolation", RpcErrorCode::OccurrenceConstraintViolation),
        ("OccurrenceConstraintViolation", RpcErrorCode::OccurrenceConstraintViolation),
        ("FormationViolation", RpcErrorCode::FormatViolation),
        ("FormatViolation", RpcErrorCode::FormatViolation),
        ("Homemade", RpcErrorCode::Other("Homemade".to_owned())),
    ];
    let names = SPELLINGS.iter().map(|(code, spellings)| (spellings[2], code.clone()));
    for (spelling, expected) in names.chain(older) {
        for version in [V16, V201, V21] {
            let mut session = session(version);
            let now = std::time::Instant::now();
            session.call(now, Outgoing::new("ClearCache", &empty())).unwrap();
            let text = session.poll_transmit().unwrap().text;
            let id = text.split('"').nth(1).unwrap();
            session.handle_text(now, format!(r#"[4,"{id}","{spelling}","",{{}}]"#));
            let Some(Event::CallEnded { outcome: CallOutcome::Error { code, .. }, .. }) =
                session.poll_event()
            else {
                panic!("{spelling}")
            };
            assert_eq!(code, expected, "{version}");
        }
    }
}
